# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The application: routers, middleware, and what lives as long as it does."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photocast import __version__
from photocast.jobs.doorbell import Doorbell
from photocast.jobs.housekeeping import Housekeeper
from photocast.jobs.ids import new_id
from photocast.jobs.keyring import Keyring
from photocast.jobs.reconcile import Reconciler
from photocast.service import (
    artifacts,
    drafts,
    events,
    health,
    intake,
    jobs,
    mesh_reports,
    problems,
    rerun,
    uploads,
)
from photocast.service.auth import KeyCache
from photocast.service.bodies import BodyLimit
from photocast.service.context import Context, open_context
from photocast.service.hub import Hub
from photocast.service.polling import ROUTE, Answers
from photocast.service.rates import Rates
from photocast.settings import Settings
from photocast.telling import request_id

__all__ = ["create_app"]

_ABOUT = """\
Photos of an object in, a validated, textured mesh out.

Within `/v1`, nothing is removed, renamed or given another meaning; fields and paths may be added.
"""
_ROUTERS = (
    *(intake.router, drafts.router, mesh_reports.router, rerun.router),
    *(uploads.router, jobs.router, events.router, artifacts.router, health.router),
)
_TUS = ("Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset", "Upload-Checksum")
_ASKED = (
    *("Authorization", "Content-Type", "Idempotency-Key", "Prefer", "Last-Event-ID"),
    *("Range", "If-Range", "If-None-Match", "Content-Digest", "X-Content-SHA256"),
    *(*_TUS, "X-HTTP-Method-Override"),
)
_TOLD = (
    *("Location", "Retry-After", "ETag", "Content-Range", "X-Request-Id", "Idempotency-Replayed"),
    *(*_TUS, "Upload-Expires", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "X-Content-SHA256"),
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def create_app(settings: Settings, bell: Callable[[Context], Doorbell] | None = None) -> FastAPI:
    """Make the application; nothing is opened before it starts.

    Args:
        settings: What the operator decides.
        bell: Makes what rings for workers.
    """

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        context = await run_in_threadpool(open_context, settings)
        if bell is not None:
            context.bell = await run_in_threadpool(bell, context)
        app.state.context = context
        app.state.keys = KeyCache(Keyring(context.database))
        app.state.rates = Rates(settings.rate_per_second, settings.rate_burst)
        app.state.hub, app.state.answers = Hub(context.jobs), Answers()
        reconciler = Reconciler(
            context.leases,
            context.bell,
            lease_seconds=settings.lease_seconds,
            clean=_housekeeper(context).clean,
        )
        reconciler.start()
        try:
            yield
        finally:
            await app.state.hub.close()
            await run_in_threadpool(reconciler.stop)
            await run_in_threadpool(context.close)

    app = FastAPI(
        title="Photocast",
        version=__version__,
        description=_ABOUT,
        lifespan=living,
        docs_url="/docs" if settings.docs else None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    problems.install(app)
    app.add_middleware(BodyLimit)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
            allow_headers=_ASKED,
            expose_headers=_TOLD,
        )
    app.add_middleware(_Bound)  # the outermost: also for answers of the others
    app.router.routes.append(ROUTE)
    for router in _ROUTERS:
        app.include_router(router)
    return app


def _housekeeper(context: Context) -> Housekeeper:
    return Housekeeper(
        context.database,
        context.files,
        context.settings.data.resolve(),
        keep_uploads_seconds=context.settings.keep_uploads_seconds,
        keep_inputs_seconds=context.settings.keep_inputs_seconds,
    )


class _Bound:
    """Numbers each request, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
