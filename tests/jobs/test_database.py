# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A database that is away, hangs, or is opened by many at once."""

import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from photocast.errors import ConfigError
from photocast.jobs import database as database_module
from photocast.jobs import postgres as postgres_module
from photocast.jobs.database import Database, DatabaseDown, open_database
from photocast.jobs.keyring import Keyring
from photocast.jobs.store import JobStore


def test_many_open_an_empty_database_at_once(database_url: str):
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_database, [database_url] * 8))
    with opened[0].read() as connection:
        assert connection.execute(text("SELECT count(*) FROM schema_version")).scalar() == 1
    for one in opened:
        one.close()


def test_tables_of_another_version_are_refused(database: Database, database_url: str):
    with database.write() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(ConfigError, match="version 99"):
        open_database(database_url)


def test_a_row_that_is_there_already_is_an_integrity_error(database: Database):
    with database.write() as connection:
        connection.execute(text("INSERT INTO workers VALUES ('w', 0, 0, '{}')"))
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(text("INSERT INTO workers VALUES ('w', 0, 0, '{}')"))
    assert not Keyring(database).any(), "the connection is of use afterwards"


def test_what_fails_in_the_middle_leaves_nothing_behind(database: Database):
    def fail() -> None:
        with database.write() as connection:
            connection.execute(text("INSERT INTO workers VALUES ('w', 0, 0, '{}')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM workers")).scalar() == 0


def test_a_long_lock_on_sqlite_is_told_and_passes(tmp_path, new_job, monkeypatch):
    monkeypatch.setattr(database_module, "_BUSY_MS", 300)
    store = JobStore(open_database(f"sqlite:///{tmp_path / 'jobs.db'}"))
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseDown, match="locked"):
        store.create(new_job())
    assert store.listed(None, count=1) == [], "readers do not wait"
    other.execute("ROLLBACK")
    other.close()
    assert store.create(new_job()).id
    store.database.close()


def test_a_server_that_was_stopped_is_told_and_forgiven(servers, tmp_path, new_job):
    if servers.postgres_program("initdb") is None:
        pytest.skip("no PostgreSQL: sh scripts/get-services.sh")
    with servers.Postgres(tmp_path) as server:
        store = JobStore(open_database(server.url))
        job = store.create(new_job())
        server.stop()
        for _ in range(3):
            with pytest.raises(DatabaseDown):
                store.get(job.id, None)
        server.start()
        assert store.get(job.id, None) == job
        server.kill()
        with pytest.raises(DatabaseDown):
            store.create(new_job())
        server.start()
        assert [one.id for one in store.listed(None, count=9)] == [job.id]
        store.database.close()


def test_a_connection_that_dies_in_a_transaction_is_told(postgres_url: str):
    database = open_database(postgres_url)

    def die() -> None:
        with database.write() as connection:
            number = connection.execute(text("SELECT pg_backend_pid()")).scalar()
            with database.write() as other:
                other.execute(text(f"SELECT pg_terminate_backend({number})"))
            connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseDown):
        die()
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.close()


def test_a_server_that_hangs_is_not_waited_for_for_ever(postgres_url: str, monkeypatch):
    monkeypatch.setattr(postgres_module, "_ANSWER_S", 1.0)
    database = open_database(postgres_url)
    with database.read() as connection:
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    os.kill(number, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with database.read() as connection:  # the ping tells, and another connection is taken
            assert connection.execute(text("SELECT 1")).scalar() == 1
        assert time.monotonic() - began < 3.0
    finally:
        os.kill(number, signal.SIGCONT)
    with pytest.raises(DatabaseDown), database.read() as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.close()


def test_a_lock_that_a_hanging_client_holds_is_told(postgres_url: str, new_job, monkeypatch):
    monkeypatch.setitem(postgres_module._SETTINGS, "lock_timeout", "300")
    store = JobStore(open_database(postgres_url))
    job = store.create(new_job())
    with store.database.write() as connection:
        connection.execute(text("UPDATE jobs SET version = version"))
        with pytest.raises(DatabaseDown, match="lock timeout"):
            store.cancel(job.id, None)
    assert store.cancel(job.id, None) is not None
    store.database.close()


def test_more_threads_than_connections_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "_POOL", 1)
    monkeypatch.setattr(database_module, "_OVERFLOW", 0)
    monkeypatch.setattr(database_module, "_WAIT_S", 0.2)
    database = open_database(f"sqlite:///{tmp_path / 'jobs.db'}")
    with database.read(), pytest.raises(DatabaseDown), database.read():
        pass
    database.close()
