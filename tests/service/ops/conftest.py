# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A service in this process, one in its own, and a receiver of webhooks."""

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from photocast.jobs.lease import Outcome
from photocast.jobs.record import Job, NewJob, State
from photocast.service.app import create_app
from photocast.service.context import Context
from photocast.settings import load_settings

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMhIQ=="


def until(there: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


@dataclass
class Service:
    """A service in this process; its workers are the tests."""

    client: httpx.Client
    context: Context
    until = staticmethod(until)

    def job(self, *, url: str | None = None, owner: str = "local", **options: Any) -> Job:
        """A job that waits, with a webhook if there is a URL."""
        events = ["job.started", "job.succeeded", "job.failed", "job.canceled"]
        webhook = None if url is None else {"url": url, "secret": SECRET, "events": events[1:]}
        new = NewJob(
            owner=owner,
            options={"engine": "fake", "preset": "standard", **options},
            labels={"sku": "A-7"},
            webhook=webhook,
            max_seconds=60.0,
        )
        return self.context.jobs.create(new)

    def run(self, job: Job, state: State = State.SUCCEEDED, **outcome: Any) -> Job:
        """Do a waiting job's work."""
        claimed = self.context.leases.claim("wrk_test", job.id)
        assert claimed is not None
        ended = self.context.leases.finish(claimed, Outcome(state=state, **outcome))
        assert ended is not None
        return ended


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start a service in this process, with settings."""

    @contextmanager
    def started(**settings: Any) -> Iterator[Service]:
        given: dict[str, Any] = {"data": tmp_path / "data", "workers": 0, "fake_engine": True}
        app = create_app(load_settings(**{**given, **settings}))
        config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                yield Service(client, app.state.context)
        finally:
            server.should_exit = True
            thread.join()

    return started


@pytest.fixture
def service(start: Callable[..., Any]) -> Iterator[Service]:
    """A service that may send webhooks to this machine."""
    with start(webhook_private=True) as made:
        yield made


@pytest.fixture
def quiet(start: Callable[..., Any]) -> Iterator[Service]:
    """A service that sends no webhooks by itself."""
    with start(webhooks=False) as made:
        yield made


@dataclass
class Receiver:
    """Answers with the given statuses in turn, the last one for ever."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, count: int) -> None:
        """Wait until so many messages came."""
        until(lambda: len(self.got) >= count)


@contextmanager
def listening(receiver: Receiver, *, tls: ssl.SSLContext | None = None, port: int = 0) -> Any:
    """Let a receiver listen."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with receiver.lock:
                receiver.at_once += 1
                receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status = receiver.statuses[min(len(receiver.got), len(receiver.statuses)) - 1]
            time.sleep(receiver.seconds)
            with receiver.lock:
                receiver.at_once -= 1
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    scheme = "http" if tls is None else "https"
    receiver.url = f"{scheme}://localhost:{server.server_address[1]}/hook"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def listen() -> Callable[..., Any]:
    """Let a receiver listen, for a block: how it answers, and how it is reached."""

    def started(*, tls: ssl.SSLContext | None = None, port: int = 0, **how: Any) -> Any:
        return listening(Receiver(**how), tls=tls, port=port)

    return started


@pytest.fixture(name="until")
def _until() -> Callable[..., None]:
    """Wait until something is true."""
    return until


@pytest.fixture
def secret() -> str:
    """Of every webhook in these tests."""
    return SECRET


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    with listening(Receiver()) as made:
        yield made


@dataclass
class Served:
    """A service in processes of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def kill(self) -> None:
        """As if the power were cut."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start ``photocast serve`` with settings, and wait until it answers."""
    running: list[Served] = []

    def started(*arguments: str, **environment: str) -> Served:
        log = tmp_path / f"serve-{len(running)}.log"
        base = {n: v for n, v in os.environ.items() if not n.startswith("PHOTOCAST_")}
        settings = {"PHOTOCAST_LEASE_SECONDS": "3", "PHOTOCAST_POLL_SECONDS": "0.2"}
        settings |= {"PHOTOCAST_GRACE_SECONDS": "1", "PHOTOCAST_LOG_FORMAT": "json"}
        command = [sys.executable, "-m", "photocast", "serve", "--port", "0", "--fake-engine"]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--data", str(tmp_path / "data"), *arguments],
                stdout=file,
                stderr=file,
                env={**base, **settings, **environment},
            )
        found = Served(process, "", log)
        running.append(found)
        until(lambda: process.poll() is not None or b"running on" in log.read_bytes())
        match = re.search(r"running on (http://[\d.:]+)", log.read_text(encoding="utf-8"))
        assert match, log.read_text(encoding="utf-8")
        found.url = match[1]
        return found

    yield started
    for one in running:
        if one.process.poll() is None:
            one.process.terminate()
            try:
                one.process.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()
