# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/jobs/{id}``, which clients ask for again and again.

It is answered past FastAPI's treatment of parameters, which takes longer than the rest together.
An answer is kept as text until the job's version changes; whether it has is one small query.
"""

import re
from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from photocast.jobs.ids import is_id
from photocast.jobs.record import FINAL
from photocast.jobs.store import Standing
from photocast.service.auth import Caller, reads
from photocast.service.context import Context, context_of
from photocast.service.refusals import job_not_found
from photocast.service.views import base_of, job_view

__all__ = ["ROUTE", "answer"]

_POLL_AFTER_S = 2
_LONGEST_WAIT_S = 60
_KEPT = 2000


class Answers:
    """Answers as text, by what decides them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int | None, str], str] = OrderedDict()

    def get(self, context: Context, standing: Standing, base: str) -> str | None:
        """The job as JSON; ``None`` if it is gone."""
        key = (standing.id, standing.version, standing.place, base)
        text = self._kept.get(key)
        if text is not None:
            return text
        job = context.jobs.get(standing.id, None)
        if job is None:
            return None
        text = job_view(job, base, position=standing.place).model_dump_json()
        if job.version == standing.version:  # or it has changed since
            self._kept[key] = text
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return text


async def answer(request: Request) -> Response:
    """Look at a job; `Prefer: wait=30` answers when it changes, or after so many seconds.

    Raises:
        ServiceError: There is no such job of this caller.
    """
    request.scope["route"] = ROUTE  # as FastAPI does, for logs and metrics
    caller = await reads(request)
    context, job_id = context_of(request), request.path_params["job_id"]
    standing = await context.look(_standing, context, job_id, caller)
    seen = request.headers.get("if-none-match")
    seconds = _wait_of(request.headers.get("prefer"))
    if seconds and standing.state not in FINAL and seen in (None, _etag(standing)):
        await request.app.state.hub.changed(job_id, standing.version, seconds)
        standing = await context.look(_standing, context, job_id, caller)
    headers = {"ETag": _etag(standing), "Cache-Control": "private, no-cache"}
    if standing.state not in FINAL:
        headers["Retry-After"] = str(_POLL_AFTER_S)
    if seen == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    base = base_of(request, context)
    text = await context.look(request.app.state.answers.get, context, standing, base)
    if text is None:
        raise job_not_found(job_id)
    return Response(text, headers=headers, media_type="application/json")


ROUTE = Route("/v1/jobs/{job_id}", answer, methods=["GET"])
"""To be found before FastAPI's own, which describes the same for the API's description."""


def _standing(context: Context, job_id: str, caller: Caller) -> Standing:
    standing = context.jobs.standing(job_id) if is_id(job_id, "job") else None
    if standing is None or caller.sees not in (None, standing.owner):
        raise job_not_found(job_id)
    return standing


def _etag(standing: Standing) -> str:
    return (
        f'"{standing.version}"'
        if standing.place is None
        else f'"{standing.version}.{standing.place}"'
    )


def _wait_of(prefer: str | None) -> float:
    match = re.search(r"\bwait=(\d{1,4})\b", prefer or "")
    return min(float(match[1]), _LONGEST_WAIT_S) if match else 0.0
