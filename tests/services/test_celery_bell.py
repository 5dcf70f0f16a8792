# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Bells over a real Redis: they arrive, and a Redis that is away or hangs delays nobody."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from photocast.errors import ConfigError
from photocast.jobs import celery_bell
from photocast.jobs.celery_bell import QUEUE, CeleryBell
from photocast.jobs.database import open_database
from photocast.jobs.record import FINAL, NewJob, State
from photocast.jobs.redis_check import RedisDown, check_redis
from photocast.jobs.store import JobStore
from photocast.worker.celery_app import CeleryEar

JOB = "job_01m8a9anete10as4kppjkvhnx8"


@pytest.fixture
def bell(redis: Any) -> Iterator[CeleryBell]:
    redis.start()
    made = CeleryBell(redis.url, longest=60.0)
    yield made
    made.close()


def waiting(redis: Any) -> int:
    return int(redis.call("LLEN", QUEUE).removeprefix(b":"))


def test_a_message_carries_the_name_of_a_job_and_nothing_else(bell: CeleryBell, redis: Any):
    assert bell.ring(JOB)
    assert bell.ring(JOB)
    assert waiting(redis) == 2
    assert bell.problem() is None
    with celery_bell.celery_app(redis.url, 60.0).connection() as link:
        message = link.SimpleQueue(QUEUE).get(block=False)
    assert message.headers["task"] == "photocast.ring"
    assert json.loads(message.body)[:2] == [[JOB], {}]
    assert message.content_type == "application/json"


def test_a_dead_redis_delays_a_request_by_no_more_than_a_second(bell: CeleryBell, redis: Any):
    assert bell.ring(JOB)
    redis.kill()
    began = time.monotonic()
    assert not bell.ring(JOB)
    assert time.monotonic() - began < 1.5
    began = time.monotonic()
    assert not any(bell.ring(JOB) for _ in range(100))
    assert time.monotonic() - began < 0.1, "it is silent for a while"
    assert "does not answer" in str(bell.problem())


def test_a_redis_that_hangs_delays_a_request_by_no_more_than_a_second(bell: CeleryBell, redis: Any):
    assert bell.ring(JOB)
    os.kill(redis.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert not bell.ring(JOB)
    assert time.monotonic() - began < 1.5
    os.kill(redis.process.pid, signal.SIGCONT)


def test_it_rings_again_when_redis_is_back(bell: CeleryBell, redis: Any, monkeypatch):
    redis.kill()
    assert not bell.ring(JOB)
    redis.start()
    monkeypatch.setattr(time, "monotonic", lambda real=time.monotonic: real() + 6.0)
    assert bell.ring(JOB)
    assert waiting(redis) == 1


def test_a_service_starts_while_redis_is_away(redis: Any):
    bell = CeleryBell(redis.url, longest=60.0)
    assert not bell.ring(JOB)
    with pytest.raises(RedisDown, match="does not answer"):
        check_redis(redis.url)
    bell.close()


def test_a_redis_that_may_forget_is_refused(redis: Any):
    redis.policy = "allkeys-lru"
    redis.start()
    with pytest.raises(ConfigError, match="allkeys-lru") as caught:
        CeleryBell(redis.url, longest=60.0)
    assert caught.value.code == "redis.policy"


def test_a_redis_whose_policy_changes_makes_the_service_not_ready(bell: CeleryBell, redis: Any):
    redis.call("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    assert "volatile-lru" in str(bell.problem())


def test_a_redis_without_a_file_is_warned_of(redis: Any, caplog: pytest.LogCaptureFixture):
    redis.append = "no"
    redis.start()
    check_redis(redis.url)
    assert "append-only" in caplog.text


def test_a_redis_that_tells_nothing_is_warned_of(redis: Any, caplog: pytest.LogCaptureFixture):
    redis.start()
    redis.call("ACL", "SETUSER", "default", "-info")
    check_redis(redis.url)
    assert "must have maxmemory-policy noeviction" in caplog.text


def test_a_full_redis_keeps_what_it_has_and_says_so(bell: CeleryBell, redis: Any):
    assert bell.ring(JOB)
    redis.call("CONFIG", "SET", "maxmemory", "1")
    assert not bell.ring(JOB)
    redis.call("CONFIG", "SET", "maxmemory", "0")
    assert waiting(redis) == 1


def test_a_celery_worker_needs_a_broker(tmp_path: Path):
    command = [sys.executable, "-m", "photocast", "worker", "--celery", "--data", str(tmp_path)]
    env = {name: value for name, value in os.environ.items() if name != "PHOTOCAST_BROKER"}
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert "worker.no_broker" in done.stderr


@pytest.fixture
def hearing(redis: Any, tmp_path: Path) -> Iterator[Any]:
    """Starts a worker that hears bells, on an empty database; gives the jobs."""
    running: list[subprocess.Popen[bytes]] = []
    store = JobStore(open_database(f"sqlite:///{tmp_path / 'photocast.db'}"))

    def start(poll: float) -> tuple[JobStore, subprocess.Popen[bytes]]:
        env = {
            **os.environ,
            "PHOTOCAST_DATA": str(tmp_path),
            "PHOTOCAST_BROKER": redis.url,
            "PHOTOCAST_POLL_SECONDS": str(poll),
            "PHOTOCAST_FAKE_ENGINE": "1",
        }
        command = [sys.executable, "-m", "photocast", "worker", "--celery"]
        running.append(subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL))
        return store, running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
    store.database.close()


def ends(store: JobStore, ring: Callable[[str], object]) -> bool:
    """Whether a job that is made and rung for now succeeds within 20 seconds."""
    fake = {"engine": "fake", "fake": {"seconds": 0.1}}
    job = store.create(NewJob(owner="ada", options=fake, labels={}, max_seconds=60.0))
    end = time.monotonic() + 20.0
    ring(job.id)
    while time.monotonic() < end:
        found = store.get(job.id, None)
        if found is not None and found.state in FINAL:
            return found.state is State.SUCCEEDED
        time.sleep(0.1)
    return False


def test_a_worker_that_hardly_ever_looks_hears_the_bell(hearing, bell: CeleryBell):
    store, worker = hearing(poll=60.0)
    assert ends(store, bell.ring), "it looks when it starts, and before it would look again"
    assert ends(store, bell.ring)
    worker.terminate()
    assert worker.wait(20) == 0


def test_a_worker_that_hears_nothing_looks_by_itself(hearing):
    store, worker = hearing(poll=0.5)  # Redis does not run
    assert ends(store, lambda job: None)
    assert ends(store, lambda job: None)
    worker.terminate()
    assert worker.wait(20) == 0


def test_a_bell_that_a_busy_worker_hears_lasts_until_it_has_looked_again():
    stopping, told = threading.Event(), []
    ear = CeleryEar(stopping)

    def celery() -> None:
        ear.ring(JOB)
        told.append("heard")

    bells = threading.Thread(target=celery)
    bells.start()
    time.sleep(0.1)
    assert told == [], "the worker has a job, and does not listen"
    assert ear.wait(5.0)
    assert told == [], "it was woken, and looks"
    assert ear.wait(0.1)
    bells.join(5.0)
    assert told == ["heard"]
    stopping.set()
    assert not ear.wait(60.0)


def test_a_bell_does_not_wait_for_a_worker_that_is_over():
    ear = CeleryEar(threading.Event())
    ear.close()
    ear.ring(JOB)
