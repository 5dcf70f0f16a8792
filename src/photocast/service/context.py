# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every request handler needs: settings, database, files, bell. Made once per process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from photocast.jobs.database import Database, open_database
from photocast.jobs.doorbell import Doorbell, SilentBell
from photocast.jobs.files import FileStore, open_files
from photocast.jobs.lease import LeaseTable
from photocast.jobs.store import JobStore
from photocast.settings import Settings

__all__ = ["Context", "ContextOf", "context_of", "open_context"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Context:
    """The parts of a running service."""

    settings: Settings
    database: Database
    files: FileStore
    jobs: JobStore
    leases: LeaseTable
    bell: Doorbell = field(default_factory=SilentBell)

    async def look(self, query: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short query that only reads, without holding others up.

        SQLite in its write-ahead mode answers a reader at once, from memory, so it is asked right
        here; a thread would cost several times as much as the query.
        """
        if self.database.is_sqlite:
            return query(*args, **kwargs)
        return await run_in_threadpool(query, *args, **kwargs)

    def close(self) -> None:
        """Give everything back."""
        self.bell.close()
        self.database.close()


def open_context(settings: Settings) -> Context:
    """Open the database and the file store.

    Raises:
        ConfigError: A URL is wrong.
        DatabaseDown: The database does not answer.
        StorageError: The files cannot be reached.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    database = open_database(settings.database_url)
    return Context(
        settings=settings,
        database=database,
        files=open_files(settings.files_url),
        jobs=JobStore(database),
        leases=LeaseTable(database, max_losses=settings.max_losses),
    )


def context_of(request: Request) -> Context:
    """The parts of the service that answers a request."""
    found: Context = request.app.state.context
    return found


async def _context(request: Request) -> Context:  # async, or a thread would be asked to look
    return context_of(request)


ContextOf = Annotated[Context, Depends(_context)]
