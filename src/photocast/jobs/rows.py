# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rows as records, and the one way to change a job.

Every change of a job goes through :func:`change`: one conditional UPDATE that raises the version,
then the events that tell of it. The row's lock is held before an event gets its number, so the
numbers of one job's events are in the order in which they can be read.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from photocast.jobs import tables
from photocast.jobs.ledger import note_end
from photocast.jobs.outbox import enqueue
from photocast.jobs.record import FINAL, Artifact, Event, Input, Job, Kind, State, sources_of

__all__ = [
    "artifact_of",
    "change",
    "event_of",
    "input_of",
    "job_of",
    "read_job",
    "tell",
]

_jobs, _events = tables.jobs, tables.events
# built once: building a query costs more than running it
_COLUMNS = [column.name for column in _jobs.c]
_ONE = select(_jobs).where(_jobs.c.id == bindparam("job_id"))


def job_of(row: Row[Any]) -> Job:
    """A row of ``jobs`` as a record."""
    return _job(row)


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["kind"], values["state"] = Kind(values["kind"]), State(values["state"])
    return Job(**values)


def input_of(row: Row[Any]) -> Input:
    """A row of ``inputs`` as a record."""
    return Input(role=row.role, name=row.name, key=row.key, sha256=row.sha256, size=row.size)


def artifact_of(row: Row[Any]) -> Artifact:
    """A row of ``artifacts`` as a record."""
    return Artifact(
        name=row.name, key=row.key, sha256=row.sha256, size=row.size, media_type=row.media_type
    )


def event_of(row: Row[Any]) -> Event:
    """A row of ``events`` as a record."""
    return Event(id=row.id, job_id=row.job_id, at=row.at, type=row.type, data=row.data)


def read_job(connection: Connection, job_id: str) -> Job | None:
    """One job by name, whoever owns it."""
    row = connection.execute(_ONE, {"job_id": job_id}).first()
    return None if row is None else job_of(row)


def tell(connection: Connection, job_id: str, kind: str, data: Mapping[str, Any]) -> None:
    """Write down that something happened; the job's row was changed in this transaction."""
    values = {"job_id": job_id, "at": time.time(), "type": kind, "data": dict(data)}
    connection.execute(insert(_events).values(values))


def change(
    connection: Connection,
    job_id: str,
    *where: ColumnElement[bool],
    state: State | None = None,
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
    facts: Mapping[str, Any] | None = None,
    **values: Any,
) -> Job | None:
    """Change a job if it still is as expected.

    Args:
        connection: A writing transaction.
        job_id: Which job.
        where: What must hold of its row besides.
        state: The new state; the present one must be one that leads there.
        events: What else to tell, as type and data.
        facts: What the run measured, if the job ends; for counting.
        values: Columns to set.

    Returns:
        The job as it is now; ``None`` if nothing was changed.
    """
    conditions = [_jobs.c.id == job_id, *where]
    if state is not None:
        conditions.append(_jobs.c.state.in_([before.value for before in sources_of(state)]))
        values["state"] = state.value
    statement = (
        update(_jobs)
        .where(*conditions)
        .values(version=_jobs.c.version + 1, **values)
        .returning(*_jobs.c)
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    job = job_of(row)
    if state is not None:
        if state in FINAL:  # progress of the past is of no use to anybody
            steps = (_events.c.job_id == job_id, _events.c.type == "progress")
            connection.execute(delete(_events).where(*steps))
            note_end(connection, job, facts or {})
        tell(connection, job_id, "state", {"state": state.value, "attempt": job.attempt})
        enqueue(connection, job)
    for kind, data in events:
        tell(connection, job_id, kind, data)
    return job
