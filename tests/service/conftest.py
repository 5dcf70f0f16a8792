# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A real service on a free port, without workers unless a test starts some."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn
from PIL import Image

from photocast.jobs.keyring import Keyring
from photocast.jobs.record import Job, NewJob
from photocast.service.app import create_app
from photocast.service.context import Context
from photocast.settings import Settings, load_settings
from photocast.worker.supervise import Supervisor, WorkerConfig


def picture(shade: int) -> bytes:
    """A small PNG without any metadata, which stays the same when it is cleaned."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(name="picture")
def _picture():
    return picture


@dataclass
class Served:
    """A running service, and the way in past HTTP."""

    url: str
    context: Context
    settings: Settings
    app: object
    clients: list[httpx.Client] = field(default_factory=list)

    def key(self, owner: str = "me", *, scopes=("jobs:read", "jobs:write"), **more) -> str:
        return Keyring(self.context.database).add(owner=owner, scopes=scopes, **more)[0]

    def client(self, key: str | None = None, **more) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.clients.append(httpx.Client(base_url=self.url, headers=headers, timeout=20, **more))
        return self.clients[-1]

    def add(self, owner: str = "local", **fake) -> Job:
        """Write a job of the fake engine down."""
        options = {"engine": "fake", "preset": "standard", "fake": fake}
        new = NewJob(owner=owner, options=options, labels={}, max_seconds=60)
        return self.context.jobs.create(new)

    def work(self) -> Job | None:
        """Run the next job, in this process."""
        work = Path(self.settings.work_folder)
        config = WorkerConfig(work=work, lease_seconds=6, grace_seconds=1)
        job = self.context.leases.claim("wrk_test")
        if job is None:
            return None
        return Supervisor(self.context.database, self.context.files, config, threading.Event()).run(
            job
        )


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """Serve until the block ends."""
    app = create_app(settings)
    config = uvicorn.Config(
        app, log_config=None, lifespan="on", server_header=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        thread.join(0.02)
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        served = Served(url, app.state.context, settings, app)
        yield served
        for client in served.clients:
            client.close()
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    with serving(load_settings(data=tmp_path / "data", fake_engine=True)) as found:
        yield found


@pytest.fixture
def serve(tmp_path):
    """Serve with other settings, as a context."""
    count = iter(range(100))

    def go(**settings):
        folder = tmp_path / f"data{next(count)}"
        return serving(load_settings(**{"data": folder, "fake_engine": True, **settings}))

    return go
