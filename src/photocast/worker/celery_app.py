# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A worker that hears bells over Celery: ``photocast worker --celery``.

The worker is the same as everywhere, in a thread of its own; Celery's only task wakes it, and lasts
until there is nothing more to do, so that Celery fetches no bell that an idle worker could hear.
A Celery that has gone deaf costs time at most, because the worker also looks by itself.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from celery.signals import setup_logging, worker_shutting_down

from photocast.jobs.celery_bell import QUEUE, RING, celery_app
from photocast.jobs.redis_check import RedisDown, check_redis
from photocast.worker.loop import Waiter

__all__ = ["CeleryEar", "run_celery_worker"]

_log = logging.getLogger(__name__)
# In Celery's main thread, which has nothing else to do: there is no process to lose or to fork.
_COMMAND = ("--quiet", "worker", "--pool=solo")
_ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")
_TICK = 0.5


class CeleryEar:
    """Where a worker hears what Celery's task, in another thread, rings."""

    def __init__(self, stopping: threading.Event) -> None:
        """For a worker that ends when ``stopping`` is set."""
        self._stopping, self._over = stopping, threading.Event()
        self._changed = threading.Condition()
        self._rung = self._idle = False

    def wait(self, seconds: float) -> bool:
        """In the worker, when it has found nothing: wait for a bell, at most so long."""
        end = time.monotonic() + seconds
        with self._changed:
            self._idle = True
            self._changed.notify_all()
            while not (self._rung or self._stopping.is_set()):
                if (left := end - time.monotonic()) <= 0:
                    break
                self._changed.wait(min(left, _TICK))
            self._rung = self._idle = False
        return not self._stopping.is_set()

    def ring(self, job_id: str) -> None:
        """In Celery: wake the worker; come back when it has looked in vain since, or is over."""
        del job_id  # the oldest goes first anyway
        with self._changed:
            self._rung = True
            self._changed.notify_all()
            while not (self._over.is_set() or (self._idle and not self._rung)):
                self._changed.wait(_TICK)

    def close(self) -> None:
        """Nobody listens any more."""
        self._over.set()


def run_celery_worker(
    broker: str,
    work: Callable[[Waiter], None],
    stopping: threading.Event,
    *,
    name: str,
    longest: float,
) -> None:
    """Work until told to stop.

    Args:
        broker: URL of Redis.
        work: The worker, which hears what it is given.
        stopping: What ends the worker; set on signals.
        name: Of this worker; nobody else's.
        longest: Seconds that a job may run.

    Raises:
        ConfigError: Redis may lose messages (``redis.policy``).
    """
    try:
        check_redis(broker)
    except RedisDown as error:  # Celery waits until it is there
        _log.warning("%s", error, extra={"event": "bell.silent"})
    ear = CeleryEar(stopping)

    def run() -> None:
        try:
            work(ear)
        finally:
            ear.close()
            if not stopping.is_set():  # it failed; whoever restarts us must see that we have ended
                os.kill(os.getpid(), signal.SIGTERM)

    def stop(**_: object) -> None:
        stopping.set()

    app = celery_app(broker, longest)
    app.task(ear.ring, name=RING)
    setup_logging.connect(_log_as_we_do)
    worker_shutting_down.connect(stop, weak=False)
    # The kernel ends a job's process with the thread that started it: this one lasts.
    with ThreadPoolExecutor(1, "photocast-worker") as threads:
        working = threads.submit(run)
        try:
            app.worker_main([*_COMMAND, *_ALONE, "-Q", QUEUE, "-n", f"{name}@%h"])
        finally:
            stopping.set()
            working.result()


def _log_as_we_do(**_: object) -> None:
    """Instead of Celery's own: all records go where ours go, of Celery's only what matters."""
    for name in ("celery", "kombu"):
        logging.getLogger(name).setLevel(logging.WARNING)
