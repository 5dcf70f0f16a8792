# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/system`` and ``GET /v1/options``: what this server is and what it can do."""

import time
from datetime import datetime, timezone
from typing import Any

from fastapi import APIRouter, Request

from photocast import __version__
from photocast.config import MAX_SIZES, PRESETS, generate_preset, optimize_preset
from photocast.jobs.overview import look
from photocast.jobs.presence import Presence, Seen
from photocast.service.auth import Reader
from photocast.service.context import ContextOf
from photocast.service.describe import options_schema
from photocast.wire import (
    DeviceView,
    EngineView,
    OptionsView,
    PresetView,
    SystemView,
    WorkerView,
)

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["operation"])
_PRESETS = {
    "draft": "A first look: small photos, a coarse mesh.",
    "standard": "The usual choice.",
    "high": "The finest mesh and texture; several times as long.",
}
_ENGINES = {
    "optimize": "Photos with cameras: a mesh that fits them.",
    "generate": "A few photos without cameras: the rest is made up. Needs weights.",
    "auto": "optimize where there are cameras, else generate.",
    "fake": "Pretends, for trying the service out.",
}
_LIMITS = (
    "max_photos",
    "max_file_bytes",
    "max_job_bytes",
    "max_open_jobs",
    "max_stored_bytes",
    "max_job_seconds",
    "max_listeners",
    "rate_per_second",
    "rate_burst",
    "keep_uploads_seconds",
    "keep_inputs_seconds",
    "keep_artifacts_seconds",
)


@router.get("/options")
def read_options(caller: Reader, context: ContextOf) -> OptionsView:
    """What a job can be told: a JSON Schema with help and limits, presets, and engines."""
    del caller  # it was allowed
    offered = context.settings.engines
    return OptionsView(
        options=options_schema(),
        presets=[_preset(name) for name in PRESETS],
        engines=[
            EngineView(name=name, about=about, offered=name in offered)
            for name, about in _ENGINES.items()
        ],
    )


@router.get("/system")
def read_system(request: Request, caller: Reader, context: ContextOf) -> SystemView:
    """What runs here: version, workers with their devices, jobs by state, limits."""
    del caller  # it was allowed
    seen, settings = Presence(context.database).seen(), context.settings
    return SystemView(
        version=__version__,
        uptime_seconds=round(time.monotonic() - request.app.state.started, 1),
        workers=[_worker(worker) for worker in seen],
        jobs=look(context.database).jobs,
        limits={name: getattr(settings, name) for name in _LIMITS},
        formats=options_schema()["properties"]["formats"]["items"]["enum"],
        webhooks=settings.webhooks,
    )


def _preset(name: str) -> PresetView:
    optimize, generate = optimize_preset(name, device="cuda"), generate_preset(name)
    on_cpu = optimize_preset(name)
    means: dict[str, Any] = {
        "max_size": MAX_SIZES[name],
        "optimize": {"faces": optimize.mesh.face_count, "texture": optimize.appearance.size},
        "optimize_on_cpu": {"faces": on_cpu.mesh.face_count, "texture": on_cpu.appearance.size},
        "generate": {"faces": generate.face_count, "texture": generate.texture},
    }
    return PresetView(name=name, about=_PRESETS[name], means=means)


def _worker(worker: Seen) -> WorkerView:
    facts = worker.facts
    return WorkerView(
        id=worker.id,
        started_at=datetime.fromtimestamp(worker.started_at, timezone.utc),
        seen_at=datetime.fromtimestamp(worker.seen_at, timezone.utc),
        cpus=facts.get("cpus"),
        memory_bytes=facts.get("memory_bytes"),
        gpus=[DeviceView.model_validate(gpu) for gpu in facts.get("gpus", ())],
    )
