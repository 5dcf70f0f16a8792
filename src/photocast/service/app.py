# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The application: routers, middleware, and what lives as long as it does."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.concurrency import run_in_threadpool

from photocast import __version__
from photocast.jobs.deliveries import Deliveries
from photocast.jobs.doorbell import Doorbell
from photocast.jobs.housekeeping import Housekeeper
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
    system,
    uploads,
)
from photocast.service.access import Access
from photocast.service.auth import KeyCache
from photocast.service.bodies import BodyLimit
from photocast.service.context import Context, open_context
from photocast.service.describe import describe
from photocast.service.headers import Numbered
from photocast.service.hub import Hub
from photocast.service.metrics import routes as metrics
from photocast.service.metrics.ledger import LedgerMetrics
from photocast.service.metrics.requests import RequestMetrics
from photocast.service.metrics.state import StateMetrics
from photocast.service.polling import ROUTE, Answers
from photocast.service.rates import Rates
from photocast.service.tracing import trace_requests
from photocast.service.webhooks import routes as webhooks
from photocast.service.webhooks.sender import WebhookSender
from photocast.settings import Settings

__all__ = ["create_app"]

_ABOUT = """\
Photos of an object in, a validated, textured mesh out.

Within `/v1`, nothing is removed, renamed or given another meaning; fields and paths may be added.
"""
_ROUTERS = (
    *(intake.router, drafts.router, mesh_reports.router, rerun.router),
    *(uploads.router, jobs.router, events.router, artifacts.router, webhooks.router),
    *(system.router, health.router, metrics.router),
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


def create_app(
    settings: Settings,
    bell: Callable[[Context], Doorbell] | None = None,
    opened: Context | None = None,
) -> FastAPI:
    """Make the application.

    Args:
        settings: What the operator decides.
        bell: Makes what rings for workers.
        opened: Its database and files; they are opened when it starts, by default.
    """

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        context = await run_in_threadpool(open_context, settings) if opened is None else opened
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
        app.state.started = time.monotonic()
        app.state.ledger_metrics = LedgerMetrics(context.database)
        app.state.state_metrics = StateMetrics(context)
        sender = WebhookSender(Deliveries(context.database), private=settings.webhook_private)
        if settings.webhooks:
            sender.start()
        try:
            yield
        finally:
            await app.state.hub.close()
            await sender.close()
            app.state.request_metrics.close()
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
    app.state.request_metrics = RequestMetrics()
    app.add_middleware(Numbered)
    app.add_middleware(Access, metrics=app.state.request_metrics)  # the outermost: sees them all
    app.router.routes.append(ROUTE)
    for router in _ROUTERS:
        app.include_router(router)
    describe(app)
    trace_requests(app)
    return app


def _housekeeper(context: Context) -> Housekeeper:
    return Housekeeper(
        context.database,
        context.files,
        context.settings.data.resolve(),
        keep_uploads_seconds=context.settings.keep_uploads_seconds,
        keep_inputs_seconds=context.settings.keep_inputs_seconds,
    )
