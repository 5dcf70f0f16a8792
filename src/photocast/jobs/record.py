# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a job is, and which changes of state there are.

    draft ──> queued <──> running ──> succeeded
      └─────────┴─> canceled <─┴────> failed

A job comes back from ``running`` to ``queued`` when its worker is lost or shuts down. Final states
never change. A request to cancel is a field, not a state: nobody acts differently on it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = [
    "FINAL",
    "MOVES",
    "OPEN",
    "Artifact",
    "Event",
    "Input",
    "Job",
    "Kind",
    "NewJob",
    "State",
    "sources_of",
]


class State(str, Enum):
    """Where a job stands; a past participle is final."""

    DRAFT = "draft"
    """Inputs are still being uploaded."""
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    """There is a result; whether it is good is its verdict."""
    FAILED = "failed"
    CANCELED = "canceled"


class Kind(str, Enum):
    """What is done for a job."""

    RECONSTRUCT = "reconstruct"
    MESH_REPORT = "mesh_report"


MOVES: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.QUEUED, State.CANCELED}),
    State.QUEUED: frozenset({State.RUNNING, State.CANCELED}),
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELED, State.QUEUED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELED: frozenset(),
}
"""Every change of state that there is."""
FINAL = frozenset(state for state, after in MOVES.items() if not after)
OPEN = frozenset(State) - FINAL


def sources_of(state: State) -> tuple[State, ...]:
    """The states from which a job may come into this one."""
    return tuple(before for before, after in MOVES.items() if state in after)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a caller decides about a job."""

    owner: str
    kind: Kind = Kind.RECONSTRUCT
    options: dict[str, Any]
    """Settings of the run, already checked."""
    labels: dict[str, str]
    parent_id: str | None = None
    webhook: dict[str, Any] | None = None
    """``url``, ``secret`` and ``events`` to tell."""
    max_seconds: float
    """When a run is stopped [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the table ``jobs``. Times are seconds since 1970, UTC."""

    id: str
    owner: str
    kind: Kind
    state: State
    version: int
    """Grows with every change; the ETag."""
    created_at: float
    queued_at: float | None
    started_at: float | None
    finished_at: float | None
    options: dict[str, Any]
    labels: dict[str, str]
    parent_id: str | None
    webhook: dict[str, Any] | None
    max_seconds: float
    attempt: int
    """Grows whenever a worker takes the job; whoever writes must name it."""
    losses: int
    """How often its worker or its process vanished."""
    lease_owner: str | None
    beat: int
    """Grows while the worker lives."""
    cancel_requested_at: float | None
    progress: dict[str, Any]
    inputs: dict[str, Any]
    """Counts by role, ``bytes`` and ``cameras``."""
    verdict: str | None
    warnings: list[str]
    error: dict[str, Any] | None
    artifacts_state: str
    """``none``, ``available`` or ``expired``."""
    expires_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file that a job was given."""

    role: str
    """``images``, ``masks``, ``depths``, ``cameras`` or ``mesh``."""
    name: str
    """As the user calls it: unique within its role, never used as a path unchecked."""
    key: str
    """Where its content lies in the file store."""
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a job made."""

    name: str
    key: str
    sha256: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job; numbers grow over all jobs."""

    id: int
    job_id: str
    at: float
    type: str
    """``state``, ``progress``, ``log`` or ``artifact``."""
    data: dict[str, Any]
