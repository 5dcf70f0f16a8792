# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One database, SQLite or PostgreSQL, with queries, and short transactions that write.

SQLite: write-ahead log, so readers never wait; a writer takes the lock when its transaction begins
(``BEGIN IMMEDIATE``), because a lock asked for later can be refused; every commit is synced, so
what was answered is there after a power cut. PostgreSQL: its own rules, read committed; nothing
waits for ever, neither for a server that hangs nor for the locks of a client that does.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import ConnectionPoolEntry

from photocast.errors import ConfigError, PhotocastError
from photocast.jobs.tables import SCHEMA_VERSION, metadata, schema

__all__ = ["Database", "DatabaseDown", "open_database", "told"]

_BUSY_MS = 5000
_POOL, _OVERFLOW = 8, 56  # more than a process has threads that ask, so that none waits
_WAIT_S = 10.0
_TABLES_LOCK = 0x70686F746F  # only a number that others do not take


class DatabaseDown(PhotocastError):
    """The database does not answer, or is locked for too long."""

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"The database does not answer ({_short(error)}). Check that it runs and has space; "
            "then try again.",
            code="database.unavailable",
        )


class Database:
    """Transactions on one database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(photocast_write=True)
        # SQLite has one writer. Its own waiting is a game of chance with a time limit, which many
        # threads lose; a lock lets those of one process pass in turn.
        self._kept: list[Any] = []
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that changes nothing; each query sees the database at one moment.

        Raises:
            DatabaseDown: It does not answer.
        """
        with told(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, or not at all.

        Raises:
            DatabaseDown: It does not answer; nothing was changed.
        """
        with self._turn, told(), self._writer.begin() as connection:
            yield connection

    def keep(self) -> Any:
        """A connection of the driver's own, until the database is closed.

        Raises:
            DatabaseDown: It does not answer.
        """
        with told():
            connection = self.engine.raw_connection()
            driver = connection.driver_connection
            connection.detach()  # it does not go back to the pool
        self._kept.append(driver)
        return driver

    def close(self) -> None:
        """Give all connections back."""
        for driver in self._kept:
            driver.close()
        self._kept.clear()
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Open a database and make its tables if there are none.

    Args:
        url: ``sqlite:////folder/file.db`` or ``postgresql://…``.

    Raises:
        ConfigError: The URL is wrong, or the tables are from another version.
        DatabaseDown: It does not answer.
    """
    database = Database(_engine(url))
    try:
        _make_tables(database)
    except PhotocastError:
        database.close()
        raise
    return database


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(
            "The database URL cannot be read; write sqlite:////folder/photocast.db or "
            "postgresql://user@host/name.",
            code="database.url",
        ) from None
    if parsed.get_backend_name() == "postgresql":
        from photocast.jobs.postgres import postgres_engine

        return postgres_engine(parsed, _POOL, _OVERFLOW)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise ConfigError(
            f"The database is {parsed.get_backend_name()!r}; it must be a SQLite file or "
            "PostgreSQL.",
            code="database.url",
        )
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        pool_size=_POOL,
        max_overflow=_OVERFLOW,
        pool_timeout=_WAIT_S,
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000},
    )
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begins)
    return engine


def _sqlite_connected(connection: Any, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begins(connection: Connection) -> None:
    # A read is one query nearly always, and sees one moment by itself.
    if connection.get_execution_options().get("photocast_write", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_tables(database: Database) -> None:
    found = _version(database)
    if found is None:
        with database.write() as connection:
            if not database.is_sqlite:  # several processes may start at this moment
                connection.execute(select(func.pg_advisory_xact_lock(_TABLES_LOCK)))
            metadata.create_all(connection)
            found = connection.execute(select(schema.c.version)).scalar()
            if found is None:
                connection.execute(insert(schema).values(version=SCHEMA_VERSION))
    if found not in (None, SCHEMA_VERSION):
        raise ConfigError(
            f"The database has tables of version {found}; this Photocast needs {SCHEMA_VERSION}. "
            "Use the Photocast that made it, or another database.",
            code="database.version",
        )


def _version(database: Database) -> int | None:
    """Of the tables that are there; asked without the lock that writers wait for."""
    with database.read() as connection:
        if not inspect(connection).has_table(schema.name):
            return None
        found: int | None = connection.execute(select(schema.c.version)).scalar()
    return found


@contextmanager
def told() -> Iterator[None]:
    """Turn what drivers raise when a database does not answer into one error.

    Raises:
        DatabaseDown: It does not.
    """
    try:
        yield
    except (OperationalError, NoConnection, sqlite3.OperationalError) as error:
        raise DatabaseDown(error) from error


def _short(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    facts = cause.args[0] if cause.args else ""
    return (
        str(facts.get("M", "") if isinstance(facts, dict) else cause)
        .strip()
        .partition("\n")[0][:120]
    )
