# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How many requests one web process answers, and how fast; listeners; start-up.

    python benchmarks/service_load.py [--seconds 10] [--connections 32] [--listeners 200]

Starts ``photocast serve`` without workers on a folder of its own, with a key, writes a job, and
asks for it over connections that stay open: first as fast as it goes, then at 750 a second to see
the delays. Prints one JSON object. Client and server share the machine's cores.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from serving import memory_mb, start

from photocast.jobs.database import open_database
from photocast.jobs.keyring import Keyring
from photocast.jobs.record import NewJob
from photocast.jobs.store import JobStore

HALF = 750.0  # requests a second; what is asked for is twice that


class Connection(asyncio.Protocol):
    """Sends one request after the other on an open connection."""

    def __init__(self, request: bytes, done: Callable[[float, bytes], float | None]) -> None:
        self.request, self.done = request, done
        self.buffer, self.sent = b"", 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        if len(body) < length:
            return
        self.buffer = body[length:]
        wait = self.done(time.perf_counter() - self.sent, head[:12])
        if wait is None:
            assert self.transport is not None
            self.transport.close()
        elif wait <= 0:
            self.send()
        else:
            asyncio.get_running_loop().call_later(wait, self.send)


async def load(
    port: int, request: bytes, *, seconds: float, connections: int, rate: float | None
) -> dict[str, float]:
    """Ask for so many seconds; ``rate`` requests a second in all, or as fast as it goes."""
    delays: list[float] = []
    statuses: set[bytes] = set()
    end = time.perf_counter() + seconds
    gap = 0.0 if rate is None else connections / rate
    spread = random.Random(0)

    def done(delay: float, status: bytes) -> float | None:
        delays.append(delay)
        statuses.add(status)
        if time.perf_counter() > end:
            return None
        return max(gap * spread.uniform(0.5, 1.5) - delay, 0.0)  # or they fall into step

    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(request, done), "127.0.0.1", port)
        await asyncio.sleep(gap / connections)
    await asyncio.sleep(max(end - time.perf_counter(), 0) + 0.5)
    assert statuses == {b"HTTP/1.1 200"}, statuses
    delays.sort()
    return {
        "requests_per_second": round(len(delays) / seconds),
        "p50_ms": round(1000 * statistics.median(delays), 2),
        "p99_ms": round(1000 * delays[int(0.99 * len(delays))], 2),
    }


async def listen(port: int, key: str, job: str, count: int, store: JobStore) -> dict[str, float]:
    """Let many listen to one job, cancel it, and see when each is told of its end."""
    request = _request(f"/v1/jobs/{job}/events", key)
    ready = asyncio.Semaphore(0)
    told: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await reader.readuntil(b"event: snapshot")
        ready.release()
        await reader.readuntil(b"event: end")
        told.append(time.perf_counter())
        writer.close()

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    for _ in range(count):
        await asyncio.wait_for(ready.acquire(), 30)
    began = time.perf_counter()
    await asyncio.to_thread(store.cancel, job, None)
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    return {"listeners": count, "last_told_after_s": round(max(told) - began, 2)}


def _request(path: str, key: str) -> bytes:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n"
    return head.encode()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--listeners", type=int, default=200)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder).resolve() / 'photocast.db'}")
        key, _ = Keyring(database).add(owner="load")
        store = JobStore(database)
        new = NewJob(owner="load", options={"preset": "standard"}, labels={}, max_seconds=60)
        job = store.create(new).id
        starts = _starts(Path(folder))
        process, port = start(Path(folder))
        try:
            results = asyncio.run(_measure(wanted, port, key, job, store, process.pid))
            results["web_rss_mb"] = memory_mb(process.pid, "VmHWM")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    found = {"machine": machine, "start_s": starts, **results}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


def _starts(folder: Path, count: int = 5) -> list[float]:
    """Seconds from the command to the first answer.

    Not counted is a first one, which compiles what an installed package has compiled already.
    """
    found = []
    for _ in range(count + 1):
        began = time.perf_counter()
        process, port = start(folder)
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
        found.append(round(time.perf_counter() - began, 2))
        process.terminate()
        process.wait()
    return sorted(found[1:])


async def _measure(
    wanted: argparse.Namespace, port: int, key: str, job: str, store: JobStore, pid: int
) -> dict[str, object]:
    request = _request(f"/v1/jobs/{job}", key)
    await load(port, request, seconds=1, connections=8, rate=None)
    options = {"seconds": wanted.seconds, "connections": wanted.connections}
    before = _cpu_s(pid)
    most = await load(port, request, rate=None, **options)
    requests = most["requests_per_second"] * wanted.seconds
    most["cpu_ms_per_request"] = round(1000 * (_cpu_s(pid) - before) / requests, 3)
    half = await load(port, request, rate=HALF, **options)
    listeners = await listen(port, key, job, wanted.listeners, store)
    return {"fastest": most, "half": half, "events": listeners}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
