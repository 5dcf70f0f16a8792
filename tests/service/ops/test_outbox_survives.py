# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages outlive the processes that should send them."""

import pytest
from sqlalchemy import select, update

from photocast.jobs.database import open_database
from photocast.jobs.record import NewJob
from photocast.jobs.store import JobStore
from photocast.jobs.tables import deliveries


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'photocast.db'}")
    yield database
    database.close()


def end_jobs(database, url, secret, count):
    """Jobs that ended while no web process ran."""
    hook = {"url": url, "secret": secret, "events": ["job.canceled"]}
    new = NewJob(owner="local", options={}, labels={}, webhook=hook, max_seconds=1.0)
    store = JobStore(database)
    for _ in range(count):
        store.cancel(store.create(new).id, "local")


def states(database):
    with database.read() as connection:
        return list(connection.execute(select(deliveries.c.state)).scalars())


def test_a_message_is_sent_again_after_its_sender_was_killed(
    serve, listen, database, secret, until
):
    with listen(seconds=1.5) as receiver:
        end_jobs(database, receiver.url, secret, 1)
        private = {"PHOTOCAST_WEBHOOK_PRIVATE": "1"}
        first = serve("--workers", "0", **private)
        receiver.wait(1)
        first.kill()
        assert states(database) == ["waiting"]
        with database.write() as connection:  # let the time of the claim pass
            connection.execute(update(deliveries).values(due_at=0.0))
        second = serve("--workers", "0", **private)
        until(lambda: states(database) == ["delivered"])
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    logs = "".join(one.log.read_text(encoding="utf-8") for one in (first, second))
    assert secret not in logs
    assert "webhook.sent" in logs


def test_two_web_processes_send_each_message_once(serve, listen, database, secret, until):
    private = {"PHOTOCAST_WEBHOOK_PRIVATE": "1"}
    served = [serve("--workers", "0", **private) for _ in range(2)]
    with listen() as receiver:
        end_jobs(database, receiver.url, secret, 12)
        until(lambda: states(database) == ["delivered"] * 12)
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(ids) == len(set(ids)) == 12
    logs = [one.log.read_text(encoding="utf-8") for one in served]
    assert sum(log.count("webhook.sent") for log in logs) <= 12
