# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How much memory and time it takes to take jobs in.

    python benchmarks/service_intake.py [--jobs 100] [--photos 50] [--bytes 1000000] [--clients 8]

Starts ``photocast serve`` without workers on a folder of its own and sends it jobs, all photos
different, from so many clients at once. Prints one JSON object: the memory of the service before
and at its highest, and the rate. Client and server share the machine's cores and its disk.
"""

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

BOUNDARY = "photocast-benchmark"


def body(job: int, photos: int, size: int) -> Iterator[bytes]:
    """A form with photos that no other job has."""
    fill = os.urandom(size)
    for photo in range(photos):
        yield (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
            f'name="images"; filename="{photo:04}.jpg"\r\n\r\n'
        ).encode()
        yield hashlib.sha256(f"{job}/{photo}".encode()).digest() + fill[32:]
        yield b"\r\n"
    yield (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="request"\r\n\r\n'
        f'{{"options": {{"engine": "fake"}}}}\r\n--{BOUNDARY}--\r\n'
    ).encode()


def memory_of(pid: int) -> tuple[int, int]:
    """Resident memory of a process, now and at its highest [bytes]."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    now, most = (re.search(rf"{name}:\s+(\d+) kB", text) for name in ("VmRSS", "VmHWM"))
    assert now is not None
    assert most is not None
    return int(now[1]) * 1024, int(most[1]) * 1024


def run(port: int, pid: int, given: argparse.Namespace) -> dict[str, float]:
    """Send all jobs and measure."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    def send(job: int) -> float:
        began = time.perf_counter()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
            content = body(job, given.photos, given.bytes)
            answer = client.post("/v1/jobs", content=content, headers=headers)
        assert answer.status_code == 202, answer.text
        return time.perf_counter() - began

    send(-1)  # what is loaded at the first request is not growth
    before, _ = memory_of(pid)
    began = time.perf_counter()
    with ThreadPoolExecutor(given.clients) as pool:
        seconds = sorted(pool.map(send, range(given.jobs)))
    took, (after, most) = time.perf_counter() - began, memory_of(pid)
    return {
        "jobs": given.jobs,
        "photos": given.photos,
        "clients": given.clients,
        "before_mb": round(before / 1e6, 1),
        "after_mb": round(after / 1e6, 1),
        "highest_mb": round(most / 1e6, 1),
        "growth_mb": round((most - before) / 1e6, 1),
        "seconds": round(took, 1),
        "mb_per_second": round(given.jobs * given.photos * given.bytes / 1e6 / took, 1),
        "job_p50_s": round(seconds[len(seconds) // 2], 2),
        "job_max_s": round(seconds[-1], 2),
    }


def main() -> None:
    """Start a service, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        words = [sys.executable, "-m", "photocast", "serve", "--data", f"{folder}/data"]
        more = {"PHOTOCAST_MAX_OPEN_JOBS": "100000", "PHOTOCAST_RATE_BURST": "100000"}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*words, "--port", "0", "--workers", "0", "--fake-engine"],
                stderr=file,
                env={**os.environ, **more},
            )
        try:
            print(json.dumps(run(_port(log), process.pid, given)))  # noqa: T201 - its result
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _port(log: Path) -> int:
    for _ in range(300):
        found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        if found:
            return int(found[1])
        time.sleep(0.1)
    raise SystemExit(log.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
