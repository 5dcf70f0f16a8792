# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/jobs/{id}/events``: what happens to a job, as it happens (server-sent events).

The first event is a ``snapshot`` of the job, unless ``Last-Event-ID`` names one that is still there
to go on from. Then ``state``, ``progress``, ``log`` and ``artifact``; at last ``end``.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from photocast.jobs.record import FINAL, Event, Job
from photocast.service.auth import Caller, Reader
from photocast.service.context import Context, ContextOf
from photocast.service.jobs import found, shown
from photocast.service.problems import ServiceError
from photocast.service.views import base_of

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_WAIT_S = 30.0
_RETRY_MS = 2000


async def listened(request: Request, job_id: str, caller: Reader, context: ContextOf) -> Job:
    """The job to listen to; found before the answer begins, so that a refusal is one."""
    job = await run_in_threadpool(found, context, job_id, caller)
    hub, most = request.app.state.hub, context.settings.max_listeners
    if hub.listeners >= most:
        raise ServiceError(
            503, "events.too_many", f"{most} listeners are served; poll instead.", retry_after=30
        )
    return job


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def stream_events(
    request: Request,
    job: Annotated[Job, Depends(listened)],
    caller: Reader,
    context: ContextOf,
    last_event_id: Annotated[str | None, Header(max_length=20, pattern=r"^\d+$")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a job until it ends."""
    with request.app.state.request_metrics.listeners.track_inprogress():
        async for event in _followed(request, job, caller, context, last_event_id):
            yield event


async def _followed(
    request: Request, job: Job, caller: Caller, context: Context, last_event_id: str | None
) -> AsyncIterator[ServerSentEvent]:
    last = int(last_event_id or 0)
    if not last or not await run_in_threadpool(_is_there, context, job.id, last):
        view = await run_in_threadpool(shown, context, job, base_of(request, context))
        last = max(last, await run_in_threadpool(_newest, context, job.id))
        text = view.model_dump_json()
        yield ServerSentEvent(raw_data=text, event="snapshot", id=str(last), retry=_RETRY_MS)
    while True:
        for event in await run_in_threadpool(context.jobs.events, job.id, after=last):
            last = event.id
            yield _sent(event)
        if job.state in FINAL:
            yield ServerSentEvent(data={"state": job.state.value}, event="end", id=str(last))
            return
        await request.app.state.hub.changed(job.id, job.version, _WAIT_S)
        now = await run_in_threadpool(context.jobs.get, job.id, caller.sees)
        if now is None:
            yield ServerSentEvent(data={"state": "deleted"}, event="end", id=str(last))
            return
        job = now


def _sent(event: Event) -> ServerSentEvent:
    return ServerSentEvent(data={**event.data, "at": event.at}, event=event.type, id=str(event.id))


def _is_there(context: Context, job_id: str, number: int) -> bool:
    """Whether an event still exists, so that nothing after it was removed unseen."""
    events = context.jobs.events(job_id, after=number - 1, count=1)
    return bool(events) and events[0].id == number


def _newest(context: Context, job_id: str) -> int:
    return context.jobs.newest_event(job_id)
