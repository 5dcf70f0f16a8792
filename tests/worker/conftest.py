# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A service without its web half, with jobs of the fake engine; and a file that means no good."""

import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from photocast.jobs.database import Database, open_database
from photocast.jobs.files import FileStore, open_files
from photocast.jobs.lease import LeaseTable
from photocast.jobs.record import Input, Job, NewJob
from photocast.jobs.store import JobStore
from photocast.worker.supervise import Supervisor, WorkerConfig

LEASE_S = 3.0


@dataclass
class Bench:
    """Everything a worker needs, in one folder."""

    folder: Path
    database: Database
    files: FileStore
    store: JobStore
    table: LeaseTable

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'photocast.db'}"

    def config(self, **changes) -> WorkerConfig:
        values = {"work": self.folder / "work", "lease_seconds": LEASE_S, "grace_seconds": 0.5}
        return WorkerConfig(**{**values, **changes})

    def add(self, *, max_seconds: float = 60.0, inputs: tuple[Input, ...] = (), **fake) -> Job:
        """Let a job of the fake engine wait."""
        options = {"engine": "fake", "preset": "standard", "fake": fake}
        new = NewJob(owner="me", options=options, labels={}, max_seconds=max_seconds)
        return self.store.create(new, inputs)

    def stored(self, role: str, name: str, data: bytes) -> Input:
        """Store a file that a job is given."""
        kept = self.files.put_bytes(f"inputs/{role}/{len(data)}-{abs(hash(name))}", data)
        return Input(role=role, name=name, key=kept.key, sha256=kept.sha256, size=kept.size)

    def work(self, **changes) -> Job | None:
        """Run the next job to the end of its attempt, in this process."""
        supervisor = Supervisor(
            self.database, self.files, self.config(**changes), threading.Event()
        )
        job = self.table.claim("wrk_test")
        return None if job is None else supervisor.run(job)


@pytest.fixture
def bench(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'photocast.db'}")
    files = open_files(str(tmp_path / "files"))
    yield Bench(tmp_path, database, files, JobStore(database), LeaseTable(database))
    database.close()


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + payload))
    return struct.pack(">I", len(payload)) + kind + payload + check


@pytest.fixture
def png_bomb(tmp_path: Path) -> Path:
    """A PNG of 256 megapixels in 31 kB."""
    side = 16000
    rows = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    packed = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )
    return path
