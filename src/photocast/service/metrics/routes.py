# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``GET /metrics``, in the text format of Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from photocast.service.auth import Admin

__all__ = ["router"]

router = APIRouter(tags=["operation"])


@router.get("/metrics", response_class=Response)
def read_metrics(request: Request, caller: Admin) -> Response:
    """Read all metrics; docs/operations.md explains each."""
    del caller  # it was allowed
    own = CollectorRegistry(auto_describe=False)
    own.register(request.app.state.ledger_metrics)
    own.register(request.app.state.state_metrics)
    text = generate_latest(request.app.state.request_metrics.registry()) + generate_latest(own)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
