# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A worker that hears bells over Celery: ``photocast worker --celery``.

Celery's own process talks with Redis. It forks one child, whose main thread supervises a job: the
job runs in a third process, as everywhere. Celery is told that the task is done before it begins,
so it never delivers one twice; what becomes of the job is the lease's affair.
"""

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable

from celery.signals import setup_logging, worker_process_init, worker_shutting_down

from photocast.jobs.celery_bell import QUEUE, RING, celery_app
from photocast.jobs.database import Database, DatabaseDown
from photocast.jobs.files import FileStore
from photocast.jobs.lease import LeaseTable
from photocast.jobs.redis_check import RedisDown, check_redis
from photocast.worker.loop import be_seen
from photocast.worker.supervise import Supervisor, WorkerConfig

__all__ = ["run_celery_worker"]

_log = logging.getLogger(__name__)
_COMMAND = ("--quiet", "worker", "--pool=prefork", "--concurrency=1")
_ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def run_celery_worker(
    broker: str,
    open_all: Callable[[], tuple[Database, FileStore]],
    config: WorkerConfig,
    *,
    name: str,
    longest: float,
) -> None:
    """Work until told to stop.

    Args:
        broker: URL of Redis.
        open_all: Opens the database and the files, in the child that uses them.
        config: How jobs are treated.
        name: Of this worker; nobody else's.
        longest: Seconds that a job may run.

    Raises:
        ConfigError: Redis may lose messages (``redis.policy``).
    """
    try:
        check_redis(broker)
    except RedisDown as error:  # Celery waits until it is there
        _log.warning("%s", error, extra={"event": "bell.silent"})
    app = celery_app(broker, longest)
    hearing = _Hearing(open_all, config, name)
    app.task(hearing.ring, name=RING)
    setup_logging.connect(_log_as_we_do, weak=False)
    worker_process_init.connect(hearing.begin, weak=False)
    worker_shutting_down.connect(hearing.end, weak=False)
    app.worker_main([*_COMMAND, *_ALONE, "-Q", QUEUE, "-n", f"{name}@%h"])


def _log_as_we_do(**_: object) -> None:
    """Instead of Celery's own: all records go where ours go, of Celery's only what matters."""
    for name in ("celery", "kombu"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Hearing:
    """What happens in Celery's child."""

    def __init__(
        self, open_all: Callable[[], tuple[Database, FileStore]], config: WorkerConfig, name: str
    ) -> None:
        self._open_all, self._config, self._name = open_all, config, name
        # Only Celery's own process holds the end for writing: it closes when that ends or dies.
        self._alive, self._parent = os.pipe()
        self._ending = False

    def begin(self, **_: object) -> None:
        """Get ready in a child that was forked just now."""
        os.close(self._parent)
        database, files = self._open_all()
        self._table = LeaseTable(database, max_losses=self._config.max_losses)
        self._supervisor = Supervisor(database, files, self._config)
        be_seen(database, self._config, self._name, self._supervisor.stopping)
        threading.Thread(target=self._until_over, daemon=True, name="photocast-parent").start()

    def end(self, **_: object) -> None:
        """In Celery's own process: let the child give its job back."""
        if not self._ending:
            self._ending = True
            os.close(self._parent)

    def ring(self, job_id: str) -> None:
        """Run a job, if it still waits."""
        before = signal.signal(signal.SIGTERM, lambda *_: self._supervisor.stopping.set())
        try:
            self._claim_and_run(job_id)
        finally:
            signal.signal(signal.SIGTERM, before)

    def _claim_and_run(self, job_id: str) -> None:
        if self._supervisor.stopping.is_set():
            return  # the reconciler rings again, for somebody else
        began = time.monotonic()
        try:
            job = self._table.claim(self._name, job_id)
        except DatabaseDown as error:
            _log.warning("cannot look: %s", error, extra={"event": "worker.delayed"})
            return
        if job is not None:
            self._supervisor.run(job, began)

    def _until_over(self) -> None:
        select.select([self._alive], [], [])
        self._supervisor.stopping.set()
