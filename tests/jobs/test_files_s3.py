# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a server of S3 may do wrong ends in a code, in time, and never in half a file."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from photocast.errors import StorageError
from photocast.jobs.files import open_files


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


class Server(BaseHTTPRequestHandler):
    """Announces 100 bytes and sends 10, or refuses what is put with a code."""

    refusal = (507, "InsufficientStorage")
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(b"x" * 10)
        self.close_connection = True

    def do_PUT(self):
        status, code = self.refusal
        self.rfile.read(int(self.headers["Content-Length"]))
        body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def bad_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield open_files(f"s3://bucket?endpoint=http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_half_a_download_is_an_error_and_no_file(bad_server, tmp_path):
    with pytest.raises(StorageError) as raised:
        bad_server.fetch("a", tmp_path / "a")
    assert raised.value.code == "storage.unavailable"
    assert list(tmp_path.iterdir()) == []
    with bad_server.open("a") as file, pytest.raises(StorageError) as raised:
        file.read()
    assert raised.value.code == "storage.unavailable"


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (507, "InsufficientStorage", "storage.full"),
        (507, "XMinioStorageFull", "storage.full"),
        (507, "", "storage.full"),
        (403, "QuotaExceeded", "storage.full"),
        (403, "AccessDenied", "storage.unavailable"),
        (404, "NoSuchBucket", "storage.unavailable"),
    ],
)
@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_a_refusal_to_store_has_its_code(bad_server, monkeypatch, status, code, ours, kind):
    monkeypatch.setattr(Server, "refusal", (status, code))
    with pytest.raises(StorageError) as raised:
        bad_server.put_bytes("a", b"x") if kind == "bytes" else bad_server.put("a", Path(__file__))
    assert raised.value.code == ours


def test_a_server_that_is_away_is_told_soon_and_without_its_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        store = open_files(f"s3://bucket?endpoint=http://127.0.0.1:{taken.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(StorageError) as raised:
            store.check()
    assert raised.value.code == "storage.unavailable"
    assert "127.0.0.1" not in str(raised.value)
    assert time.monotonic() - start < 20
