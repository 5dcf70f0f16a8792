# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every request handler needs: settings, database, files, bell. Made once per process."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from photocast.jobs.database import Database, open_database
from photocast.jobs.doorbell import Doorbell, SilentBell
from photocast.jobs.files import FileStore, open_files
from photocast.jobs.lease import LeaseTable
from photocast.jobs.store import JobStore
from photocast.settings import Settings

__all__ = ["Context", "ContextOf", "context_of", "open_context"]


@dataclass(slots=True)
class Context:
    """The parts of a running service."""

    settings: Settings
    database: Database
    files: FileStore
    jobs: JobStore
    leases: LeaseTable
    bell: Doorbell = field(default_factory=SilentBell)

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


ContextOf = Annotated[Context, Depends(context_of)]
