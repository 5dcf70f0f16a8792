# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs that are there: look, list, wait, cancel, repeat, delete."""

import base64
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request

from photocast.jobs.ids import is_id
from photocast.jobs.record import Job, State
from photocast.jobs.store import Usage
from photocast.service.auth import Caller, Reader, Writer
from photocast.service.context import Context, ContextOf
from photocast.service.polling import answer
from photocast.service.problems import ServiceError
from photocast.service.refusals import job_not_found
from photocast.service.views import base_of, job_view, log_line
from photocast.settings import Settings
from photocast.wire import JobPage, JobView, LogPage, StateName

__all__ = ["base_of", "check_open_jobs", "check_usage", "found", "router", "shown"]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


def found(context: Context, job_id: str, caller: Caller) -> Job:
    """A job of the caller.

    Raises:
        ServiceError: There is none; somebody else's looks just the same.
    """
    job = context.jobs.get(job_id, caller.sees) if is_id(job_id, "job") else None
    if job is None:
        raise job_not_found(job_id)
    return job


def shown(context: Context, job: Job, base: str, *, secret: str | None = None) -> JobView:
    """A job as its owner sees it, with its place in the queue."""
    standing = context.jobs.standing(job.id) if job.state is State.QUEUED else None
    position = None if standing is None else standing.place
    return job_view(job, base, position=position, secret=secret)


@router.get("/{job_id}", responses={304: {"description": "It is still as it was."}})
async def read_job(
    request: Request,
    job_id: str,
    caller: Reader,
    prefer: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> JobView:
    """Look at a job. `Prefer: wait=30` answers when it changes, or after so many seconds."""
    del job_id, caller, prefer, if_none_match  # read from the request, as for the faster route
    return await answer(request)  # type: ignore[return-value]  # it is the same as text


@router.get("")
def list_jobs(
    request: Request,
    caller: Reader,
    context: ContextOf,
    state: Annotated[list[StateName] | None, Query()] = None,
    page_size: Annotated[int, Query(ge=1, le=200)] = 50,
    page_token: Annotated[str | None, Query(max_length=200)] = None,
) -> JobPage:
    """List jobs, newest first."""
    before = None if page_token is None else _read_token(page_token)
    states = [State(name) for name in state or ()]
    jobs = context.jobs.listed(caller.sees, count=page_size + 1, before=before, states=states)
    more, jobs = len(jobs) > page_size, jobs[:page_size]
    base = base_of(request, context)
    return JobPage(
        jobs=[shown(context, job, base) for job in jobs],
        next_page_token=_make_token(jobs[-1].id) if more else None,
    )


@router.post("/{job_id}/cancel", status_code=202)
def cancel_job(request: Request, job_id: str, caller: Writer, context: ContextOf) -> JobView:
    """Ask a job to stop. Asking again changes nothing."""
    job = context.jobs.cancel(job_id, caller.sees)
    if job is None:
        raise _ended(found(context, job_id, caller), "canceled")
    return shown(context, job, base_of(request, context))


@router.get("/{job_id}/logs")
def read_logs(
    job_id: str,
    caller: Reader,
    context: ContextOf,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    count: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> LogPage:
    """Read what a job has said since a line."""
    job = found(context, job_id, caller)
    events = context.jobs.events(job.id, after=after, kinds=["log"], count=count)
    lines = [log_line(event) for event in events]
    return LogPage(lines=lines, next_after=lines[-1].number if lines else after)


def check_open_jobs(context: Context, owner: str) -> None:
    """Refuse one job more than an owner may have open, or bytes more than it may keep.

    Raises:
        ServiceError: With what is there and what is allowed.
    """
    check_usage(context.settings, context.jobs.usage(owner))


def check_usage(settings: Settings, used: Usage) -> None:
    """As :func:`check_open_jobs`, of numbers that are known.

    Raises:
        ServiceError: With what is there and what is allowed.
    """
    if used.open_jobs >= settings.max_open_jobs:
        raise ServiceError(
            429,
            "quota.jobs",
            f"{used.open_jobs} jobs are open; at most {settings.max_open_jobs} may be.",
            hint="Wait until some have ended, or cancel some.",
            retry_after=30,
        )
    if used.stored_bytes >= settings.max_stored_bytes:
        raise ServiceError(
            429,
            "quota.bytes",
            f"{used.stored_bytes:,} bytes are stored; at most {settings.max_stored_bytes:,} may "
            "be.",
            hint="Delete jobs that are no longer needed.",
            retry_after=3600,
        )


def _ended(job: Job, wanted: str) -> ServiceError:
    return ServiceError(
        409, "job.invalid_state", f"The job has {job.state.value}; it cannot be {wanted}."
    )


def _make_token(job_id: str) -> str:
    return base64.urlsafe_b64encode(job_id.encode()).decode().rstrip("=")


def _read_token(token: str) -> str:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        text = ""
    if not is_id(text, "job"):
        raise ServiceError(
            422, "request.page_token", "The page token is not one that this service gave."
        )
    return text
