# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How a job's process ended, and what becomes of the job."""

from dataclasses import dataclass
from typing import Any

from photocast.config import MAX_SIZES
from photocast.jobs.lease import Outcome
from photocast.jobs.record import Job, State

__all__ = ["Ending", "busy", "error_of"]

_SMALLER = 0.5  # of the longest side, after the device had no memory


@dataclass(slots=True)
class Ending:
    """What is known about a process that has ended."""

    done: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    reason: str = ""
    """Why the supervisor ended it: ``cancel``, ``deadline``, ``memory`` or ``shutdown``."""
    code: int | None = None
    gpu_peak: int | None = None
    """Most GPU memory that the job's processes held [bytes]."""

    @property
    def facts(self) -> dict[str, Any]:
        return {} if self.gpu_peak is None else {"gpu_peak_bytes": self.gpu_peak}

    @property
    def seconds(self) -> dict[str, float]:
        return dict((self.done or {}).get("seconds", {}))

    def outcome(self, job: Job) -> Outcome:
        """What becomes of the job."""
        if self.done is not None:
            warnings = tuple(self.done.get("warnings", ()))
            verdict = self.done.get("verdict")
            return Outcome(state=State.SUCCEEDED, verdict=verdict, warnings=warnings)
        if self.reason == "cancel":
            return Outcome(state=State.CANCELED)
        if self.reason == "shutdown":
            return Outcome(state=State.QUEUED)
        if self.reason == "deadline":
            detail = f"It ran for its limit of {job.max_seconds:g} s. Use a faster preset."
            return Outcome(state=State.FAILED, error=error_of("job.timeout", detail))
        if self.reason == "memory":
            detail = "It needed more memory than a job may have. Use fewer or smaller photos."
            return Outcome(state=State.FAILED, error=error_of("job.out_of_memory", detail))
        if self.error is None or self.error.get("canceled"):  # died, or somebody else stopped it
            return Outcome(state=State.QUEUED, lost=True)
        if self.error["code"] == "memory.exhausted" and not job.options.get("max_size_halved"):
            return _smaller(job)
        retryable = bool(self.error.get("retryable"))
        return Outcome(
            state=State.FAILED, error=error_of(self.error["code"], self.error["detail"], retryable)
        )


def busy(needed: int, seconds: float) -> dict[str, Any]:
    detail = (
        f"Other processes held the GPU for {seconds:g} s; the job waits for {needed / 1e9:.1f} GB. "
        "Try again later, or end what else runs on it."
    )
    return error_of("gpu.busy", detail, retryable=True)


def _smaller(job: Job) -> Outcome:
    preset = str(job.options.get("preset", "standard"))
    now = job.options.get("max_size") or MAX_SIZES[preset]
    size = max(int(now * _SMALLER), 64)
    note = f"The GPU had not enough memory for photos of {now} px; tried again once with {size} px."
    options = {**job.options, "max_size": size, "max_size_halved": True}
    return Outcome(state=State.QUEUED, options=options, warnings=(note,))


def error_of(code: str, detail: str, retryable: bool = False) -> dict[str, Any]:
    return {"code": code, "detail": detail, "retryable": retryable}
