# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A worker that stands still loses its job to another, and the job never runs twice at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from photocast.jobs.database import open_database
from photocast.jobs.doorbell import SilentBell
from photocast.jobs.lease import LeaseTable
from photocast.jobs.reconcile import Reconciler
from photocast.jobs.record import Job, NewJob
from photocast.jobs.store import JobStore
from photocast.worker.fake import WITNESS

LEASE_S, JOB_S, PATIENCE_S = 3.0, 25.0, 120.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    """A database that two workers look into, and somebody who watches leases."""
    database = open_database(f"sqlite:///{tmp_path / 'photocast.db'}")
    reconciler = Reconciler(LeaseTable(database), SilentBell(), lease_seconds=LEASE_S)
    reconciler.start()
    settings = {"LEASE_SECONDS": str(LEASE_S), "POLL_SECONDS": "0.2", "GRACE_SECONDS": "1"}
    env = {**os.environ, **{f"PHOTOCAST_{name}": value for name, value in settings.items()}}
    env |= {WITNESS: str(tmp_path), "PHOTOCAST_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "photocast", "worker"]
    workers = [subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) for _ in range(2)]
    yield JobStore(database)
    for worker in workers:
        worker.send_signal(signal.SIGCONT)
        worker.terminate()
    for worker in workers:
        worker.wait(60)
    reconciler.stop()
    database.close()


def runs(folder: Path, count: int) -> list[list[str]]:
    """What the witness wrote, once there is enough of it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        lines = (folder / "runs").read_text("ascii").splitlines() if any_run(folder) else []
        if len(lines) >= count:
            return [line.split() for line in lines]
        time.sleep(0.1)
    raise AssertionError(f"there were no {count} runs")


def begun(store: JobStore, folder: Path) -> tuple[Job, int]:
    """A long job, and the process that runs it."""
    fake: dict[str, Any] = {"engine": "fake", "fake": {"seconds": JOB_S}}
    job = store.create(NewJob(owner="me", options=fake, labels={}, max_seconds=600.0))
    return job, int(runs(folder, 1)[0][1])


def any_run(folder: Path) -> bool:
    return (folder / "runs").exists()


def facts(pid: int) -> list[str]:
    """The state of a process and its parent; none if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_frozen_worker_loses_its_job_and_the_job_its_process(
    store: JobStore, tmp_path: Path, freeze: Any
):
    job, first = begun(store, tmp_path)
    freeze(int(facts(first)[1]), tmp_path / "photocast.db")
    seen = runs(tmp_path, 2)
    assert [one[3] for one in seen] == ["alone", "alone"]
    assert facts(first)[:1] in ([], ["Z"]), "it ended by itself, while nobody could end it"
    now = store.get(job.id, None)
    assert now is not None
    assert (now.attempt, now.losses) == (2, 1)
    store.cancel(job.id, None)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_process_frozen_with_its_worker_ends_when_it_is_let_go(
    store: JobStore, tmp_path: Path, freeze: Any
):
    job, first = begun(store, tmp_path)
    os.kill(first, signal.SIGSTOP)
    freeze(int(facts(first)[1]), tmp_path / "photocast.db")
    seen = runs(tmp_path, 2)
    assert [one[3] for one in seen] == ["alone", "frozen"], "nothing can end it, nor does it run"
    os.kill(first, signal.SIGCONT)
    end = time.monotonic() + 10.0
    while facts(first)[:1] not in ([], ["Z"]):
        assert time.monotonic() < end, "it goes on, though the job is another's"
        time.sleep(0.01)
    now = store.get(job.id, None)
    assert now is not None
    assert (now.state.value, now.attempt) == ("running", 2)
    store.cancel(job.id, None)
