# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Two web processes and three workers that share a database, Redis and S3, and no folder."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

FAKE = {"options": {"engine": "fake", "fake": {"seconds": 0.2}}}
WORKERS, JOBS, PATIENCE_S = 3, 30, 120.0


@pytest.fixture
def webs(
    servers: ModuleType, postgres_url: str, redis: Any, s3_url: str, tmp_path: Path
) -> Iterator[list[httpx.Client]]:
    """A client of each web process; the workers have started too."""
    redis.start()
    shared = {
        "PHOTOCAST_DATABASE": postgres_url,
        "PHOTOCAST_BROKER": redis.url,
        "PHOTOCAST_FILES": s3_url,
        "PHOTOCAST_FAKE_ENGINE": "1",
        "PHOTOCAST_GRACE_SECONDS": "2",
        "PHOTOCAST_DISK_RESERVE_BYTES": "0",
    }
    with ExitStack() as stack:
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(lambda: [process.wait() for process in started])
        stack.callback(lambda: [process.terminate() for process in started])

        def start(name: str, *command: str) -> None:
            (tmp_path / name).mkdir()
            own = {"PHOTOCAST_DATA": str(tmp_path / name / "data")}
            own["PHOTOCAST_FAKE_WITNESS"] = str(tmp_path / name)
            log = stack.enter_context((tmp_path / name / "log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "photocast", *command],
                env={**os.environ, **shared, **own}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
            started.append(process)

        ports = [servers.free_port() for _ in range(2)]
        for number, port in enumerate(ports):
            start(f"web{number}", "serve", "--port", str(port))
        for number in range(WORKERS):
            start(f"worker{number}", "worker", "--celery")
        clients = [
            stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
            for port in ports
        ]
        for client in clients:
            until(lambda client=client: ready(client))
        yield clients


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.2)


def heard(client: httpx.Client, job: str) -> list[tuple[str, dict[str, Any]]]:
    """All that a web process tells of a job, until it has ended."""
    found, kind = [], ""
    with client.stream("GET", f"/v1/jobs/{job}/events", timeout=PATIENCE_S) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((kind, json.loads(line.removeprefix("data: "))))
            if kind == "end" and not line:
                break
    return found


def test_any_web_process_serves_what_any_worker_made(webs: list[httpx.Client], tmp_path: Path):
    slow = {"options": {"engine": "fake", "fake": {"seconds": 4.0}}}
    watched = webs[1].post("/v1/jobs", json=slow).json()["id"]
    told = heard(webs[0], watched)
    assert told[-1][1]["state"] == "succeeded"
    assert any(kind == "progress" and data.get("percent", 0) > 10 for kind, data in told)

    made = [webs[n % 2].post("/v1/jobs", json=FAKE) for n in range(JOBS - 1)]
    assert {answer.status_code for answer in made} == {202}
    jobs = [watched, *(answer.json()["id"] for answer in made)]
    until(lambda: all(state_of(webs[0], job) not in ("queued", "running") for job in jobs))
    assert [state_of(webs[1], job) for job in jobs] == ["succeeded"] * JOBS
    for job in jobs:
        files = [results(client, job) for client in webs]
        assert files[0] == files[1]
        assert set(files[0]) == {"mesh.glb", "report.json"}
    runs = [(tmp_path / f"worker{n}" / "runs") for n in range(WORKERS)]
    shares = [len(path.read_text(encoding="ascii").splitlines()) for path in runs]
    assert sum(shares) == JOBS, "each ran once"
    assert min(shares) > 0, "no worker was idle"


def state_of(client: httpx.Client, job: str) -> str:
    return str(client.get(f"/v1/jobs/{job}").json()["state"])


def results(client: httpx.Client, job: str) -> dict[str, str]:
    """Hashes of a job's files as downloaded, which are those that were announced."""
    hashes = {}
    for one in client.get(f"/v1/jobs/{job}/artifacts").json()["artifacts"]:
        answer = client.get(f"/v1/jobs/{job}/artifacts/{one['name']}", follow_redirects=True)
        hashes[one["name"]] = hashlib.sha256(answer.content).hexdigest()
        assert hashes[one["name"]] == one["sha256"]
    return hashes
