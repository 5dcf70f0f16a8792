# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Headers that every answer has, and the number of its request."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photocast.jobs.ids import new_id
from photocast.telling import request_id

__all__ = ["Numbered"]

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Numbered:
    """Numbers each request, and adds the headers; plain ASGI, as every request passes here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers, where the answer has none of its own of that name."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = new_id("req")
        request_id.set(number)

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                names = {name for name, _ in given}
                own = [(name, value) for name, value in _HEADERS if name not in names]
                message["headers"] = [*given, *own, (b"x-request-id", number.encode())]
            await send(message)

        await self._app(scope, receive, send_more)
