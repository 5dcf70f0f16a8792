# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which files of this machine make up a job, and what each is called there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from photocast.errors import CaptureError
from photocast.jobs.names import SUFFIXES
from photocast.wire import ROLES, Role

__all__ = ["Capture", "LocalFile", "capture_files", "chosen_files"]

Capture: TypeAlias = str | Path | Sequence[str | Path] | Mapping[Role, Sequence[str | Path]]
"""A capture folder, a list of photos, or lists of files by role."""
_KNOWN = SUFFIXES["capture"]


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to send."""

    path: Path
    role: Role
    name: str


def capture_files(folder: Path) -> tuple[list[LocalFile], list[Path]]:
    """The files of a capture folder, and those that are left out.

    Hidden files, and what lies in hidden folders, are in neither.

    Raises:
        CaptureError: The folder is not there, or holds nothing of use.
    """
    if not folder.is_dir():
        raise CaptureError(
            f"{folder} is no folder. Name the folder with the photos.", code="capture.no_folder"
        )
    found: list[LocalFile] = []
    skipped: list[Path] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        if path.suffix.lower() in _KNOWN:
            found.append(LocalFile(path, "capture", inside.as_posix()))
        else:
            skipped.append(inside)
    if not found:
        raise CaptureError(
            f"{folder} holds none of the files that a capture is made of "
            f"({' '.join(sorted(_KNOWN))}). Name the folder with the photos.",
            code="capture.no_photos",
        )
    return found, skipped


def chosen_files(capture: Capture) -> list[LocalFile]:
    """The files that a caller means.

    Raises:
        CaptureError: One is not there, two have one name, or there are none.
    """
    if isinstance(capture, str | Path):
        return capture_files(Path(capture))[0]
    by_role = capture if isinstance(capture, Mapping) else {ROLES[0]: capture}
    files = [
        LocalFile(Path(path), role, Path(path).name)
        for role, paths in by_role.items()
        for path in paths
    ]
    _check(files)
    return files


def _check(files: Sequence[LocalFile]) -> None:
    if not files:
        raise CaptureError(
            "No files were named. Name photos or a folder.", code="capture.no_photos"
        )
    if absent := [str(file.path) for file in files if not file.path.is_file()]:
        raise CaptureError(
            f"{len(absent)} files are not there, the first: {absent[0]}. Check the paths.",
            code="client.file_missing",
        )
    names = [(file.role, file.name) for file in files]
    if twice := [name for name in names if names.count(name) > 1]:
        raise CaptureError(
            f"Two files of the role {twice[0][0]} are called {twice[0][1]}. Rename one, or send "
            "their folder.",
            code="client.file_twice",
        )
