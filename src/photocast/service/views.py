# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Records as what travels: times as text, and links to go on from."""

from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from photocast.jobs.record import Artifact, Event, Job, State
from photocast.service.context import Context
from photocast.service.problems import job_problem
from photocast.wire import ArtifactView, JobProgress, JobUrls, JobView, LogLine

__all__ = ["artifact_view", "at", "base_of", "job_view", "log_line"]

_INTERNAL_OPTIONS = ("max_size_halved",)


def base_of(request: Request, context: Context) -> str:
    """How the caller reaches the service."""
    return context.settings.public_url.rstrip("/") or (
        f"{request.url.scheme}://{request.headers.get('host', '')}"
    )


def at(seconds: float | None) -> datetime | None:
    """A time of a record."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def job_view(
    job: Job, base: str, *, position: int | None = None, secret: str | None = None
) -> JobView:
    """A job as its owner sees it.

    Args:
        job: The record.
        base: How the caller reaches the service, without a slash at the end.
        position: How many jobs are before it, if it waits.
        secret: Of its webhook, if it was made just now.
    """
    progress: dict[str, Any] = {**job.progress}
    if job.state is State.QUEUED:
        progress["queue_position"] = position
    options = {k: v for k, v in job.options.items() if k not in _INTERNAL_OPTIONS}
    return JobView(
        id=job.id,
        kind=job.kind.value,
        state=job.state.value,
        created_at=datetime.fromtimestamp(job.created_at, timezone.utc),
        started_at=at(job.started_at),
        finished_at=at(job.finished_at),
        progress=JobProgress.model_validate(progress),
        inputs=job.inputs,
        options=options,
        labels=job.labels,
        attempt=job.attempt,
        cancel_requested_at=at(job.cancel_requested_at),
        parent_id=job.parent_id,
        verdict=job.verdict,  # type: ignore[arg-type]  # checked by the model
        warnings=job.warnings,
        artifacts_state=job.artifacts_state,  # type: ignore[arg-type]  # checked by the model
        expires_at=at(job.expires_at),
        error=None if job.error is None else job_problem(job.error),
        webhook_secret=secret,
        urls=_urls(f"{base}/v1/jobs/{job.id}", webhook=job.webhook is not None),
    )


def artifact_view(job: Job, one: Artifact, base: str) -> ArtifactView:
    """A file that a job made."""
    return ArtifactView(
        name=one.name,
        size=one.size,
        sha256=one.sha256,
        media_type=one.media_type,
        url=f"{base}/v1/jobs/{job.id}/artifacts/{quote(one.name)}",
    )


def log_line(event: Event) -> LogLine:
    """Something that a job said."""
    return LogLine(
        number=event.id,
        at=datetime.fromtimestamp(event.at, timezone.utc),
        level=str(event.data.get("level", "info")),
        message=str(event.data.get("message", "")),
    )


def _urls(own: str, *, webhook: bool) -> JobUrls:
    return JobUrls(
        self=own,
        events=f"{own}/events",
        logs=f"{own}/logs",
        cancel=f"{own}/cancel",
        rerun=f"{own}/rerun",
        inputs=f"{own}/inputs",
        report=f"{own}/report",
        artifacts=f"{own}/artifacts",
        deliveries=f"{own}/deliveries" if webhook else None,
    )
