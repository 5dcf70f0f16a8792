# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of webhooks after they were written: who sends one, how it went, what is next.

Whoever claims a message moves its due time a little ahead, in one conditional write: nobody else
sends it meanwhile, and if the sender dies, it is simply due again. So a message may arrive twice,
with the same name, and is never forgotten.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update

from photocast.jobs.database import Database
from photocast.jobs.ledger import MESSAGE_TRIED, note
from photocast.jobs.rows import change
from photocast.jobs.tables import deliveries, jobs

__all__ = ["PAUSES", "Deliveries", "Delivery"]

PAUSES = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""Between tries [s]: a little more than a day in all."""
_JITTER = 0.2
_KEPT_TRIES = 20
_table = deliveries.c


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the table ``deliveries``."""

    id: str
    """The message's own name: the same in every try."""
    job_id: str
    number: int
    event: str
    body: str
    state: str
    """``waiting``, ``delivered`` or ``dead``."""
    tries: int
    """Since it was last asked for; whoever writes must name it."""
    due_at: float
    claimed_at: float | None
    outcome: dict[str, Any]
    """``tries``: when each was, how long it took, and its status or error."""


class Deliveries:
    """The table of messages."""

    def __init__(self, database: Database, *, claim_seconds: float = 60.0) -> None:
        """Use a database; a sender that says nothing for ``claim_seconds`` counts as dead."""
        self._database, self._claim = database, claim_seconds

    def claim(self, count: int) -> list[tuple[Delivery, dict[str, Any]]]:
        """Take messages that are due, oldest first, each with the webhook of its job."""
        now = time.time()
        due = (_table.state == "waiting", _table.due_at <= now)
        query = select(_table.id).where(*due).order_by(_table.due_at).limit(count)
        with self._database.read() as connection:
            found = list(connection.execute(query).scalars())
        return [pair for name in found if (pair := self._claim_one(name, due, now)) is not None]

    def settle(
        self, sent: Delivery, facts: Mapping[str, Any], *, done: bool, gone: bool = False
    ) -> Delivery | None:
        """Write how a try went.

        Args:
            sent: As it was claimed.
            facts: What is shown of the try.
            done: The receiver has the message.
            gone: The receiver wants no more of this job.

        Returns:
            The message as it is now; ``None`` if somebody else has it, and nothing is written.
        """
        left = PAUSES[sent.tries - 1 :][:1]
        state = "delivered" if done else "waiting" if left and not gone else "dead"
        pause = left[0] * random.uniform(1.0, 1.0 + _JITTER) if left else 0.0
        tries = [*sent.outcome.get("tries", ()), dict(facts)][-_KEPT_TRIES:]
        values = {"state": state, "claimed_at": None, "outcome": {"tries": tries}}
        mine = (_table.id == sent.id, _table.tries == sent.tries, _table.state == "waiting")
        statement = update(deliveries).where(*mine).values(due_at=time.time() + pause, **values)
        with self._database.write() as connection:
            row = connection.execute(statement.returning(*_table)).first()
            if row is None:
                return None
            note(connection, MESSAGE_TRIED, {"state": "retry" if state == "waiting" else state})
            if gone:
                webhook = connection.execute(
                    select(jobs.c.webhook).where(jobs.c.id == sent.job_id)
                ).scalar()
                change(connection, sent.job_id, webhook={**(webhook or {}), "events": []})
                rest = (_table.job_id == sent.job_id, _table.state == "waiting")
                connection.execute(update(deliveries).where(*rest).values(state="dead"))
        return _delivery(row)

    def of_job(self, job_id: str) -> list[Delivery]:
        """All messages of a job, oldest first."""
        query = select(deliveries).where(_table.job_id == job_id).order_by(_table.number)
        with self._database.read() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def send_again(self, job_id: str, number: int) -> Delivery | None:
        """Let a message be due now, as if it were new; ``None`` if it is being sent or absent."""
        now = time.time()
        idle = _table.claimed_at.is_(None) | (_table.due_at <= now)
        statement = (
            update(deliveries)
            .where(_table.job_id == job_id, _table.number == number, idle)
            .values(state="waiting", tries=0, due_at=now, claimed_at=None)
            .returning(*_table)
        )
        with self._database.write() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _delivery(row)

    def _claim_one(
        self, name: str, due: tuple[ColumnElement[bool], ...], now: float
    ) -> tuple[Delivery, dict[str, Any]] | None:
        statement = (
            update(deliveries)
            .where(_table.id == name, *due)
            .values(tries=_table.tries + 1, claimed_at=now, due_at=now + self._claim)
            .returning(*_table)
        )
        with self._database.write() as connection:
            row = connection.execute(statement).first()
            if row is None:
                return None
            query = select(jobs.c.webhook).where(jobs.c.id == row.job_id)
            return _delivery(row), connection.execute(query).scalar() or {}


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**row._mapping)
