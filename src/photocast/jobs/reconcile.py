# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts right what crashes leave behind: lost leases, unheard bells, files nobody needs.

Any number of these may run at once; every step is a conditional write.
"""

import logging
import threading
import time
from collections.abc import Callable

from photocast.errors import StorageError
from photocast.jobs.database import DatabaseDown
from photocast.jobs.doorbell import Doorbell
from photocast.jobs.lease import LeaseTable, Watch

__all__ = ["Reconciler"]

_log = logging.getLogger(__name__)


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
        """Take back what was lost and ring for all that waits; the jobs that were rung for."""
        for job in self._watch.stale(self._table.running()):
            back = self._table.take_back(job)
            if back is not None:
                _log.warning(
                    "worker lost",
                    extra={"event": "job.taken_back", "job": job.id, "state": back.state.value},
                )
        waiting = self._table.waiting()
        for job_id in waiting:
            if not self._bell.ring(job_id):
                break  # nobody hears; it is no use to ring for the others
        return waiting

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
