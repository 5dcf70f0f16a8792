# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Answers that are remembered, so that a request that is sent again changes nothing.

An answer is written in the transaction that does what it tells of. So a crash leaves both or
neither, two processes cannot do it twice, and no entry can block its key.
"""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from photocast.errors import UserError
from photocast.jobs.tables import idempotency

__all__ = ["Answer", "Mismatch", "forget", "recall", "remember"]

_KEEP_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told."""

    status: int
    headers: dict[str, str]
    body: bytes


class Mismatch(UserError):
    """The same key came with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The Idempotency-Key {key!r} was used for another request within 24 hours. Use a new "
            "one.",
            code="idempotency.mismatch",
        )


def recall(connection: Connection, owner: str, key: str, fingerprint: str) -> Answer | None:
    """The answer that a request had before, if it had one.

    Raises:
        Mismatch: It was another request.
    """
    where = (idempotency.c.owner == owner, idempotency.c.key == key)
    row = connection.execute(select(idempotency).where(*where)).first()
    if row is None:
        return None
    if row.created_at < time.time() - _KEEP_S:
        connection.execute(delete(idempotency).where(*where))
        return None
    if row.fingerprint != fingerprint:
        raise Mismatch(key)
    return Answer(row.status, dict(row.headers), row.body)


def remember(
    connection: Connection, owner: str, key: str, fingerprint: str, answer: Answer
) -> None:
    """Write down how a request was answered."""
    values = {
        "owner": owner,
        "key": key,
        "fingerprint": fingerprint,
        "created_at": time.time(),
        "status": answer.status,
        "headers": answer.headers,
        "body": answer.body,
    }
    connection.execute(insert(idempotency).values(values))


def forget(connection: Connection, now: float) -> int:
    """Remove answers that are too old; how many there were."""
    old = delete(idempotency).where(idempotency.c.created_at < now - _KEEP_S)
    return connection.execute(old).rowcount
