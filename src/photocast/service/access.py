# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One log line and one count for every request: the route's template, never what was asked."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photocast.jobs.ids import is_id
from photocast.service.metrics.requests import RequestMetrics

__all__ = ["Access"]

_log = logging.getLogger(__name__)
# asked all the time, by machines; what fails is told all the same
_QUIET = (
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/jobs/{job_id}"),
)


class Access:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then tell of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answer = time.monotonic(), {"status": 500, "stream": False}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = dict(message.get("headers", ())).get(b"content-type", b"")
                answer.update(status=message["status"], stream=b"event-stream" in kind)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._tell(scope, answer["status"], answer["stream"] > 0, time.monotonic() - began)

    def _tell(self, scope: Scope, status: int, stream: bool, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        method = scope["method"] if route != "unmatched" else "any"
        self._metrics.done(method, route, status, seconds, stream=stream)
        facts: dict[str, object] = {
            "event": "request.done",
            "method": method,
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
        job = str(scope.get("path_params", {}).get("job_id", ""))
        if is_id(job, "job"):  # anything else could be text of the caller's making
            facts["job"] = job
        quiet = (method, route) in _QUIET and status < 400
        level = logging.DEBUG if quiet else logging.INFO
        _log.log(level, "request", extra=facts)
