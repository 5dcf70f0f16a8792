# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A real service in a process of its own, and a line to it that can be cut."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

import photocast
from photocast.client import Client, Retry

PATIENT = Retry(count=12, base=0.2, longest=1.0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Service:
    """``photocast serve`` with the fake engine."""

    data: Path
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        given = {"LEASE_SECONDS": "3", "POLL_SECONDS": "0.2", "DISK_RESERVE_BYTES": "0"}
        named = {f"PHOTOCAST_{name}": text for name, text in {**given, **self.settings}.items()}
        source = str(Path(photocast.__file__).parents[1])
        return {**os.environ, "PYTHONPATH": source, **named}

    def start(self) -> "Service":
        arguments = ["serve", "--data", str(self.data), "--port", str(self.port), "--fake-engine"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from photocast.cli import main; main()", *arguments],
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        end = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            assert time.monotonic() < end, "the service did not start within 30 s"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """One that all tests share."""
    folder = tmp_path_factory.mktemp("service")
    made = Service(folder / "data", folder / "log").start()
    yield made
    made.stop()


@pytest.fixture
def own_service(tmp_path):
    """Makes one that a test may do anything to."""
    made: list[Service] = []

    def make(**settings: str) -> Service:
        made.append(Service(tmp_path / "data", tmp_path / "log", settings).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def client(service):
    with Client(service.url, retry=PATIENT) as made:
        yield made


@pytest.fixture
def capture(tmp_path) -> Path:
    """A folder that looks like a capture, with contents of its own."""
    folder = tmp_path / "capture"
    (folder / "images").mkdir(parents=True)
    for number in range(3):
        data = f"{folder} {number}".encode() * 1000
        (folder / "images" / f"photo {number} ü.png").write_bytes(data)
    (folder / "transforms.json").write_text("{}", encoding="utf-8")
    (folder / "notes.docx").write_bytes(b"notes")
    (folder / ".hidden.png").write_bytes(b"hidden")
    return folder


class Proxy:
    """A TCP proxy that cuts each connection after so many bytes of answer."""

    def __init__(self, port: int) -> None:
        self.cut_after: int | None = None
        """Counted on each connection; ``None``: never."""
        self.connections = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def change(self, data: bytes) -> bytes:
        """What of an answer goes through; a test may put another in its place."""
        return data

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._forth, args=(near, far), daemon=True).start()
            threading.Thread(target=self._back, args=(far, near), daemon=True).start()

    def _forth(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other direction closes both

    def _back(self, far: socket.socket, near: socket.socket) -> None:
        left = self.cut_after
        try:
            while data := far.recv(16384):
                data = self.change(data)
                near.sendall(data if left is None else data[:left])
                if left is not None and (left := left - len(data)) <= 0:
                    break
        except OSError:
            pass  # the client has gone
        for end in (near, far):
            with contextlib.suppress(OSError):  # it was closed already
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def proxy(service):
    made = Proxy(service.port)
    yield made
    made.close()
