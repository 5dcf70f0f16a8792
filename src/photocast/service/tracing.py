# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Traces of requests, for who has OpenTelemetry installed and says where they go."""

import logging
import os

from fastapi import FastAPI

__all__ = ["trace_requests"]

_log = logging.getLogger(__name__)
_LEFT_OUT = "healthz,readyz,metrics"


def trace_requests(app: FastAPI) -> None:
    """Send a span for each request to ``OTEL_EXPORTER_OTLP_ENDPOINT``, if that is set."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _log.warning("no traces: install the extra otel", extra={"event": "trace.missing"})
        return
    provider = TracerProvider(resource=Resource.create({"service.name": "photocast"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=_LEFT_OUT)
