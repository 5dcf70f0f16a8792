# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of a store as HTTP answers: single ranges, conditions, and headers that keep them inert.

Source: RFC 9110, sections 13 and 14.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from photocast.jobs.files import FileStore
from photocast.service.problems import ServiceError

__all__ = ["Served", "serve"]

_PIECE_BYTES = 256 << 10
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_INERT = "sandbox; default-src 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A file, and how it is to be served."""

    key: str
    size: int
    sha256: str
    media_type: str
    disposition: str = "inline"
    policy: str = _INERT
    """Content-Security-Policy."""


def serve(request: Request, files: FileStore, one: Served) -> Response:
    """Answer with a file, a part of it, or that it has not changed.

    Raises:
        ServiceError: There are no such bytes.
        StorageError: The store does not give it.
    """
    etag = f'"{one.sha256}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": one.policy,
    }
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    part = _part(request, one.size, etag)
    start, stop = part or (0, one.size)
    status = 206 if part else 200
    headers |= {"Content-Length": str(stop - start), "Content-Disposition": one.disposition}
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{one.size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=one.media_type)
    pieces = _pieces(files, one.key, start, stop)
    return StreamingResponse(pieces, status, headers, media_type=one.media_type)


def _part(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """The bytes that are to be answered; ``None``: all of them, also if several parts are wanted.

    Raises:
        ServiceError: There are no such bytes.
    """
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.headers.get("if-range") not in (None, etag):
        return None
    first, last = match.groups()
    if (not first and not last) or (first and last and int(last) < int(first)):
        return None  # no range at all
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ServiceError(416, "request.range", f"The file has {size:,} bytes.", headers=headers)
    return start, stop


def _matches(header: str | None, etag: str) -> bool:
    names = [name.strip().removeprefix("W/") for name in (header or "").split(",")]
    return etag in names or "*" in names


def _pieces(files: FileStore, key: str, start: int, stop: int) -> Iterator[bytes]:
    with files.open(key, start, stop) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
