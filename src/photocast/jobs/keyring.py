# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys of callers: shown once, kept as hashes, with scopes and an end."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, func, insert, select, update

from photocast.errors import UserError
from photocast.jobs.database import Database
from photocast.jobs.ids import new_id
from photocast.jobs.tables import keys

__all__ = ["SCOPES", "Key", "Keyring"]

SCOPES = ("jobs:read", "jobs:write", "admin")
"""Look at one's jobs; make and change them; see everybody's, and the state of the service."""
_PREFIX = "pc_"


@dataclass(frozen=True, slots=True)
class Key:
    """What is known about a key; not the key itself."""

    id: str
    owner: str
    name: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    def allows(self, scope: str) -> bool:
        """Whether a scope is among its own; ``admin`` is all of them."""
        return scope in self.scopes or "admin" in self.scopes


class Keyring:
    """The table of keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        *,
        owner: str,
        name: str = "",
        scopes: Sequence[str] = ("jobs:read", "jobs:write"),
        seconds: float | None = None,
    ) -> tuple[str, Key]:
        """Make a key; its text is returned here and never again.

        Raises:
            UserError: There is no such scope.
        """
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise UserError(
                f"There is no scope {unknown[0]!r}; there are: {', '.join(SCOPES)}.",
                code="key.scope",
            )
        text, now = _PREFIX + secrets.token_urlsafe(32), time.time()
        key = Key(
            new_id("key"),
            owner,
            name,
            tuple(scopes),
            now,
            None if seconds is None else now + seconds,
            None,
        )
        values = {
            "id": key.id,
            "hash": _hash(text),
            "owner": owner,
            "name": name,
            "scopes": list(scopes),
            "created_at": now,
            "expires_at": key.expires_at,
        }
        with self._database.write() as connection:
            connection.execute(insert(keys).values(values))
        return text, key

    def find(self, text: str) -> Key | None:
        """The key of that text, if it holds.

        It is looked up by its hash, so how long that takes tells nothing about other keys.
        """
        with self._database.read() as connection:
            row = connection.execute(select(keys).where(keys.c.hash == _hash(text))).first()
        if row is None or row.revoked_at is not None:
            return None
        if row.expires_at is not None and row.expires_at <= time.time():
            return None
        return _key(row)

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.id))]

    def any(self) -> bool:
        """Whether there is a key that was not revoked."""
        query = select(func.count()).where(keys.c.revoked_at.is_(None))
        with self._database.read() as connection:
            return bool(connection.execute(query.select_from(keys)).scalar_one())

    def revoke(self, key_id: str) -> bool:
        """End a key; false if there is none of that name that holds."""
        statement = update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
        with self._database.write() as connection:
            return bool(connection.execute(statement.values(revoked_at=time.time())).rowcount)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key(
        row.id,
        row.owner,
        row.name,
        tuple(row.scopes),
        row.created_at,
        row.expires_at,
        row.revoked_at,
    )
