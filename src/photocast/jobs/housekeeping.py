# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Removes what has expired, and what crashes left behind.

Any number of processes may do this at once: rows go first, by conditional statements, and the files
after them.
"""

import logging
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, select

from photocast.jobs import blobs, once
from photocast.jobs.database import Database
from photocast.jobs.erase import erase, remove_files
from photocast.jobs.files import FileStore
from photocast.jobs.ids import is_id, made_at
from photocast.jobs.record import FINAL, Job, State
from photocast.jobs.rows import change, read_job
from photocast.jobs.tables import artifacts, inputs, jobs
from photocast.jobs.uploads import UploadTable

__all__ = ["Housekeeper"]

_log = logging.getLogger(__name__)
_HOUR = 3600.0
_LONGEST_REQUEST_S = 12 * _HOUR  # until its files have rows
_AT_ONCE = 500


@dataclass(slots=True)
class Housekeeper:
    """What is to be kept, and for how long [s]; 0 keeps it."""

    database: Database
    files: FileStore
    data: Path
    """Folder with ``work``, ``uploads`` and ``incoming``."""
    keep_uploads_seconds: float
    keep_inputs_seconds: float
    _swept: float = field(default=float("-inf"))

    def clean(self) -> None:
        """Remove what has expired; once an hour also look for what nobody names.

        Raises:
            DatabaseDown: Nothing more is removed.
            StorageError: Some files are left for the next time.
        """
        now = time.time()
        self._expire_drafts(now)
        self._expire_uploads(now)
        self._expire_inputs(now)
        self._expire_artifacts(now)
        with self.database.write() as connection:
            once.forget(connection, now)
            gone = blobs.orphans(connection, now - _HOUR)
        remove_files(self.files, gone)
        if time.monotonic() - self._swept > _HOUR:
            self._swept = time.monotonic()
            self.sweep(now)

    def sweep(self, now: float) -> None:
        """Look through the store and the disk for what no row names."""
        self._sweep_inputs(now)
        self._sweep_artifacts()
        self._sweep_work()
        self._sweep_disk(now)
        self.files.sweep_partial(_HOUR)

    def _expire_drafts(self, now: float) -> None:
        if not self.keep_uploads_seconds:
            return
        old = select(jobs.c.id).where(
            jobs.c.state == State.DRAFT.value, jobs.c.created_at < now - self.keep_uploads_seconds
        )
        for job_id in self._names(old):
            if erase(self.database, self.files, self.data / "work", job_id, None) is not None:
                _log.info("draft expired", extra={"event": "draft.expired", "job": job_id})

    def _expire_uploads(self, now: float) -> None:
        table = UploadTable(self.database)
        for upload in table.expired(now):
            (self.data / "uploads" / upload.id).unlink(missing_ok=True)
            table.remove(upload.id)  # its content, if any, is an orphan now

    def _expire_inputs(self, now: float) -> None:
        """Forget the files of old jobs; the contents go with the orphans."""
        if not self.keep_inputs_seconds:
            return
        finals = [state.value for state in FINAL]
        old = select(jobs.c.id).where(
            jobs.c.state.in_(finals), jobs.c.finished_at < now - self.keep_inputs_seconds
        )
        with self.database.write() as connection:
            connection.execute(delete(inputs).where(inputs.c.job_id.in_(old)))

    def _expire_artifacts(self, now: float) -> None:
        old = select(jobs.c.id).where(
            jobs.c.artifacts_state == "available", jobs.c.expires_at < now
        )
        for job_id in self._names(old):
            with self.database.write() as connection:
                available = jobs.c.artifacts_state == "available"
                job = change(connection, job_id, available, artifacts_state="expired")
                connection.execute(delete(artifacts).where(artifacts.c.job_id == job_id))
            if job is not None:
                _log.info("files expired", extra={"event": "artifacts.expired", "job": job_id})
            self.files.delete_prefix(f"artifacts/{job_id}")

    def _sweep_inputs(self, now: float) -> None:
        """Files of requests that crashed before they wrote any row."""
        old = [
            key
            for key in self.files.keys(blobs.PREFIX)
            if made_at(key.rpartition("/")[2], "blob") < now - _LONGEST_REQUEST_S
        ]
        for first in range(0, len(old), _AT_ONCE):
            part = old[first : first + _AT_ONCE]
            with self.database.read() as connection:
                named = blobs.named(connection, part)
            remove_files(self.files, sorted(set(part) - named))

    def _sweep_artifacts(self) -> None:
        """Files of jobs that are gone, and of attempts that did not end well."""
        job: Job | None = None
        kept: set[str] = set()
        for key in self.files.keys("artifacts"):
            _, job_id, attempt, *_ = key.split("/")
            if job is None or job.id != job_id:
                job, kept = self._job_and_files(job_id)
            # the job may have been taken again since it was read
            may_run = job is not None and job.state not in FINAL and int(attempt) >= job.attempt
            if key in kept or may_run:
                continue
            self.files.delete(key)

    def _job_and_files(self, job_id: str) -> tuple[Job | None, set[str]]:
        query = select(artifacts.c.key).where(artifacts.c.job_id == job_id)
        with self.database.read() as connection:
            job = read_job(connection, job_id)  # before the keys: it may end in between
            return job, set(connection.execute(query).scalars())

    def _sweep_work(self) -> None:
        """Folders of jobs that have ended; their worker died before it could."""
        for folder in _children(self.data / "work"):
            with self.database.read() as connection:
                job = read_job(connection, folder.name) if is_id(folder.name, "job") else None
            if is_id(folder.name, "job") and (job is None or job.state in FINAL):
                shutil.rmtree(folder, ignore_errors=True)

    def _sweep_disk(self, now: float) -> None:
        """What interrupted requests left on this host."""
        for folder in _children(self.data / "incoming"):
            if made_at(folder.name, "in") < now - _LONGEST_REQUEST_S:
                shutil.rmtree(folder, ignore_errors=True)
        named = UploadTable(self.database).names()
        for path in _children(self.data / "uploads"):
            if path.name not in named and made_at(path.name, "up") < now - _HOUR:
                path.unlink(missing_ok=True)

    def _names(self, query: Select[Any]) -> list[str]:
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
