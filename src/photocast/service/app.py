# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The application: routers, middleware, and what lives as long as it does."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from photocast import __version__
from photocast.jobs.deliveries import Deliveries
from photocast.jobs.doorbell import Doorbell
from photocast.jobs.ids import new_id
from photocast.jobs.keyring import Keyring
from photocast.jobs.reconcile import Reconciler
from photocast.service import events, health, jobs, problems, system
from photocast.service.access import Access
from photocast.service.auth import KeyCache
from photocast.service.context import Context, open_context
from photocast.service.hub import Hub
from photocast.service.metrics import routes as metrics
from photocast.service.metrics.ledger import LedgerMetrics
from photocast.service.metrics.requests import RequestMetrics
from photocast.service.metrics.state import StateMetrics
from photocast.service.rates import Rates
from photocast.service.tracing import trace_requests
from photocast.service.webhooks import routes as webhooks
from photocast.service.webhooks.sender import WebhookSender
from photocast.settings import Settings
from photocast.telling import request_id

__all__ = ["create_app"]

_ABOUT = """\
Photos of an object in, a validated, textured mesh out.

Within `/v1`, nothing is removed, renamed or given another meaning; fields and paths may be added.
"""
_ROUTERS = (
    jobs.router,
    events.router,
    webhooks.router,
    system.router,
    health.router,
    metrics.router,
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


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
        app.state.hub = Hub(context.jobs)
        reconciler = Reconciler(context.leases, context.bell, lease_seconds=settings.lease_seconds)
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
    app.middleware("http")(_bound)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Prefer"],
        )
    app.state.request_metrics = RequestMetrics()
    app.add_middleware(Access, metrics=app.state.request_metrics)
    for router in _ROUTERS:
        app.include_router(router)
    trace_requests(app)
    return app


async def _bound(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Number the request, and add the headers that every answer has."""
    number = new_id("req")
    request_id.set(number)
    response = await call_next(request)
    response.headers["X-Request-Id"] = number
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
