# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which workers there are and when they were last seen; for people, readiness and metrics."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from photocast.jobs.database import Database
from photocast.jobs.tables import workers

__all__ = ["SEEN_SECONDS", "Presence", "Seen"]

SEEN_SECONDS = 60.0
"""A worker that was not seen for so long counts as gone."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker."""

    id: str
    started_at: float
    seen_at: float
    facts: dict[str, Any]
    """``host``, ``device``, free memory, as the worker tells."""


class Presence:
    """The table of workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(self, worker: str, facts: dict[str, Any]) -> None:
        """Say that a worker lives."""
        now = time.time()
        with self._database.write() as connection:
            row = update(workers).where(workers.c.id == worker)
            values = {"seen_at": now, "facts": facts}
            if not connection.execute(row.values(values)).rowcount:
                connection.execute(
                    insert(workers).values(id=worker, started_at=now, seen_at=now, facts=facts)
                )

    def forget(self, worker: str) -> None:
        """Say that a worker has ended."""
        with self._database.write() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker))

    def seen(self) -> list[Seen]:
        """Workers that were seen lately."""
        since = time.time() - SEEN_SECONDS
        query = select(workers).where(workers.c.seen_at >= since).order_by(workers.c.id)
        with self._database.read() as connection:
            return [Seen(r.id, r.started_at, r.seen_at, r.facts) for r in connection.execute(query)]
