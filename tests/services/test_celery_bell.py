# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Bells over a real Redis: they arrive, and a Redis that is away or hangs delays nobody."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from photocast.errors import ConfigError
from photocast.jobs import celery_bell
from photocast.jobs.celery_bell import QUEUE, CeleryBell
from photocast.jobs.redis_check import RedisDown, check_redis

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
