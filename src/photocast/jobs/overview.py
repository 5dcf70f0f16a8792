# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole service in a few numbers."""

from dataclasses import dataclass

from sqlalchemy import func, select

from photocast.jobs.database import Database
from photocast.jobs.record import State
from photocast.jobs.tables import artifacts, blobs, deliveries, jobs

__all__ = ["Overview", "look"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What there is at one moment."""

    jobs: dict[str, int]
    """By state; every state is there."""
    oldest_queued_at: float | None
    """Since when the first in the queue waits."""
    input_bytes: int
    artifact_bytes: int
    messages_waiting: int


def look(database: Database) -> Overview:
    """Count everything, in one transaction."""
    by_state = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    oldest = select(func.min(jobs.c.queued_at)).where(jobs.c.state == State.QUEUED.value)
    waiting = select(func.count()).where(deliveries.c.state == "waiting")
    with database.read() as connection:
        found = {state: int(count) for state, count in connection.execute(by_state)}
        return Overview(
            jobs={state.value: found.get(state.value, 0) for state in State},
            oldest_queued_at=connection.execute(oldest).scalar(),
            input_bytes=int(connection.execute(select(func.sum(blobs.c.size))).scalar() or 0),
            artifact_bytes=int(
                connection.execute(select(func.sum(artifacts.c.size))).scalar() or 0
            ),
            messages_waiting=int(connection.execute(waiting).scalar_one()),
        )
