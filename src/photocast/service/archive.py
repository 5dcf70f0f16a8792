# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A ZIP file of a capture as the files in it, unpacked by a process with limits."""

from pathlib import Path

from starlette.concurrency import run_in_threadpool

from photocast.jobs.files_rules import hashed_copy
from photocast.jobs.names import FOLDERS
from photocast.service.forms import checked_name
from photocast.service.incoming import Arrived, Incoming
from photocast.service.looking import ask

__all__ = ["unpack"]

_ROLES = {folder: role for role, folder in FOLDERS.items()}


async def unpack(incoming: Incoming) -> None:
    """Put the files of an archive in its place, if one came.

    Raises:
        ServiceError: It is damaged, too large or empty.
    """
    archives = [one for one in incoming.files if one.role == "archive"]
    if not archives:
        return
    folder = incoming.folder / "unpacked"
    found = await ask("unzip", [str(archives[0].path), str(folder)])
    incoming.files.remove(archives[0])
    incoming.files += await run_in_threadpool(_files, folder, found["files"])


def _files(folder: Path, names: list[str]) -> list[Arrived]:
    return [_arrived(folder, name) for name in names]


def _arrived(folder: Path, path: str) -> Arrived:
    """A file by where it lies: photos, masks and depth by their folder, others by their path."""
    first, _, rest = path.partition("/")
    role, name = (_ROLES[first], rest) if rest and first in _ROLES else ("capture", path)
    with (folder / path).open("rb") as file:
        size, sha256 = hashed_copy(file, len)
    return Arrived(role, checked_name(role, name), folder / path, size, sha256)
