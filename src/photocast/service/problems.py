# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every refusal as ``application/problem+json`` (RFC 9457), with a stable code.

What prevents a job from starting is an HTTP error. What happens to it later is in ``job.error``,
the same object, in an answer with status 200.
"""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from photocast.errors import ConfigError, PhotocastError, StorageError, UnsuitableInput, UserError
from photocast.jobs.database import DatabaseDown
from photocast.telling import request_id
from photocast.wire import Problem, ProblemItem

__all__ = ["ServiceError", "install", "job_problem"]

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:photocast:problem:"
_TITLES = {
    400: "The request cannot be read",
    401: "A key is needed",
    403: "The key may not do this",
    404: "There is nothing here",
    405: "That method is not for this",
    409: "The job is not in a state for this",
    410: "The files have been removed",
    412: "It has changed meanwhile",
    413: "That is too large",
    415: "That kind of file is not read",
    416: "There are no such bytes",
    422: "Something in the request is wrong",
    429: "Too much at once",
    500: "The service made a mistake",
    503: "The service cannot answer now",
    507: "The disk is full",
}
_STORAGE = {"storage.full": 507, "storage.unavailable": 503, "storage.missing": 410}


class ServiceError(PhotocastError):
    """A refusal with the status that it is answered with."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        retry_after: float | None = None,
        errors: Sequence[ProblemItem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.status, self.hint, self.errors = status, hint, list(errors)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after)))


def job_problem(error: dict[str, Any]) -> Problem:
    """What is in a job's row as the object that a client gets."""
    code = str(error.get("code", "job.internal"))
    return Problem(
        type=_TYPE + code,
        title=str(error.get("title", "The job failed")),
        status=500 if error.get("retryable") else 422,
        code=code,
        detail=str(error.get("detail", "")),
        retryable=bool(error.get("retryable", False)),
        hint=error.get("hint"),
        errors=[ProblemItem(**item) for item in error.get("errors", ())],
    )


def install(app: FastAPI) -> None:
    """Answer every error of an application this way."""
    app.add_exception_handler(PhotocastError, _photocast)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _bug)


def answer(error: ServiceError) -> Response:
    """A refusal as a response."""
    problem = Problem(
        type=_TYPE + error.code,
        title=_TITLES.get(error.status, "The request failed"),
        status=error.status,
        code=error.code,
        detail=str(error),
        retryable=error.status in (429, 503, 507) or "Retry-After" in error.headers,
        hint=error.hint,
        request_id=request_id.get() or None,
        errors=error.errors,
    )
    return Response(
        problem.model_dump_json(), error.status, headers=error.headers, media_type=MEDIA_TYPE
    )


async def _photocast(request: Request, error: Exception) -> Response:
    assert isinstance(error, PhotocastError)  # it is installed for those
    if isinstance(error, ServiceError):
        return answer(error)
    if isinstance(error, DatabaseDown):
        _log.error("%s", error, extra={"event": "database.down"})
        detail = "The database does not answer. Try again in a moment."
        return answer(ServiceError(503, error.code, detail, retry_after=5))
    if isinstance(error, StorageError):
        status = _STORAGE.get(error.code, 503)
        _log.error("%s", error, extra={"event": "storage.down"})
        return answer(
            ServiceError(status, error.code, str(error), retry_after=60 if status > 500 else None)
        )
    status = 422 if isinstance(error, UnsuitableInput | UserError | ConfigError) else 500
    return answer(ServiceError(status, error.code, str(error)))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # it is installed for those
    items = [
        ProblemItem(
            pointer="/" + "/".join(str(part) for part in one["loc"]),
            code="request.invalid",
            detail=one["msg"],
        )
        for one in error.errors()[:50]
    ]
    detail = f"{len(items)} fields are wrong; the first: {items[0].pointer}: {items[0].detail}."
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return answer(ServiceError(400, "request.malformed", detail, errors=items))
    return answer(ServiceError(422, "request.invalid", detail, errors=items))


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # it is installed for those
    status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
    if status == 404:
        return answer(
            ServiceError(404, "http.not_found", "There is no such path.", headers=headers)
        )
    if status == 405:
        return answer(ServiceError(405, "http.method", detail, headers=headers))
    if status == 413:
        return answer(ServiceError(413, "request.too_large", detail, headers=headers))
    return answer(ServiceError(status, "request.malformed", detail, headers=headers))


async def _bug(request: Request, error: Exception) -> Response:
    _log.error("bug", exc_info=error, extra={"event": "request.bug", "path": request.url.path})
    detail = "The service made a mistake; its log has the details under this request's number."
    return answer(ServiceError(500, "internal", detail))
