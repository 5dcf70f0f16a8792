# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Contents that owners have stored: each once per owner, found by its SHA-256.

A row is touched whenever somebody relies on it. What no job and no upload names is removed, row
first: the key of a file is never given again, so nobody can come to rely on a file that goes.
"""

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, delete, insert, select, tuple_, update

from photocast.errors import PhotocastError
from photocast.jobs.ids import new_id
from photocast.jobs.record import Input
from photocast.jobs.tables import blobs, inputs, uploads

__all__ = ["PREFIX", "BlobGone", "known", "named", "new_key", "orphans", "release", "rely"]

PREFIX = "inputs"
_AT_ONCE = 500  # values in a query


class BlobGone(PhotocastError):
    """A content was removed while a job was made of it."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} of the files were removed meanwhile. Send them again.", code="input.gone"
        )


def new_key(owner: str) -> str:
    """A key for a file of an owner; it tells when it was made, and nobody's name."""
    return f"{PREFIX}/{hashlib.sha256(owner.encode()).hexdigest()[:32]}/{new_id('blob')}"


def known(connection: Connection, owner: str, hashes: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Key and size of the contents that an owner has, by hash."""
    query = select(blobs.c.sha256, blobs.c.key, blobs.c.size).where(blobs.c.owner == owner)
    found: dict[str, tuple[str, int]] = {}
    for part in _parts(sorted(set(hashes))):
        for row in connection.execute(query.where(blobs.c.sha256.in_(part))):
            found[row.sha256] = (row.key, row.size)
    return found


def rely(
    connection: Connection, owner: str, given: Sequence[Input], fresh: Collection[str]
) -> list[Input]:
    """Make sure that the contents of a job stay, inside the transaction that makes the job.

    Args:
        connection: A writing transaction.
        owner: Whose files.
        given: What the job is made of.
        fresh: Keys that were stored just now and have no row yet.

    Returns:
        The inputs; a content that came twice at the same time has one key.

    Raises:
        BlobGone: Something was removed meanwhile.
    """
    now = time.time()
    kept: dict[str, str] = {}
    touch = update(blobs).values(used_at=now).returning(blobs.c.sha256, blobs.c.key)
    for part in _parts(sorted({one.sha256 for one in given})):
        where = (blobs.c.owner == owner, blobs.c.sha256.in_(part))
        kept.update((row.sha256, row.key) for row in connection.execute(touch.where(*where)))
    new = {one.sha256: one for one in given if one.sha256 not in kept}
    if gone := [one for one in new.values() if one.key not in fresh]:
        raise BlobGone(len(gone))
    rows = [
        {
            "owner": owner,
            "sha256": one.sha256,
            "key": one.key,
            "size": one.size,
            "media_type": "application/octet-stream",
            "used_at": now,
        }
        for one in new.values()
    ]
    if rows:
        connection.execute(insert(blobs), rows)
    kept |= {one.sha256: one.key for one in new.values()}
    return [replace(one, key=kept[one.sha256]) for one in given]


def release(connection: Connection, keys: Iterable[str]) -> list[str]:
    """Forget those of some contents that nobody names; the keys of the files to remove."""
    gone: list[str] = []
    for part in _parts(sorted(set(keys))):
        statement = delete(blobs).where(blobs.c.key.in_(part), *_unnamed())
        gone += connection.execute(statement.returning(blobs.c.key)).scalars()
    return gone


def orphans(connection: Connection, unused_since: float) -> list[str]:
    """Forget all contents that nobody has named for some time; the keys of the files."""
    statement = delete(blobs).where(blobs.c.used_at < unused_since, *_unnamed())
    return list(connection.execute(statement.returning(blobs.c.key)).scalars())


def named(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Those of some keys that have a row."""
    return set(connection.execute(select(blobs.c.key).where(blobs.c.key.in_(keys))).scalars())


def _unnamed() -> tuple[ColumnElement[bool], ...]:
    job = select(inputs.c.key).where(inputs.c.key == blobs.c.key).exists()
    upload = tuple_(blobs.c.owner, blobs.c.sha256).in_(
        select(uploads.c.owner, uploads.c.sha256).where(uploads.c.sha256.is_not(None))
    )
    return ~job, ~upload


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(values), _AT_ONCE):
        yield values[first : first + _AT_ONCE]
