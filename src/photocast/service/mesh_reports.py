# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``POST /v1/mesh-reports``: what is wrong with a mesh that somebody has, whoever made it."""

from typing import Any, get_args

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from photocast.jobs.record import Kind
from photocast.service.auth import Writer
from photocast.service.context import ContextOf
from photocast.service.forms import read_form
from photocast.service.incoming import Incoming
from photocast.service.jobs import check_open_jobs
from photocast.service.making import Wanted, check_room, make_job
from photocast.service.once import IdempotencyKey, one_at_a_time
from photocast.service.problems import ServiceError
from photocast.wire import JobRequest, JobView, Options

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["jobs"])
_PROFILES = get_args(Options.model_fields["profile"].annotation)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["mesh"],
                    "properties": {
                        "mesh": {"type": "string", "format": "binary"},
                        "profile": {"type": "string", "enum": list(_PROFILES)},
                    },
                }
            }
        },
    }
}


@router.post("/mesh-reports", status_code=202, response_model=JobView, openapi_extra=_BODY)
async def report_on_mesh(
    request: Request,
    caller: Writer,
    context: ContextOf,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Check a mesh: a job whose files are `report.json` and `report.html`."""
    with one_at_a_time(request, caller, idempotency_key), Incoming(context.settings) as incoming:
        await run_in_threadpool(check_room, context)
        if idempotency_key is None:  # else it may be answered already
            await run_in_threadpool(check_open_jobs, context, caller.owner)
        fields = await read_form(request, incoming, ("mesh",), ("profile",))
        profile = fields.get("profile", "view")
        if profile not in _PROFILES:
            text = f"The profile must be one of {', '.join(_PROFILES)}."
            raise ServiceError(422, "profile.unknown", text)
        wanted = JobRequest(options=Options.model_validate({"profile": profile}))
        job = Wanted(kind=Kind.MESH_REPORT, request=wanted)
        return await run_in_threadpool(
            make_job, request, context, caller, job, incoming.files, idempotency_key
        )
