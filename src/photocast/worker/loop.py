# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A worker: wait for a bell or look by itself, take the oldest job, run it, again."""

import logging
import os
import platform
import select
import threading
import time
from typing import Any, Protocol

from photocast.jobs.database import Database, DatabaseDown
from photocast.jobs.files import FileStore
from photocast.jobs.ids import new_id
from photocast.jobs.lease import LeaseTable
from photocast.jobs.presence import Presence
from photocast.jobs.store import JobStore
from photocast.worker.gpu import device_facts
from photocast.worker.supervise import Supervisor, WorkerConfig
from photocast.worker.sweep import sweep_work

__all__ = ["NoBell", "PipeBell", "Waiter", "run_worker", "worker_name"]

_log = logging.getLogger(__name__)
_TELL_EVERY = 10.0
_SWEEP_LEASES = 10  # between looks for folders that nobody needs


class Waiter(Protocol):
    """Where a worker hears bells."""

    def wait(self, seconds: float) -> bool:
        """Wait for a bell, at most so long; false if there will never be one again."""


class NoBell:
    """For workers on hosts of their own: they look."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def wait(self, seconds: float) -> bool:
        """Sleep."""
        return not self._stopping.wait(seconds)


class PipeBell:
    """Bells are bytes on a pipe from the process that started this one."""

    def __init__(self, stopping: threading.Event, descriptor: int = 0) -> None:
        self._stopping, self._descriptor = stopping, descriptor
        # also while a job runs: who started this worker is gone, so nobody would restart it
        threading.Thread(target=self._until_gone, daemon=True, name="photocast-parent").start()

    def wait(self, seconds: float) -> bool:
        """Wait for a byte."""
        end = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := end - time.monotonic()) > 0:
            if self._readable(min(left, 0.5)) and os.read(self._descriptor, 4096):
                return True
        return not self._stopping.is_set()

    def _readable(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def _until_gone(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLHUP)
        while not self._stopping.is_set():
            if any(what & select.POLLHUP for _, what in poll.poll(500)):
                self._stopping.set()


def worker_name() -> str:
    """A name that no other worker has or had."""
    return new_id("wrk")


def run_worker(
    database: Database,
    files: FileStore,
    config: WorkerConfig,
    *,
    name: str,
    poll: float,
    stopping: threading.Event,
    bell: Waiter,
) -> None:
    """Work until told to stop.

    Args:
        database: Where the jobs are.
        files: Where their files are.
        config: How jobs are treated.
        name: Of this worker; nobody else's.
        poll: Seconds between looks, if no bell rings.
        stopping: Ends the worker when it is set; set when the worker has ended.
        bell: Where it hears that there may be work.
    """
    supervisor = Supervisor(database, files, config, stopping)
    table = LeaseTable(database, max_losses=config.max_losses)
    seen = _be_seen(database, config, name, stopping)
    while not stopping.is_set():
        began = time.monotonic()
        try:
            job = table.claim(name)
        except DatabaseDown as error:
            _log.warning("cannot look for work: %s", error, extra={"event": "worker.delayed"})
            stopping.wait(poll)
            continue
        if job is not None:
            supervisor.run(job, began)
        elif not bell.wait(poll):
            break
    stopping.set()
    seen.join()


def _be_seen(
    database: Database, config: WorkerConfig, name: str, stopping: threading.Event
) -> threading.Thread:
    """Start telling that a worker lives, and clearing up after jobs, until it stops."""
    thread = threading.Thread(
        target=_show, args=(database, config, name, stopping), daemon=True, name="photocast-seen"
    )
    thread.start()
    return thread


def _show(database: Database, config: WorkerConfig, name: str, stopping: threading.Event) -> None:
    presence, jobs, swept = Presence(database), JobStore(database), time.monotonic()
    while not stopping.is_set():
        try:
            presence.tell(name, _facts())
            if time.monotonic() - swept > _SWEEP_LEASES * config.lease_seconds:
                swept = time.monotonic()
                sweep_work(config.work, jobs)
        except DatabaseDown as error:
            _log.warning("cannot be seen: %s", error, extra={"event": "worker.delayed"})
        stopping.wait(_TELL_EVERY)
    _forget(presence, name)


def _forget(presence: Presence, name: str) -> None:
    try:
        presence.forget(name)
    except DatabaseDown as error:
        _log.warning("still listed: %s", error, extra={"event": "worker.delayed"})


def _facts() -> dict[str, Any]:
    return {"host": platform.node(), "pid": os.getpid(), **device_facts()}
