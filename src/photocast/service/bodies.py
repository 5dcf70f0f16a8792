# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""No request may fill the memory: a body that is no file has a most size, refused at once.

Bodies with files have limits of their own, counted while they go to disk.
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photocast.service.problems import ServiceError, answer

__all__ = ["BodyLimit"]

_MOST_BYTES = 4 << 20
_TEXT = f"The body has more than {_MOST_BYTES:,} bytes."
_CLOSE = {"Connection": "close"}
_FORMS = ("/v1/jobs", "/v1/mesh-reports")


class BodyLimit:
    """Refuses large bodies by their announced length, and ends those that turn out larger."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _has_files(scope):
            await self._app(scope, receive, send)
            return
        length = _header(scope, b"content-length")
        if length.isdigit() and int(length) > _MOST_BYTES:
            error = ServiceError(413, "request.too_large", _TEXT, headers=_CLOSE)
            await answer(error)(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > _MOST_BYTES:
                raise HTTPException(413, _TEXT, _CLOSE)  # the only kind that FastAPI passes on
            return message

        await self._app(scope, counted, send)


def _has_files(scope: Scope) -> bool:
    path, kind = scope["path"].rstrip("/"), _header(scope, b"content-type").lower()
    if scope["method"] == "POST" and path in _FORMS:
        return kind.startswith(b"multipart/form-data")
    if path.startswith("/v1/uploads"):
        return kind == b"application/offset+octet-stream"
    parts = path.split("/")
    return scope["method"] == "PUT" and parts[:3] == ["", "v1", "jobs"] and "inputs" in parts[4:5]


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
