# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Who has a job: one worker at a time, whatever happens, on each database."""

import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from photocast.jobs.database import Database
from photocast.jobs.lease import LeaseTable, Outcome, Watch
from photocast.jobs.reconcile import Echo
from photocast.jobs.record import Artifact, State
from photocast.jobs.store import JobStore

MESH = Artifact(name="mesh.glb", key="artifacts/j/1/mesh.glb", sha256="11", size=9, media_type="m")
CLAIMS = """
import sys
from photocast.jobs.database import open_database
from photocast.jobs.lease import LeaseTable
table = LeaseTable(open_database(sys.argv[1]))
while job := table.claim(sys.argv[2]):
    print(job.id)
"""


@pytest.fixture
def table(database: Database) -> LeaseTable:
    return LeaseTable(database, max_losses=2)


def test_many_threads_claim_each_job_once(store: JobStore, table: LeaseTable, new_job):
    names = {store.create(new_job()).id for _ in range(40)}
    ready = threading.Barrier(16)

    def work(number: int) -> list[str]:
        ready.wait()
        found = []
        while job := table.claim(f"w{number}"):
            found.append(job.id)
        return found

    with ThreadPoolExecutor(16) as pool:
        claimed = Counter(name for found in pool.map(work, range(16)) for name in found)
    assert claimed == dict.fromkeys(names, 1)


def test_many_processes_claim_each_job_once(database_url, store: JobStore, new_job):
    names = {store.create(new_job()).id for _ in range(40)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMS, database_url, f"w{number}"],
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for number in range(4)
    ]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert Counter(name for part in said for name in part) == dict.fromkeys(names, 1)


def test_one_bell_heard_by_many_starts_a_job_once(store: JobStore, table: LeaseTable, new_job):
    job, ready = store.create(new_job()), threading.Barrier(8)

    def hear(number: int) -> bool:
        ready.wait()
        return table.claim(f"w{number}", job.id) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hear, range(8))) == 1
    assert table.claim("late", job.id) is None
    assert table.claim("late", "job_that_never_was") is None


def test_claims_cancels_and_releases_at_once_neither_lock_up_nor_lose_a_job(
    store: JobStore, table: LeaseTable, new_job
):
    names = [store.create(new_job()).id for _ in range(20)]

    def work(number: int) -> None:
        for _ in range(20):
            if (job := table.claim(f"w{number}")) is not None:
                table.beat(job)
                table.report(job, {"percent": 1.0}, [{"message": "x"}])
                if number % 2:
                    table.release(f"w{number}")
                else:
                    table.take_back(store.get(job.id, None))

    def stop() -> None:
        for name in names[::2]:
            store.cancel(name, None)

    with ThreadPoolExecutor(9) as pool:
        done = [pool.submit(work, number) for number in range(8)] + [pool.submit(stop)]
        for one in done:
            one.result(60)
    jobs = [store.get(name, None) for name in names]
    assert {job.state for job in jobs} <= {State.QUEUED, State.CANCELED, State.FAILED}
    for job in jobs:
        states = [e.data["state"] for e in store.events(job.id, kinds=["state"])]
        assert states.count("running") == job.attempt
        assert states[-1] == job.state.value
        assert sum(State(state) in (State.CANCELED, State.FAILED) for state in states) <= 1


def test_who_lost_a_job_writes_nothing_more(store: JobStore, table: LeaseTable, new_job):
    store.create(new_job())
    old = table.claim("first")
    assert table.take_back(old) is not None
    new = table.claim("second")
    assert (new.attempt, new.losses) == (2, 1)
    assert table.beat(old) is None
    assert not table.report(old, {"percent": 99.0})
    assert table.finish(old, Outcome(state=State.SUCCEEDED, artifacts=[MESH])) is None
    assert store.artifacts(new.id) == []
    assert store.get(new.id, None).state is State.RUNNING


def test_a_lease_that_moves_is_not_taken_back(store: JobStore, table: LeaseTable, new_job):
    store.create(new_job())
    job, watch = table.claim("w"), Watch(10.0)
    assert watch.stale(table.running(), 0.0) == []
    assert watch.stale(table.running(), 9.0) == []
    (stale,) = watch.stale(table.running(), 10.0)
    table.beat(job)
    assert table.take_back(stale) is None
    assert watch.stale(table.running(), 11.0) == []


def test_a_job_whose_workers_vanish_again_and_again_fails(
    store: JobStore, table: LeaseTable, new_job
):
    store.create(new_job())
    for _ in range(3):
        job = table.claim("w")
        (ended,) = table.release("w")
    assert ended.state is State.FAILED
    assert (ended.attempt, ended.losses) == (3, 3)
    assert ended.error["code"] == "job.worker_crashed"
    assert table.claim("w", job.id) is None


def test_a_shutdown_does_not_count_as_a_loss(store: JobStore, table: LeaseTable, new_job):
    store.create(new_job())
    for _ in range(5):
        back = table.finish(table.claim("w"), Outcome(state=State.QUEUED))
    assert (back.state, back.attempt, back.losses) == (State.QUEUED, 5, 0)


def test_a_running_job_hears_that_it_should_stop(store: JobStore, table: LeaseTable, new_job):
    store.create(new_job())
    job = table.claim("w")
    assert (table.beat(job), table.cancel_wanted(job)) == (False, False)
    store.cancel(job.id, "ada")
    assert (table.beat(job), table.cancel_wanted(job)) == (True, True)
    assert table.take_back(store.get(job.id, None)).state is State.CANCELED


def test_new_jobs_are_rung_for_at_once_and_old_ones_less_and_less():
    echo = Echo()
    assert echo.due(["a", "b"], 0.0) == ["a", "b"]
    assert echo.due(["a", "b", "c"], 1.0) == ["c"]
    times = [t for t in range(2, 300) if "a" in echo.due(["a", "b", "c"], float(t))]
    assert times == [4, 12, 28, 60, 120, 180, 240]
    assert echo.due([], 301.0) == []
    assert echo.due(["a"], 302.0) == ["a"], "it waits again, so it is new"


def test_the_end_of_a_long_queue_is_rung_for_once_only():
    echo, names = Echo(), [f"j{number}" for number in range(1000)]
    assert len(echo.due(names, 0.0)) == 1000
    assert echo.due(names, 4.0) == names[:64]
    bells = sum(len(echo.due(names, float(t))) for t in range(1000, 4600))
    assert bells <= 64 * 62
