# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``POST /v1/jobs``: a new job with its files, or of files that are stored already."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from photocast.jobs.record import Kind
from photocast.service.archive import unpack
from photocast.service.auth import Caller, Writer
from photocast.service.context import Context, ContextOf
from photocast.service.forms import read_form
from photocast.service.incoming import Incoming
from photocast.service.jobs import check_open_jobs
from photocast.service.making import Wanted, check_room, make_job, parsed
from photocast.service.once import IdempotencyKey, one_at_a_time
from photocast.service.preflight import preflight
from photocast.service.problems import ServiceError
from photocast.wire import JobRequest, JobView

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_ROLES = ("images", "masks", "depths", "cameras", "capture", "archive")
_FILES: dict[str, Any] = {"type": "array", "items": {"type": "string", "format": "binary"}}
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{role: {**_FILES} for role in _ROLES[:-1]},
        "archive": {"type": "string", "format": "binary", "description": "A ZIP of a capture."},
        "request": {"$ref": "#/components/schemas/JobRequest"},
    },
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _FORM,
                "encoding": {"request": {"contentType": "application/json"}},
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}},
        },
    }
}


@router.post("", status_code=202, response_model=JobView, openapi_extra=_BODY)
async def create_job(
    request: Request,
    caller: Writer,
    context: ContextOf,
    idempotency_key: IdempotencyKey = None,
    validate_only: Annotated[bool, Query()] = False,
) -> Response:
    """Make a job and queue it.

    With `validate_only=true` nothing is stored: the answer (200) tells whether the photos can be
    reconstructed, and what is wrong with each.
    """
    with one_at_a_time(request, caller, idempotency_key), Incoming(context.settings) as incoming:
        await _admit(request, context, caller, validate_only or idempotency_key is not None)
        wanted = await _read(request, context, incoming)
        if validate_only:
            report = await preflight(request, context, caller, wanted, incoming)
            return Response(json.dumps(report), media_type="application/json")
        job = Wanted(kind=Kind.RECONSTRUCT, request=wanted)
        return await run_in_threadpool(
            make_job, request, context, caller, job, incoming.files, idempotency_key
        )


@router.post("/draft", status_code=201, response_model=JobView)
def create_draft(
    request: Request,
    caller: Writer,
    context: ContextOf,
    wanted: JobRequest,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a job whose files come one by one; it waits until it is submitted."""
    with one_at_a_time(request, caller, idempotency_key):
        check_room(context)
        draft = Wanted(kind=Kind.RECONSTRUCT, request=wanted, draft=True)
        return make_job(request, context, caller, draft, (), idempotency_key)


async def _admit(request: Request, context: Context, caller: Caller, later: bool) -> None:
    """Refuse before anything is read what would be refused at the end."""
    length = request.headers.get("content-length", "")
    await run_in_threadpool(check_room, context, int(length) if length.isdecimal() else 0)
    if not later:  # else it makes no job, or may be answered already
        await run_in_threadpool(check_open_jobs, context, caller.owner)


async def _read(request: Request, context: Context, incoming: Incoming) -> JobRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return parsed(await request.body())
    if kind != "multipart/form-data":
        raise ServiceError(
            415,
            "request.media_type",
            f"The body is {ascii(kind)[:60]}; it must be multipart/form-data or application/json.",
        )
    fields = await read_form(request, incoming, _ROLES, ("request",))
    wanted = parsed(fields.get("request", ""))
    await unpack(incoming)
    return wanted
