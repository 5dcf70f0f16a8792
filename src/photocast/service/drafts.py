# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Drafts: a job's files one by one, then its submission. Lost lines cost one file, not all."""

import base64
import binascii
import re
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from photocast.jobs import blobs
from photocast.jobs.blobs import BlobGone
from photocast.jobs.erase import remove_files
from photocast.jobs.record import Input, Job, State
from photocast.jobs.store import drop_input, put_input
from photocast.service.auth import Caller, Reader, Writer
from photocast.service.context import Context, ContextOf
from photocast.service.forms import checked_name
from photocast.service.incoming import Arrived, Incoming, pour
from photocast.service.jobs import found, shown
from photocast.service.making import check_essential, check_files, check_room, take
from photocast.service.problems import ServiceError
from photocast.service.views import base_of
from photocast.wire import InputView, JobView, Role

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):")
_RAW = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put("/{job_id}/inputs/{role}/{name:path}", openapi_extra=_RAW)
async def put_file(
    request: Request,
    job_id: str,
    role: Role,
    name: str,
    caller: Writer,
    context: ContextOf,
    content_digest: Annotated[str | None, Header(max_length=500)] = None,
    x_content_sha256: Annotated[str | None, Header(pattern="^[0-9a-fA-F]{64}$")] = None,
) -> InputView:
    """Add a file to a draft, or replace it. A digest in the headers is compared."""
    wanted = _digest(content_digest) or (x_content_sha256 or "").lower()
    name = checked_name(role, name)
    length = request.headers.get("content-length", "")
    await run_in_threadpool(
        _check_draft, context, caller, job_id, int(length) if length.isdecimal() else 0
    )
    with Incoming(context.settings) as incoming:
        await run_in_threadpool(incoming.begin, role, name)
        await pour(request, incoming.write)
        arrived = await run_in_threadpool(incoming.end)
        if wanted not in ("", arrived.sha256):
            text = f"The SHA-256 is {arrived.sha256}, not {wanted}. Send the file again."
            raise ServiceError(422, "upload.checksum", text)
        given = await run_in_threadpool(_keep, context, caller, job_id, arrived)
    return _shown(given)


@router.get("/{job_id}/inputs")
def list_inputs(job_id: str, caller: Reader, context: ContextOf) -> list[InputView]:
    """List the files of a job; who asks can leave out what is there already."""
    job = found(context, job_id, caller)
    return [_shown(one) for one in context.jobs.inputs(job.id)]


@router.delete("/{job_id}/inputs/{role}/{name:path}", status_code=204, response_class=Response)
def delete_input(job_id: str, role: Role, name: str, caller: Writer, context: ContextOf) -> None:
    """Take a file out of a draft."""
    job = found(context, job_id, caller)
    before = _of_name(context.jobs.inputs(job.id), role, name)
    if before is None:
        raise ServiceError(404, "input.not_found", f"The job has no file {name[:80]!r}.")
    with context.database.write() as connection:
        if drop_input(connection, job.id, caller.sees, role, name) is None:
            raise _no_draft(job)
        gone = blobs.release(connection, [before.key])
    remove_files(context.files, gone)


@router.post("/{job_id}/submit", status_code=202)
def submit_job(
    request: Request, response: Response, job_id: str, caller: Writer, context: ContextOf
) -> JobView:
    """Let a draft wait for a worker. It cannot be changed then."""
    job = found(context, job_id, caller)
    if job.options.get("engine") != "fake":
        check_essential(job.kind, list(job.inputs))
    ready = context.jobs.submit(job_id, caller.sees)
    if ready is None:
        raise _no_draft(job)
    context.bell.ring(ready.id)
    view = shown(context, ready, base_of(request, context))
    response.headers["Location"], response.headers["Retry-After"] = view.urls.self, "2"
    return view


def _check_draft(context: Context, caller: Caller, job_id: str, coming: int) -> None:
    job = found(context, job_id, caller)
    if job.state is not State.DRAFT:
        raise _no_draft(job)
    check_room(context, coming)


def _keep(context: Context, caller: Caller, job_id: str, arrived: Arrived) -> Input:
    """Store a file and write it down; what it replaces is removed."""
    job = found(context, job_id, caller)
    there = context.jobs.inputs(job.id)
    before = _of_name(there, arrived.role, arrived.name)
    check_files(context, [*(one for one in there if one is not before), arrived])
    taken, fresh = take(context, job.owner, [arrived])
    used: list[str] = []
    gone: list[str] = []
    try:
        with context.database.write() as connection:
            given = _written(connection, caller, job, taken[0], fresh)
            gone = blobs.release(connection, [before.key] if before is not None else [])
        used = [given.key]
    finally:
        remove_files(context.files, {*fresh, *gone} - set(used))
    return given


def _written(
    connection: Connection, caller: Caller, job: Job, given: Input, fresh: list[str]
) -> Input:
    try:
        (given,) = blobs.rely(connection, job.owner, [given], fresh)
    except BlobGone as error:
        raise ServiceError(409, error.code, str(error), retry_after=1) from None
    if put_input(connection, job.id, caller.sees, given) is None:
        raise _no_draft(job)
    return given


def _of_name(given: list[Input], role: str, name: str) -> Input | None:
    return next((one for one in given if (one.role, one.name) == (role, name)), None)


def _shown(one: Input) -> InputView:
    return InputView(role=one.role, name=one.name, size=one.size, sha256=one.sha256)


def _no_draft(job: Job) -> ServiceError:
    return ServiceError(
        409, "job.invalid_state", f"The job is {job.state.value}; only a draft can be changed."
    )


def _digest(header: str | None) -> str:
    """The SHA-256 of a Content-Digest header (RFC 9530), in hexadecimal; empty if it has none."""
    match = _DIGEST.search(header or "")
    if match is None:
        return ""
    try:
        digest = base64.b64decode(match[1], validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        text = "The Content-Digest must be sha-256=:BASE64:."
        raise ServiceError(400, "request.digest", text)
    return digest.hex()
