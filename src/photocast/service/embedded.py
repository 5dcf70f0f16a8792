# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Workers that the service itself starts: processes with a pipe for a bell.

A worker that dies is started again, after a pause that grows. Its jobs need not wait for their
lease to run out: who starts a process knows when it is dead, and its job's process died with it.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from photocast.jobs.database import DatabaseDown
from photocast.jobs.ids import new_id
from photocast.jobs.lease import LeaseTable

__all__ = ["EmbeddedWorkers"]

_log = logging.getLogger(__name__)
_LOOK = 0.2
_PAUSES = (0.0, 1.0, 5.0, 30.0)
_HEALTHY = 60.0  # seconds after which a worker's earlier deaths are forgotten


class EmbeddedWorkers:
    """Starts workers, keeps them alive, and rings for them."""

    def __init__(
        self,
        count: int,
        table: LeaseTable,
        arguments: Sequence[str],
        *,
        grace: float,
        gpus: Sequence[str] = (),
    ) -> None:
        """Prepare.

        Args:
            count: How many workers.
            table: Where their jobs are given back.
            arguments: Those of ``photocast worker``, besides its name.
            grace: Seconds that workers have to end.
            gpus: Names of GPUs to share out among the workers, one each; none: all see all.
        """
        self._table, self._grace = table, grace
        self._slots = [
            _Slot(arguments, gpus[i % len(gpus)] if gpus else None) for i in range(count)
        ]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="photocast-workers")
        self._ready = threading.Event()

    def start(self) -> None:
        """Start the workers, and their nurse."""
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """End all workers; their jobs are given back."""
        self._over.set()
        self._thread.join()
        end = time.monotonic() + self._grace
        for slot in self._slots:
            slot.close()
        for slot in self._slots:
            slot.wait(max(end - time.monotonic(), 0.0))
            self._give_back(slot)

    def ring(self, job_id: str) -> bool:
        """Wake every worker; who is first gets the job."""
        del job_id  # the oldest goes first anyway
        return any([slot.ring() for slot in self._slots])

    def problem(self) -> str | None:
        """Why nobody works, if nobody does."""
        if self._slots and not any(slot.alive for slot in self._slots):
            return "No worker runs; the log says why they ended."
        return None

    def _run(self) -> None:
        # The kernel ends a worker with the thread that started it, so one thread does it all.
        while not self._over.is_set():
            for slot in self._slots:
                self._look_after(slot)
            self._ready.set()
            self._over.wait(_LOOK)

    def _look_after(self, slot: "_Slot") -> None:
        if slot.alive:
            return
        if slot.name and not self._give_back(slot):
            return  # try again, before the name changes
        slot.start_if_due()

    def _give_back(self, slot: "_Slot") -> bool:
        try:
            for job in self._table.release(slot.name):
                event = {"event": "job.released", "job": job.id, "state": job.state.value}
                _log.warning("worker died", extra=event)
        except DatabaseDown as error:
            _log.warning("job not given back: %s", error, extra={"event": "job.delayed"})
            return False
        slot.name = ""
        return True


class _Slot:
    """A place for one worker process."""

    def __init__(self, arguments: Sequence[str], gpu: str | None) -> None:
        self._arguments, self._gpu = list(arguments), gpu
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # between bells and restarts
        self._deaths, self._started = 0, -_HEALTHY
        self.name = ""

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start_if_due(self) -> None:
        now = time.monotonic()
        if now - self._started > _HEALTHY:
            self._deaths = 0
        if now - self._started < _PAUSES[min(self._deaths, len(_PAUSES) - 1)]:
            return
        self._deaths += 1
        self._started, self.name = now, new_id("wrk")
        command = [sys.executable, "-m", "photocast", "worker", "--name", self.name]
        own = {} if self._gpu is None else {"CUDA_VISIBLE_DEVICES": self._gpu}
        with self._lock:
            self._close_pipe()
            try:
                self._process = subprocess.Popen(
                    [*command, "--bell", *self._arguments],
                    stdin=subprocess.PIPE,
                    close_fds=True,
                    env={**os.environ, **own},
                )
            except OSError as error:  # no memory or no process left at this moment
                _log.warning("no worker: %s", error, extra={"event": "worker.delayed"})

    def ring(self) -> bool:
        with self._lock:
            if not self.alive or self._process is None or self._process.stdin is None:
                return False
            try:
                os.write(self._process.stdin.fileno(), b".")
            except OSError:
                return False
            return True

    def close(self) -> None:
        """The end of its pipe tells a worker to end."""
        with self._lock:
            self._close_pipe()

    def wait(self, seconds: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close_pipe(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
