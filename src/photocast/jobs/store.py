# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs as their owners see them: create, look, list, submit, cancel, delete.

Every method takes the owner and finds nothing of anybody else's; ``owner=None`` is the
administrator.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select

from photocast.jobs import tables
from photocast.jobs.database import Database
from photocast.jobs.ids import new_id
from photocast.jobs.prepared import Prepared
from photocast.jobs.record import (
    OPEN,
    Artifact,
    Event,
    Input,
    Job,
    NewJob,
    State,
)
from photocast.jobs.rows import (
    artifact_of,
    change,
    event_of,
    input_of,
    job_of,
    read_job,
    tell,
)

__all__ = ["JobStore", "Standing", "Usage"]

_jobs, _inputs, _events = tables.jobs, tables.inputs, tables.events
_QUEUED = "waiting for a worker"
_AT_ONCE = 500  # names in a query
# built once: building a query costs more than running it
_earlier = _jobs.alias("earlier")
_place = (
    select(func.count())
    .select_from(_earlier)
    .where(
        _earlier.c.state == State.QUEUED.value,
        (_earlier.c.queued_at < _jobs.c.queued_at)
        | ((_earlier.c.queued_at == _jobs.c.queued_at) & (_earlier.c.id < _jobs.c.id)),
    )
    .scalar_subquery()
)
_STANDING = select(
    _jobs.c.id,
    _jobs.c.owner,
    _jobs.c.state,
    _jobs.c.version,
    case((_jobs.c.state == State.QUEUED.value, _place), else_=None).label("place"),
).where(_jobs.c.id == bindparam("job_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an owner takes up."""

    open_jobs: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides how a job is shown."""

    id: str
    owner: str
    state: State
    version: int
    place: int | None
    """How many jobs are before it, while it waits."""


class JobStore:
    """Every query about jobs that is made for an owner."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._standing = Prepared(database, _STANDING)

    def create(self, new: NewJob, inputs: Sequence[Input] = (), *, draft: bool = False) -> Job:
        """Write a job with its inputs, as a draft or ready for a worker."""
        with self.database.write() as connection:
            return create(connection, new, inputs, draft=draft)

    def get(self, job_id: str, owner: str | None) -> Job | None:
        """One job."""
        with self.database.read() as connection:
            job = read_job(connection, job_id)
        return job if job is not None and owner in (None, job.owner) else None

    def listed(
        self,
        owner: str | None,
        *,
        count: int,
        before: str | None = None,
        states: Sequence[State] = (),
    ) -> list[Job]:
        """Jobs, newest first, that come after one in that order."""
        query = select(_jobs).order_by(_jobs.c.id.desc()).limit(count)
        if owner is not None:
            query = query.where(_jobs.c.owner == owner)
        if before is not None:
            query = query.where(_jobs.c.id < before)
        if states:
            query = query.where(_jobs.c.state.in_([state.value for state in states]))
        with self.database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def put_input(self, job_id: str, owner: str | None, given: Input) -> Job | None:
        """Add or replace a file of a draft; ``None`` if it is no draft of that owner."""
        with self.database.write() as connection:
            return put_input(connection, job_id, owner, given)

    def submit(self, job_id: str, owner: str | None) -> Job | None:
        """Let a draft wait for a worker; ``None`` if it is no draft of that owner."""
        with self.database.write() as connection:
            return _change_owned(
                connection,
                job_id,
                owner,
                _jobs.c.state == State.DRAFT.value,
                state=State.QUEUED,
                queued_at=time.time(),
                progress={"message": _QUEUED},
            )

    def cancel(self, job_id: str, owner: str | None) -> Job | None:
        """Ask for an end; what does not run yet ends at once.

        Returns:
            The job as it is now; ``None`` if it has ended or is not this owner's.
        """
        waiting = _jobs.c.state.in_([State.DRAFT.value, State.QUEUED.value])
        running = _jobs.c.state == State.RUNNING.value
        now = time.time()
        with self.database.write() as connection:
            ended = _change_owned(
                connection,
                job_id,
                owner,
                waiting,
                state=State.CANCELED,
                cancel_requested_at=now,
                finished_at=now,
            )
            if ended is not None:
                return ended
            asked = func.coalesce(_jobs.c.cancel_requested_at, now)
            return _change_owned(connection, job_id, owner, running, cancel_requested_at=asked)

    def delete(self, job_id: str, owner: str | None) -> Job | None:
        """Forget a job that does not run, with all that hangs on it; its files are the caller's.

        Returns:
            The job as it was; ``None`` if it runs or is not this owner's.
        """
        with self.database.write() as connection:
            job = read_job(connection, job_id)
            if job is None or owner not in (None, job.owner) or job.state is State.RUNNING:
                return None
            gone = delete(_jobs).where(_jobs.c.id == job_id, _jobs.c.state == job.state.value)
            return job if connection.execute(gone).rowcount else None

    def inputs(self, job_id: str) -> list[Input]:
        """A job's files as given, by role and name."""
        with self.database.read() as connection:
            return inputs_of(connection, job_id)

    def artifacts(self, job_id: str) -> list[Artifact]:
        """What a job has made, by name."""
        table = tables.artifacts
        query = select(table).where(table.c.job_id == job_id).order_by(table.c.name)
        with self.database.read() as connection:
            return [artifact_of(row) for row in connection.execute(query)]

    def events(
        self, job_id: str, *, after: int = 0, kinds: Sequence[str] = (), count: int = 1000
    ) -> list[Event]:
        """What happened to a job, oldest first."""
        query = select(_events).where(_events.c.job_id == job_id, _events.c.id > after)
        if kinds:
            query = query.where(_events.c.type.in_(kinds))
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(_events.c.id).limit(count))
            return [event_of(row) for row in rows]

    def newest_event(self, job_id: str) -> int:
        """The number of the last event of a job."""
        query = select(func.coalesce(func.max(_events.c.id), 0)).where(_events.c.job_id == job_id)
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def versions(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The versions of several jobs; those that are gone are missing."""
        query = select(_jobs.c.id, _jobs.c.version).where(_jobs.c.id.in_(job_ids))
        with self.database.read() as connection:
            return {row.id: row.version for row in connection.execute(query)}

    def open_of(self, job_ids: Sequence[str]) -> set[str]:
        """Those of several jobs that have not ended."""
        states, found = [state.value for state in OPEN], set()
        with self.database.read() as connection:
            for first in range(0, len(job_ids), _AT_ONCE):
                part = _jobs.c.id.in_(job_ids[first : first + _AT_ONCE])
                query = select(_jobs.c.id).where(part, _jobs.c.state.in_(states))
                found |= set(connection.execute(query).scalars())
        return found

    def standing(self, job_id: str) -> Standing | None:
        """How one job stands, whoever owns it."""
        row = self._standing.row(job_id=job_id)
        if row is None:
            return None
        name, owner, state, version, place = row
        return Standing(name, owner, State(state), version, place)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        query = select(_jobs.c.state, func.count()).group_by(_jobs.c.state)
        with self.database.read() as connection:
            found = {state: int(count) for state, count in connection.execute(query)}
        return {state.value: found.get(state.value, 0) for state in State}

    def usage(self, owner: str) -> Usage:
        """What an owner takes up: open jobs, and bytes of inputs and results."""
        with self.database.read() as connection:
            return usage(connection, owner)


def create(
    connection: Connection, new: NewJob, given: Sequence[Input] = (), *, draft: bool = False
) -> Job:
    """Write a job with its inputs inside a transaction; see :meth:`JobStore.create`."""
    now = time.time()
    values: dict[str, Any] = {
        **asdict(new),
        "id": new_id("job"),
        "kind": new.kind.value,
        "state": (State.DRAFT if draft else State.QUEUED).value,
        "version": 1,
        "created_at": now,
        "queued_at": None if draft else now,
        "attempt": 0,
        "losses": 0,
        "beat": 0,
        "progress": {} if draft else {"message": _QUEUED},
        "inputs": {},
        "warnings": [],
        "artifacts_state": "none",
    }
    connection.execute(insert(_jobs).values(values))
    job_id = values["id"]
    _insert_inputs(connection, job_id, given)
    tell(connection, job_id, "state", {"state": values["state"], "attempt": 0})
    job = change(connection, job_id, inputs=_counts(connection, job_id))
    assert job is not None  # it was written three lines above
    return job


def inputs_of(connection: Connection, job_id: str) -> list[Input]:
    """A job's files inside a transaction; see :meth:`JobStore.inputs`."""
    query = select(_inputs).where(_inputs.c.job_id == job_id)
    rows = connection.execute(query.order_by(_inputs.c.role, _inputs.c.name))
    return [input_of(row) for row in rows]


def put_input(connection: Connection, job_id: str, owner: str | None, given: Input) -> Job | None:
    """Add or replace a file of a draft inside a transaction; see :meth:`JobStore.put_input`."""
    if not drop_input(connection, job_id, owner, given.role, given.name):
        return None
    _insert_inputs(connection, job_id, [given])
    return change(connection, job_id, inputs=_counts(connection, job_id))


def drop_input(
    connection: Connection, job_id: str, owner: str | None, role: str, name: str
) -> Job | None:
    """Remove a file of a draft, if it is there; ``None`` if it is no draft of that owner."""
    if _change_owned(connection, job_id, owner, _jobs.c.state == State.DRAFT.value) is None:
        return None
    same = (_inputs.c.role == role, _inputs.c.name == name)
    connection.execute(delete(_inputs).where(_inputs.c.job_id == job_id, *same))
    return change(connection, job_id, inputs=_counts(connection, job_id))


def usage(connection: Connection, owner: str) -> Usage:
    """What an owner takes up, inside a transaction."""
    states = [state.value for state in OPEN]
    mine = _jobs.c.owner == owner
    jobs = select(func.count()).where(mine, _jobs.c.state.in_(states))
    stored = select(func.coalesce(func.sum(tables.blobs.c.size), 0)).where(
        tables.blobs.c.owner == owner
    )
    made = (
        select(func.coalesce(func.sum(tables.artifacts.c.size), 0))
        .join(_jobs, _jobs.c.id == tables.artifacts.c.job_id)
        .where(mine)
    )
    total = connection.execute(stored).scalar_one() + connection.execute(made).scalar_one()
    return Usage(open_jobs=int(connection.execute(jobs).scalar_one()), stored_bytes=int(total))


def _change_owned(
    connection: Connection, job_id: str, owner: str | None, *where: Any, **values: Any
) -> Job | None:
    own = () if owner is None else (_jobs.c.owner == owner,)
    return change(connection, job_id, *own, *where, **values)


def _insert_inputs(connection: Connection, job_id: str, given: Sequence[Input]) -> None:
    if given:
        rows = [{"job_id": job_id, **asdict(one)} for one in given]
        connection.execute(insert(_inputs), rows)


def _counts(connection: Connection, job_id: str) -> dict[str, Any]:
    """How many files of each role a job has, and their size."""
    query = (
        select(_inputs.c.role, func.count(), func.sum(_inputs.c.size))
        .where(_inputs.c.job_id == job_id)
        .group_by(_inputs.c.role)
    )
    rows = connection.execute(query).all()
    found = {role: int(count) for role, count, _ in rows}
    return {**found, "bytes": sum(int(size) for _, _, size in rows)}
