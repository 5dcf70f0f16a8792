# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Forgetting a job with everything that it alone needs."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, delete, select

from photocast.jobs import blobs
from photocast.jobs.database import Database
from photocast.jobs.files import FileStore
from photocast.jobs.record import Job, State
from photocast.jobs.rows import read_job
from photocast.jobs.tables import inputs, jobs

__all__ = ["erase", "remove_files"]


def erase(
    database: Database, files: FileStore, work: Path, job_id: str, owner: str | None
) -> Job | None:
    """Remove the rows of a job that does not run, then its files.

    Args:
        database: Where its rows are.
        files: Where its files are.
        work: Folder of unfinished work.
        job_id: Which job.
        owner: Whose it must be; ``None``: anybody's.

    Returns:
        The job as it was; ``None`` if it runs, is not there or somebody else's.

    Raises:
        StorageError: Rows are gone, and some files are left for the next sweep.
    """
    with database.write() as connection:
        job = read_job(connection, job_id)
        if job is None or owner not in (None, job.owner) or job.state is State.RUNNING:
            return None
        gone = _forget(connection, job)
    if gone is None:
        return None
    shutil.rmtree(work / job.id, ignore_errors=True)
    remove_files(files, gone)
    files.delete_prefix(f"artifacts/{job.id}")
    return job


def remove_files(files: FileStore, keys: Iterable[str]) -> None:
    """Remove files whose rows are gone."""
    for key in keys:
        files.delete(key)


def _forget(connection: Connection, job: Job) -> list[str] | None:
    """Delete the rows; the keys of files that nobody needs now."""
    keys = list(connection.execute(select(inputs.c.key).where(inputs.c.job_id == job.id)).scalars())
    gone = delete(jobs).where(jobs.c.id == job.id, jobs.c.state == job.state.value)
    if not connection.execute(gone).rowcount:
        return None  # a worker took it meanwhile
    return blobs.release(connection, keys)
