# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps a lease alive while its job runs, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable

from photocast.jobs.database import DatabaseDown
from photocast.jobs.lease import LeaseTable
from photocast.jobs.record import Job
from photocast.telling import job_id

__all__ = ["LeaseKeeper"]

_log = logging.getLogger(__name__)


class LeaseKeeper:
    """Beats, and notices that the job was cancelled or taken away."""

    def __init__(
        self,
        table: LeaseTable,
        job: Job,
        *,
        every: float,
        patience: float,
        poll: float,
        since: float,
        renewed: Callable[[float], None],
    ) -> None:
        """Start beating.

        Args:
            table: Where the leases are.
            job: As it was claimed.
            every: Seconds between beats.
            patience: Seconds without a beat that came through, after which the job counts as lost.
            poll: Seconds between looks at the wish to cancel.
            since: When the claim began, by the monotonic clock; it was the first beat.
            renewed: Told when each beat that came through began, by the monotonic clock.
        """
        self._table, self._job = table, job
        self._every, self._patience, self._poll = every, patience, poll
        self._renewed = renewed
        self.last = since
        """When the last beat that came through began."""
        self._over = threading.Event()
        self.lost = threading.Event()
        """The job is, or may soon be, somebody else's."""
        self.cancel = threading.Event()
        """Its owner wants it to end."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="photocast-beat")
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        job_id.set(self._job.id)
        due = self.last
        while not self._over.is_set() and not self.lost.is_set():
            now = time.monotonic()
            try:
                beat = now >= due
                wanted = (self._table.beat if beat else self._table.cancel_wanted)(self._job)
            except DatabaseDown as error:
                _log.warning("no heartbeat: %s", error, extra={"event": "lease.delayed"})
            else:
                if wanted is None:
                    self.lost.set()
                elif wanted:
                    self.cancel.set()
                if beat and wanted is not None:
                    self.last, due = now, now + self._every
                    self._renewed(now)
            if time.monotonic() - self.last > self._patience:
                self.lost.set()
            self._over.wait(self._poll)
