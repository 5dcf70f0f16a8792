# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets many listeners wait for changes of jobs with one query for all of them.

Correct with any number of web processes, because it looks into the database and nowhere else.
"""

import asyncio
import logging
from collections import defaultdict

from starlette.concurrency import run_in_threadpool

from photocast.jobs.database import DatabaseDown
from photocast.jobs.store import JobStore

__all__ = ["Hub"]

_log = logging.getLogger(__name__)
_EVERY = 0.5
_AT_ONCE = 500  # names in a query


class Hub:
    """Watches the versions of the jobs that somebody waits for."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._waiting: dict[str, dict[asyncio.Future[None], int]] = defaultdict(dict)
        """The version that each listener has seen, by job."""
        self._task: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many wait now."""
        return sum(len(futures) for futures in self._waiting.values())

    async def changed(self, job_id: str, version: int, seconds: float) -> bool:
        """Wait until a job has another version than this one, or is gone; false: it took too long.

        Who asks again with the version that it has seen misses nothing.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting[job_id][future] = version
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError:
            return False
        finally:
            del self._waiting[job_id][future]
            if not self._waiting[job_id]:
                del self._waiting[job_id]
        return True

    async def close(self) -> None:
        """Let all listeners go."""
        if self._task is not None:
            self._task.cancel()
        for futures in list(self._waiting.values()):
            for future in futures:
                future.cancel()

    async def _watch(self) -> None:
        while self._waiting:
            await asyncio.sleep(_EVERY)
            names = list(self._waiting)
            try:
                versions: dict[str, int] = {}
                for first in range(0, len(names), _AT_ONCE):
                    part = names[first : first + _AT_ONCE]
                    versions |= await run_in_threadpool(self._jobs.versions, part)
            except DatabaseDown as error:
                _log.warning("cannot look: %s", error, extra={"event": "hub.late"})
                continue
            for name in names:
                self._wake(name, versions.get(name))

    def _wake(self, name: str, version: int | None) -> None:
        for future, seen in self._waiting.get(name, {}).items():
            if seen != version and not future.done():
                future.set_result(None)
