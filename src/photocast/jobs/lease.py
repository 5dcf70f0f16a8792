# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Who works on a job: claim, beat, finish, give back, and what becomes of lost workers' jobs.

A lease is a counter that its holder raises. Whoever watches it takes the job away when the counter
has stood still for the whole lease by the watcher's own monotonic clock. Wall clocks, which jump
and differ between hosts, decide nothing. The holder stops by its own monotonic clock, well before:
if it could not beat for a part of the lease, it ends its process and writes no more. Every write
names the attempt, so a holder that was taken for dead changes nothing.

Source of the idea: Gray and Cheriton, Leases (SOSP 1989), with the fencing numbers of Lamport's
logical clocks in place of synchronised ones.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from photocast.jobs.database import Database
from photocast.jobs.ledger import JOB_LOST, note
from photocast.jobs.record import Artifact, Job, State
from photocast.jobs.rows import change, job_of, read_job
from photocast.jobs.tables import artifacts, jobs

__all__ = ["LeaseTable", "Outcome", "Watch"]

_CRASHED = {
    "code": "job.worker_crashed",
    "title": "The job's process died",
    "retryable": True,
    "hint": "The input may need more memory than there is: try fewer or smaller photos.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended."""

    state: State
    """``succeeded``, ``failed`` or ``canceled``; ``queued`` to try again."""
    verdict: str | None = None
    error: dict[str, Any] | None = None
    warnings: Sequence[str] = ()
    artifacts: Sequence[Artifact] = ()
    expires_at: float | None = None
    options: dict[str, Any] | None = None
    """Other settings for the next attempt."""
    lost: bool = False
    """The process vanished; this counts against the job."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the run measured, for counting."""


class LeaseTable:
    """What workers do with jobs."""

    def __init__(self, database: Database, *, max_losses: int = 2) -> None:
        """Use a database; a job whose process vanishes more than ``max_losses`` times fails."""
        self._database = database
        self._max_losses = max_losses

    def claim(self, worker: str, job_id: str | None = None) -> Job | None:
        """Take the oldest waiting job, or a certain one; ``None`` if there is none."""
        if job_id is None and not self.waiting():
            return None  # found without the lock that writers wait for
        with self._database.write() as connection:
            while True:
                chosen = job_id or connection.execute(_oldest()).scalar()
                if chosen is None:
                    return None
                job = change(
                    connection,
                    chosen,
                    state=State.RUNNING,
                    lease_owner=worker,
                    attempt=jobs.c.attempt + 1,
                    beat=jobs.c.beat + 1,
                    started_at=time.time(),
                    progress={"percent": 0.0, "message": "starting"},
                )
                if job is not None or job_id is not None:
                    return job

    def beat(self, job: Job) -> bool | None:
        """Show that the worker lives.

        Returns:
            Whether the job should be cancelled; ``None`` if it is no longer this worker's.
        """
        statement = (
            update(jobs)
            .where(*_mine(job))
            .values(beat=jobs.c.beat + 1)
            .returning(jobs.c.cancel_requested_at)
        )
        with self._database.write() as connection:
            row = connection.execute(statement).first()
        return None if row is None else row.cancel_requested_at is not None

    def cancel_wanted(self, job: Job) -> bool | None:
        """As :meth:`beat`, without writing."""
        query = select(jobs.c.cancel_requested_at).where(*_mine(job))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else row.cancel_requested_at is not None

    def report(
        self,
        job: Job,
        progress: Mapping[str, Any] | None,
        logs: Sequence[Mapping[str, Any]] = (),
    ) -> bool:
        """Write how far the job is and what it says; false if it is no longer this worker's."""
        events = [("log", log) for log in logs]
        values: dict[str, Any] = {}
        if progress is not None:
            events.insert(0, ("progress", progress))
            values["progress"] = dict(progress)
        with self._database.write() as connection:
            return change(connection, job.id, *_mine(job), events=events, **values) is not None

    def finish(self, job: Job, outcome: Outcome) -> Job | None:
        """Write how the attempt ended, and its files, at once.

        Returns:
            The job as it is now; ``None`` if it was no longer this worker's and nothing is written.
        """
        with self._database.write() as connection:
            now = read_job(connection, job.id)
            if now is None:
                return None
            return self._end(connection, now, outcome, "process", _mine(job))

    def release(self, worker: str) -> list[Job]:
        """Give back all jobs of a worker that is known to be dead, with its processes."""
        query = select(jobs).where(
            jobs.c.state == State.RUNNING.value, jobs.c.lease_owner == worker
        )
        back = Outcome(state=State.QUEUED, lost=True)
        with self._database.write() as connection:
            held = [job_of(row) for row in connection.execute(query.order_by(jobs.c.id))]
            ended = [self._end(connection, job, back, "worker", _mine(job)) for job in held]
        return [job for job in ended if job is not None]

    def running(self) -> list[Job]:
        """All jobs that a worker holds."""
        query = select(jobs).where(jobs.c.state == State.RUNNING.value)
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def waiting(self) -> list[str]:
        """The names of all jobs that wait, oldest first."""
        with self._database.read() as connection:
            return list(connection.execute(_waiting()).scalars())

    def take_back(self, job: Job) -> Job | None:
        """Take a job from a worker whose counter stands still; ``None`` if it moved after all."""
        back = Outcome(state=State.QUEUED, lost=True)
        with self._database.write() as connection:
            now = read_job(connection, job.id)
            if now is None or now.beat != job.beat:
                return None
            still = (*_mine(job), jobs.c.beat == job.beat)
            return self._end(connection, now, back, "lease", still)

    def _end(
        self, connection: Connection, job: Job, outcome: Outcome, what: str, where: tuple[Any, ...]
    ) -> Job | None:
        values: dict[str, Any] = {"lease_owner": None, "losses": job.losses + outcome.lost}
        state, error = outcome.state, outcome.error
        if state is State.QUEUED and job.cancel_requested_at is not None:
            state = State.CANCELED
        elif state is State.QUEUED and values["losses"] > self._max_losses:
            state, error = State.FAILED, _crashed(values["losses"])
        if state is State.QUEUED:
            message = "its worker was lost; waiting for another" if outcome.lost else "waiting"
            values |= {"queued_at": job.queued_at, "progress": {"message": message}}
        else:
            values |= {"finished_at": time.time(), "error": error, "verdict": outcome.verdict}
            values["progress"] = _final_progress(job, state)
        if outcome.options is not None:
            values["options"] = outcome.options
        if outcome.warnings:
            values["warnings"] = [*job.warnings, *outcome.warnings]
        if outcome.artifacts:
            values |= {"artifacts_state": "available", "expires_at": outcome.expires_at}
        events = [("artifact", {"name": one.name}) for one in outcome.artifacts]
        ended = change(
            connection, job.id, *where, state=state, events=events, facts=outcome.facts, **values
        )
        if ended is not None and outcome.lost:
            note(connection, JOB_LOST, {"what": what})
        if ended is not None and outcome.artifacts:
            connection.execute(delete(artifacts).where(artifacts.c.job_id == job.id))
            rows = [{"job_id": job.id, **asdict(one)} for one in outcome.artifacts]
            connection.execute(insert(artifacts), rows)
        return ended


class Watch:
    """Notices leases whose counter stands still."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease = lease_seconds
        self._seen: dict[str, tuple[int, float]] = {}

    def stale(self, running: Sequence[Job], now: float | None = None) -> list[Job]:
        """Look at all running jobs; those that have not moved for a whole lease.

        Args:
            running: As they are in the database at this moment.
            now: Seconds of a monotonic clock; the process's own by default.
        """
        now = time.monotonic() if now is None else now
        before = self._seen
        self._seen = {
            job.id: before[job.id]
            if before.get(job.id, (None, 0.0))[0] == job.beat
            else (job.beat, now)
            for job in running
        }
        return [job for job in running if now - self._seen[job.id][1] >= self._lease]


def _mine(job: Job) -> tuple[Any, ...]:
    return (
        jobs.c.id == job.id,
        jobs.c.state == State.RUNNING.value,
        jobs.c.attempt == job.attempt,
        jobs.c.lease_owner == job.lease_owner,
    )


def _waiting() -> Any:
    waiting = select(jobs.c.id).where(jobs.c.state == State.QUEUED.value)
    return waiting.order_by(jobs.c.queued_at, jobs.c.id)


def _oldest() -> Any:
    # Another worker takes what is locked at this moment. SQLite has one writer and no such clause.
    return _waiting().limit(1).with_for_update(skip_locked=True)


def _crashed(losses: int) -> dict[str, Any]:
    detail = f"Its process or worker vanished {losses} times while it ran; it is not tried again."
    return {**_CRASHED, "detail": detail}


def _final_progress(job: Job, state: State) -> dict[str, Any]:
    if state is State.SUCCEEDED:
        return {"percent": 100.0, "message": "done"}
    return {**job.progress, "message": state.value}
