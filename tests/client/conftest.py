# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A client of a real service, something to send, and a line that can be cut."""

import contextlib
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast.client import Client, Retry

PATIENT = Retry(count=300, base=0.2, longest=1.0)


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
        pixels = np.random.default_rng().integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"photo {number} ü.png")
    (folder / "transforms.json").write_text(f'{{"of": "{folder}"}}', encoding="utf-8")
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
