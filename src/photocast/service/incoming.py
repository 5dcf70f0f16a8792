# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Files while they arrive: on the local disk, hashed and counted, until they are taken or dropped.

Nothing here waits for the network, so all of it may run in a thread of the pool.
"""

import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from photocast.errors import PhotocastError
from photocast.jobs.files_rules import explained
from photocast.jobs.ids import new_id
from photocast.service.problems import ServiceError
from photocast.settings import Settings

__all__ = ["Arrived", "Incoming", "incoming_folder", "pour"]

_PIECE_BYTES = 256 << 10
_DISCARDED_BYTES = 64 << 20


@dataclass(slots=True)
class Arrived:
    """A file that came with a request."""

    role: str
    name: str
    path: Path
    size: int
    sha256: str


@dataclass(slots=True)
class Incoming:
    """The files of one request, in a folder that is removed at the end."""

    settings: Settings
    total: int = 0
    """Bytes so far."""
    files: list[Arrived] = field(default_factory=list)
    folder: Path = field(init=False)
    _open: "_Writing | None" = None

    def __post_init__(self) -> None:
        self.folder = incoming_folder(self.settings) / new_id("in")

    def __enter__(self) -> "Incoming":
        with explained("the data folder"):
            self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open.file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self, role: str, name: str) -> None:
        """Start a file; the one before must have been ended."""
        path = self.folder / str(len(self.files))
        with explained(name):
            self._open = _Writing(role, name, path, path.open("xb", buffering=0))

    def write(self, data: bytes) -> None:
        """Go on with the file.

        Raises:
            ServiceError: It, or all together, is too large.
            StorageError: The disk is full.
        """
        assert self._open is not None  # callers begin first
        one, settings = self._open, self.settings
        one.size += len(data)
        self.total += len(data)
        if one.size > settings.max_file_bytes:
            raise too_large(f"{one.name} has", settings.max_file_bytes)
        if self.total > settings.max_job_bytes:
            raise too_large("The files have together", settings.max_job_bytes)
        one.digest.update(data)
        with explained(one.name):
            view = memoryview(data)
            while view:  # an unbuffered write may take less
                view = view[one.file.write(view) :]

    def end(self) -> Arrived:
        """Finish the file.

        Raises:
            ServiceError: There was nothing in it.
        """
        assert self._open is not None  # callers begin first
        one, self._open = self._open, None
        one.file.close()
        if not one.size:
            raise ServiceError(422, "upload.empty", f"{one.name} is empty. Send it again.")
        self.files.append(Arrived(one.role, one.name, one.path, one.size, one.digest.hexdigest()))
        return self.files[-1]


@dataclass(slots=True)
class _Writing:
    role: str
    name: str
    path: Path
    file: BinaryIO
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


def incoming_folder(settings: Settings) -> Path:
    """Where files arrive."""
    return settings.data.resolve() / "incoming"


def too_large(what: str, most: int) -> ServiceError:
    """The refusal of more bytes than there may be."""
    return ServiceError(
        413, "upload.too_large", f"{what} more than {most:,} bytes.", hint="Send smaller files."
    )


async def _discard(stream: AsyncIterator[bytes]) -> None:
    """Read on for a while: many clients look for an answer only when they have sent all."""
    left = _DISCARDED_BYTES
    with contextlib.suppress(ClientDisconnect):
        async for chunk in stream:
            left -= len(chunk)
            if left < 0:
                return


async def pour(request: Request, sink: Callable[[bytes], object]) -> None:
    """Hand a request's body on in pieces, in threads, holding at most one piece in memory.

    Raises:
        ServiceError: The client went away.
    """
    piece, gone, stream = bytearray(), False, request.stream()
    try:
        async for chunk in stream:
            piece += chunk
            if len(piece) >= _PIECE_BYTES:
                await run_in_threadpool(sink, bytes(piece))
                piece.clear()
    except ClientDisconnect:
        gone = True  # what came before is handed on all the same
    except PhotocastError:
        await _discard(stream)
        raise
    if piece:
        await run_in_threadpool(sink, bytes(piece))
    if gone:
        raise ServiceError(400, "request.aborted", "The client went away.")
