# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of resumable uploads: how far each is, and what became of it."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from photocast.jobs.database import Database
from photocast.jobs.tables import uploads

__all__ = ["Upload", "UploadTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A row of the table ``uploads``."""

    id: str
    owner: str
    name: str
    size: int
    offset: int
    """Bytes that are on the disk for good."""
    sha256: str | None
    """Once it is finished and stored."""
    facts: dict[str, Any]
    """``metadata``: what the client sent, as it was."""
    expires_at: float


class UploadTable:
    """Every query about uploads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, upload: Upload) -> None:
        """Write a new one."""
        with self._database.write() as connection:
            connection.execute(insert(uploads).values(asdict(upload)))

    def get(self, upload_id: str, owner: str) -> Upload | None:
        """One of an owner's."""
        where = (uploads.c.id == upload_id, uploads.c.owner == owner)
        with self._database.read() as connection:
            row = connection.execute(select(uploads).where(*where)).first()
        return None if row is None else _upload(row)

    def advance(self, upload: Upload, offset: int) -> None:
        """Write how far it is."""
        statement = update(uploads).where(uploads.c.id == upload.id).values(offset=offset)
        with self._database.write() as connection:
            connection.execute(statement)

    def remove(self, upload_id: str) -> bool:
        """Forget one; false if it was gone."""
        with self._database.write() as connection:
            return bool(
                connection.execute(delete(uploads).where(uploads.c.id == upload_id)).rowcount
            )

    def expired(self, now: float) -> list[Upload]:
        """Those whose time is over."""
        with self._database.read() as connection:
            rows = connection.execute(select(uploads).where(uploads.c.expires_at < now))
            return [_upload(row) for row in rows]

    def names(self) -> set[str]:
        """The names of all."""
        with self._database.read() as connection:
            return set(connection.execute(select(uploads.c.id)).scalars())


def _upload(row: Row[Any]) -> Upload:
    return Upload(**row._mapping)
