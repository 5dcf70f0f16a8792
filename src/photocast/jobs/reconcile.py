# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts right what crashes leave behind: lost leases, unheard bells, files nobody needs.

Any number of these may run at once; every step is a conditional write.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from photocast.errors import StorageError
from photocast.jobs.database import DatabaseDown
from photocast.jobs.doorbell import Doorbell
from photocast.jobs.lease import LeaseTable, Watch

__all__ = ["Echo", "Reconciler"]

_log = logging.getLogger(__name__)
_FIRST_S, _LONGEST_S = 4.0, 60.0
_HEAD = 64  # as many workers would have something to do


class Echo:
    """For which of the waiting jobs to ring again, so that bells do not pile up.

    Each new one at once; then only those at the head of the queue, which a worker without work
    needs to hear of, after pauses that double. A queue of any length gets at most ``64`` bells a
    minute in the long run.
    """

    def __init__(self) -> None:
        self._next: dict[str, tuple[float, float]] = {}
        """When to ring again and the pause after that [s], by job."""

    def due(self, waiting: Sequence[str], now: float | None = None) -> list[str]:
        """Those to ring for now.

        Args:
            waiting: All that wait, oldest first.
            now: Seconds of a monotonic clock; the process's own by default.
        """
        now = time.monotonic() if now is None else now
        known = self._next
        due = [name for name in waiting if name not in known]
        due += [name for name in waiting[:_HEAD] if name in known and known[name][0] <= now]
        for name in due:
            pause = known[name][1] if name in known else _FIRST_S
            known[name] = (now + pause, min(2 * pause, _LONGEST_S))
        self._next = {name: known[name] for name in waiting}
        return due


class Reconciler:
    """A thread that looks after jobs from time to time."""

    def __init__(
        self,
        table: LeaseTable,
        bell: Doorbell,
        *,
        lease_seconds: float,
        clean: Callable[[], object] = lambda: None,
        clean_every: float = 300.0,
    ) -> None:
        """Prepare; ``clean`` removes what has expired, now and then."""
        self._table, self._bell = table, bell
        self._watch, self._every = Watch(lease_seconds), lease_seconds / 5
        self._echo = Echo()
        self._clean, self._clean_every = clean, clean_every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="photocast-reconcile")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def look(self) -> list[str]:
        """Take back what was lost and ring for what waits; the jobs that were rung for."""
        for job in self._watch.stale(self._table.running()):
            back = self._table.take_back(job)
            if back is not None:
                _log.warning(
                    "worker lost",
                    extra={"event": "job.taken_back", "job": job.id, "state": back.state.value},
                )
        rung = self._echo.due(self._table.waiting())
        for job_id in rung:
            if not self._bell.ring(job_id):
                break  # nobody hears; it is no use to ring for the others
        return rung

    def _run(self) -> None:
        cleaned = time.monotonic()
        while not self._over.wait(self._every):
            try:
                self.look()
                if time.monotonic() - cleaned > self._clean_every:
                    cleaned = time.monotonic()
                    self._clean()
            except (DatabaseDown, StorageError) as error:
                _log.warning("cannot look after jobs: %s", error, extra={"event": "reconcile.late"})
