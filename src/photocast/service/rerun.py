# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``POST /v1/jobs/{id}/rerun``: the same inputs again, with other options."""

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from sqlalchemy import Connection

from photocast.jobs.once import Answer
from photocast.jobs.record import Input, Job, NewJob, State
from photocast.jobs.store import create, inputs_of, usage
from photocast.service.auth import Writer
from photocast.service.context import ContextOf
from photocast.service.jobs import check_usage, found
from photocast.service.making import check_options, invalid, told
from photocast.service.once import IdempotencyKey, answered, fingerprint, response
from photocast.service.problems import ServiceError
from photocast.service.views import base_of
from photocast.wire import JobView, Options, RerunRequest

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("/{job_id}/rerun", status_code=202, response_model=JobView)
def rerun_job(
    request: Request,
    job_id: str,
    caller: Writer,
    context: ContextOf,
    wanted: RerunRequest,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a new job of the same inputs, with other options."""
    job = found(context, job_id, caller)
    if job.state is State.DRAFT:
        raise ServiceError(409, "job.invalid_state", "The job is a draft; submit it instead.")
    options = merged(job, wanted)
    check_options(context, options)
    new = NewJob(
        owner=job.owner,
        kind=job.kind,
        options=options.model_dump(mode="json"),
        labels=job.labels if wanted.labels is None else wanted.labels,
        parent_id=job.id,
        webhook=job.webhook,
        max_seconds=job.max_seconds,
    )
    made: list[Job] = []

    def make(connection: Connection) -> Answer:
        check_usage(context.settings, usage(connection, job.owner))
        # read here, where nobody can remove them before the new job names them
        made[:] = [create(connection, new, _inputs(connection, job))]
        return told(made[0], base_of(request, context), 202)

    print_ = fingerprint(request, wanted.model_dump(mode="json"))
    answer, replayed = answered(context, caller, idempotency_key, print_, make)
    if not replayed:
        context.bell.ring(made[0].id)
    return response(answer, replayed)


def merged(job: Job, wanted: RerunRequest) -> Options:
    """The options of a job with some changed.

    Raises:
        ServiceError: The changes are no options.
    """
    before = {k: v for k, v in job.options.items() if k in Options.model_fields}
    try:
        return Options.model_validate({**before, **wanted.options})
    except ValidationError as error:
        raise invalid(error, "/options/") from None


def _inputs(connection: Connection, job: Job) -> list[Input]:
    given = inputs_of(connection, job.id)
    if not given and job.inputs.get("bytes"):
        raise ServiceError(
            410, "job.inputs_expired", "The job's inputs have been removed. Upload them again."
        )
    return given
