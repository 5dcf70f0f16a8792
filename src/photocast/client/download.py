# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Bringing files of a job here: what is there already stays, and what arrives is verified.

A file grows under a hidden name that holds its hash, so a later try goes on where an earlier one
ended and never mixes two contents. It gets its own name once its hash is right.
"""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from photocast.client.errors import ClientError
from photocast.client.retry import Retry, paused
from photocast.client.steps import Answer, Ask, Broken, Open, Plan, Read, Work
from photocast.wire import ArtifactView

__all__ = ["place_of", "range_from", "saved", "sha256_of"]

_TRIES = 3  # times that a whole file may arrive damaged
_BLOCK = 1 << 20


def saved(
    artifact: ArtifactView, path: str, folder: Path, retry: Retry, told: Callable[[int], None]
) -> Plan[Path]:
    """Bring one file into a folder.

    Args:
        artifact: Which.
        path: Where the service has it.
        folder: Where it goes.
        retry: How often to ask again without a byte more.
        told: Receives numbers of bytes as they arrive; those that were here at first as well.

    Raises:
        ClientError: It cannot be had, or arrives damaged again and again.
    """
    target = place_of(folder, artifact.name)
    if (yield Work(partial(_holds, target, artifact))):
        told(artifact.size)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{artifact.sha256[:16]}.part")
    for _ in range(_TRIES):
        yield from _filled(part, artifact.size, path, retry, told)
        if (yield Work(partial(_holds, part, artifact))):
            part.replace(target)
            return target
        told(-artifact.size)
        part.unlink()
    raise ClientError(
        f"{artifact.name} arrived {_TRIES} times with another hash than the service told. Check "
        "the network, and the storage of the service.",
        code="client.corrupt",
    )


def place_of(folder: Path, name: str) -> Path:
    """Where a file of that name goes; a service cannot make it lie outside the folder.

    Raises:
        ClientError: The name would.
    """
    parts = PurePosixPath(name).parts
    odd = "\\" in name or "\0" in name or PureWindowsPath(name).drive
    if not parts or odd or name.startswith("/") or ".." in parts:
        raise ClientError(
            f"The service calls a file {name!r}, which is no name inside a folder. Nothing was "
            "written; ask who runs the service.",
            code="client.file_name",
        )
    return folder.joinpath(*parts)


def range_from(have: int, size: int) -> dict[str, str]:
    """The header that asks for what is missing."""
    return {"Range": f"bytes={have}-{size - 1}"} if have else {}


def sha256_of(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _filled(
    part: Path, size: int, path: str, retry: Retry, told: Callable[[int], None]
) -> Plan[None]:
    """Bring a file to its size, in as many requests as that takes."""
    have, tried = _begun(part, size), 0
    told(have)
    while have < size or not part.exists():
        headers = {"Accept-Encoding": "identity", **range_from(have, size)}
        ask = Ask(method="GET", path=path, headers=headers)
        got: Answer | Broken = yield Open(ask)
        start = _start(got, have)
        if start is None:
            yield from paused(ask, got, retry, tried)
            tried += 1
            continue
        told(start - have)
        came = yield from _appended(part, start, size, told)
        have = start + came
        tried = 0 if have > start else tried + 1
        if have < size:
            yield from paused(ask, Broken("cut short"), retry, tried)


def _begun(part: Path, size: int) -> int:
    """How much an earlier try left behind."""
    have = part.stat().st_size if part.exists() else 0
    if have <= size:
        return have
    part.unlink()
    return 0


def _start(got: Answer | Broken, have: int) -> int | None:
    """Where the bytes of an answer belong; ``None`` if it brings none."""
    if isinstance(got, Broken) or got.status >= 400:
        return None
    if got.status == 206:
        found = re.match(r"bytes (\d+)-", got.headers.get("content-range", ""))
        return int(found[1]) if found and int(found[1]) <= have else None
    return 0


def _appended(part: Path, start: int, size: int, told: Callable[[int], None]) -> Plan[int]:
    """Write what arrives from that place on; how much that was."""
    came = 0
    with part.open("r+b" if part.exists() else "wb") as file:
        file.seek(start)
        file.truncate()
        while True:  # to the end, so that the connection can be used again
            chunk: bytes | Broken = yield Read()
            kept = b"" if isinstance(chunk, Broken) else chunk[: size - start - came]
            if not kept:
                break
            yield Work(partial(_write, file, kept))
            came += len(kept)
            told(len(kept))
    return came


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _holds(path: Path, artifact: ArtifactView) -> bool:
    there = path.is_file() and path.stat().st_size == artifact.size
    return there and sha256_of(path) == artifact.sha256
