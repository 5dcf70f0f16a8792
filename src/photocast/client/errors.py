# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong for a caller, as exceptions.

PhotocastError
└── ClientError          the service refused, did not answer, or its answer does not hold
    └── JobFailed        it answered: the job has failed, or was canceled
"""

from email.utils import parsedate_to_datetime
from http import HTTPStatus

from pydantic import ValidationError

from photocast.client.steps import Answer, Broken
from photocast.errors import PhotocastError
from photocast.wire import JobView, Problem

__all__ = ["ClientError", "JobFailed", "failure", "refusal", "retry_after"]

_EXIT_CODES = {400: 2, 401: 2, 403: 2, 404: 2, 405: 2, 409: 2, 410: 3, 413: 3, 415: 3, 422: 3}


class ClientError(PhotocastError):
    """The service refused, did not answer, or its answer does not hold."""

    def __init__(self, message: str, *, code: str, problem: Problem | None = None) -> None:
        super().__init__(message, code=code)
        self.problem = problem
        """What the service said, if it did."""
        self.exit_code = _EXIT_CODES.get(problem.status, 1) if problem else 1

    @property
    def status(self) -> int | None:
        """Of the answer, if there was one."""
        return self.problem.status if self.problem else None


class JobFailed(ClientError):
    """The job has failed, or was canceled; ``job`` is how it ended."""

    def __init__(self, job: JobView) -> None:
        if job.error is not None:
            message = f"{job.id} has failed: {_sentence(job.error)}"
            super().__init__(message, code=job.error.code, problem=job.error)
        else:
            message = f"{job.id} was {job.state}. Start it again with rerun."
            super().__init__(message, code="job.canceled")
        self.job = job


def failure(where: str, broken: Broken) -> ClientError:
    """No answer came."""
    return ClientError(
        f"The service did not answer to {where} ({broken.reason}). Check its address, and that it "
        "runs.",
        code="client.unreachable",
    )


def refusal(answer: Answer) -> ClientError:
    """An answer of 400 and above, by what it says of itself or else by its number."""
    try:
        problem = Problem.model_validate_json(answer.body)
    except ValidationError:
        return _bare(answer)
    return ClientError(_sentence(problem), code=problem.code, problem=problem)


def retry_after(answer: Answer, now: float) -> float | None:
    """The seconds that an answer asks to wait, written as a number or as a date."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except ValueError:
        return None


def _sentence(problem: Problem) -> str:
    return f"{problem.detail} {problem.hint}" if problem.hint else problem.detail


def _bare(answer: Answer) -> ClientError:
    """A refusal by something on the way, such as a proxy; it has no code of ours."""
    known = {status.value: status.phrase for status in HTTPStatus}
    name = known.get(answer.status, "no known status")
    problem = Problem(
        type="about:blank",
        title=name,
        status=answer.status,
        code="client.answer",
        detail=f"The answer was {answer.status} ({name}). Check the address of the service.",
        retryable=answer.status in (429, 502, 503, 504),
    )
    return ClientError(problem.detail, code=problem.code, problem=problem)
