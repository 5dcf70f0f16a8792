# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What happened, for counting: rows that are only ever added, so that counters never fall.

Jobs and messages are deleted by their owners; what is counted about them is written here, in the
transaction that it tells of. It shares the table ``history`` with the stages of jobs.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from photocast.jobs.database import Database
from photocast.jobs.record import Job
from photocast.jobs.tables import history

__all__ = ["JOB_ENDED", "JOB_LOST", "MESSAGE_TRIED", "Entry", "note", "note_end", "read_after"]

JOB_ENDED, JOB_LOST, MESSAGE_TRIED = "job.ended", "job.lost", "message.tried"
_SETTLED_S = 5.0  # by then, transactions that took an earlier number have ended


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table."""

    id: int
    kind: str
    """One of the names above, or the profile of a run: then the facts are seconds by stage."""
    facts: dict[str, Any]


def note(connection: Connection, kind: str, facts: Mapping[str, Any]) -> None:
    """Write down that something happened."""
    values = {"at": time.time(), "profile": kind, "facts": dict(facts)}
    connection.execute(insert(history).values(values))


def note_end(connection: Connection, job: Job, facts: Mapping[str, Any]) -> None:
    """Write down how a job has ended; ``facts`` are what its last run measured."""
    ran = job.started_at is not None and job.finished_at is not None
    told = {
        **facts,
        "state": job.state.value,
        "kind": job.kind.value,
        "engine": str(job.options.get("engine", "")),
        "preset": str(job.options.get("preset", "")),
        "code": (job.error or {}).get("code"),
        "attempts": job.attempt,
        "seconds": (job.finished_at or 0) - (job.started_at or 0) if ran else None,
    }
    note(connection, JOB_ENDED, told)


def read_after(database: Database, number: int, count: int = 5000) -> list[Entry]:
    """Entries after a number, oldest first; the newest few seconds are left for the next time."""
    query = (
        select(history.c.id, history.c.profile, history.c.facts)
        .where(history.c.id > number, history.c.at < time.time() - _SETTLED_S)
        .order_by(history.c.id)
        .limit(count)
    )
    with database.read() as connection:
        return [Entry(row.id, row.profile, row.facts) for row in connection.execute(query)]
