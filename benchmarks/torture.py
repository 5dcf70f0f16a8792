# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Does everything to a real service that may happen to one, and counts what became of the jobs.

    python benchmarks/torture.py --jobs 300 --mode celery --database postgres --seed 1

A web process and workers run the engine ``fake``. Meanwhile, at random: SIGKILL and SIGSTOP to job
processes, workers, the web process and the servers; Redis flushed; bells rung twice, late and for
jobs that are over; a long write lock on SQLite; a full disk; wall clocks that jump. In the end
every job must have ended once, with its files, and a witness (a lock of the kernel that each run
takes) must never have seen one running twice. Exit code 0 only if all that holds. A run that is
stopped together with its worker counts apart: it can neither go on nor end until it is let go.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from servers import Postgres, RedisServer, free_port

from photocast.jobs.celery_bell import QUEUE, RING, celery_app
from photocast.jobs.database import DatabaseDown, open_database
from photocast.jobs.files import open_files
from photocast.jobs.housekeeping import Housekeeper
from photocast.jobs.record import FINAL, Input, Job, NewJob, State
from photocast.jobs.store import JobStore
from photocast.worker.fake import WITNESS
from photocast.worker.sweep import sweep_work

CLOCK = """
import os, time
_file, _time, _time_ns = __file__ + ".offset", time.time, time.time_ns
_seen = [-1.0, 0.0]
def _offset():
    now = time.monotonic()
    if now - _seen[0] > 0.3:
        _seen[0] = now
        try:
            with open(_file, encoding="ascii") as file:
                _seen[1] = float(file.read().split()[os.getpid() % 3])
        except (OSError, ValueError, IndexError):
            pass
    return _seen[1]
time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + int(_offset() * 1e9)
"""
DISK_CODES = {"system.io", "storage.full", "storage.unavailable"}


class Torture:
    """A service, what is done to it, and what it should have done."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        self.chance = random.Random(args.seed)
        self.data, self.witness = folder / "data", folder / "witness"
        self.done: Counter[str] = Counter()
        self.wanted: dict[str, dict[str, Any]] = {}
        self.asked: set[str] = set()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.thaw: list[tuple[float, int]] = []
        for part in (self.data, self.witness, folder / "clock"):
            part.mkdir()
        (folder / "clock" / "sitecustomize.py").write_text(CLOCK, encoding="utf-8")
        self.redis = RedisServer(folder) if args.mode == "celery" else None
        self.postgres = Postgres(folder) if args.database == "postgres" else None
        self.url = self.postgres.url if self.postgres else f"sqlite:///{self.data}/photocast.db"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The servers and the service, until the end of the block."""
        with contextlib.ExitStack() as stack:
            if os.getuid() == 0 and self.args.disk:
                size = f"size={self.args.disk}m"
                subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", self.data], check=True)
                stack.callback(subprocess.run, ["umount", "-l", self.data], check=False)
            for server in (self.redis, self.postgres):
                if server is not None:
                    stack.enter_context(server)
            self.store = JobStore(open_database(self.url))
            self.files = open_files(str(self.data / "files"))
            stack.callback(self.store.database.close)
            stack.callback(self.end_all)
            self.port = free_port()
            self.nurse()
            yield

    # The service

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder / "clock"), os.environ.get("PYTHONPATH", "")])
        return {
            **os.environ,
            "PYTHONPATH": path,
            "PHOTOCAST_DATA": str(self.data),
            "PHOTOCAST_DATABASE": self.url,
            "PHOTOCAST_BROKER": self.redis.url if self.redis else "",
            "PHOTOCAST_FAKE_ENGINE": "1",
            "PHOTOCAST_LEASE_SECONDS": str(self.args.lease),
            "PHOTOCAST_POLL_SECONDS": "0.5",
            "PHOTOCAST_GRACE_SECONDS": "3",
            "PHOTOCAST_MAX_LOSSES": str(self.args.max_losses),
            WITNESS: str(self.witness),
        }

    def commands(self) -> dict[str, list[str]]:
        start = [sys.executable, "-m", "photocast"]
        serve = [*start, "serve", "--data", str(self.data), "--port", str(self.port)]
        if self.redis is None:
            return {"web": [*serve, "--workers", str(self.args.workers)]}
        worker = [*start, "worker", "--celery", "--data", str(self.data)]
        return {"web": serve} | {f"worker {n}": worker for n in range(self.args.workers)}

    def nurse(self) -> None:
        """Start again what has ended, as an operator's supervisor does; wake what was frozen."""
        now = time.monotonic()
        for due, pid in [one for one in self.thaw if one[0] <= now]:
            self.thaw.remove((due, pid))
            self.send(pid, signal.SIGCONT)
        for server in (self.redis, self.postgres):
            if server is not None and server.process is None:
                server.start()
        with (self.folder / "service.log").open("ab") as log:
            for name, command in self.commands().items():
                if name not in self.processes or self.processes[name].poll() is not None:
                    self.processes[name] = subprocess.Popen(
                        command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                        stderr=log, start_new_session=True,
                    )  # fmt: skip

    def end_all(self) -> None:
        """Ask all to end; kill what does not."""
        for _, pid in self.thaw:
            self.send(pid, signal.SIGCONT)
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 40
        for process in self.processes.values():
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                self.done["had to be killed in the end"] += 1
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def alive(self, *words: str) -> list[int]:
        """Processes of this service whose command line has these words."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if "photocast" in line and all(w in line for w in (str(self.folder), *words)):
                    found.append(int(entry.name))
        return sorted(found)

    def found(self, *words: str) -> list[int]:
        """As :meth:`alive`, waiting a little for one."""
        end = time.monotonic() + 3
        while not (found := self.alive(*words)) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def send(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    # What is done to it

    def kill(self, *words: str) -> Callable[[], bool]:
        def act() -> bool:
            if found := self.found(*words):
                self.send(self.chance.choice(found), signal.SIGKILL)
            return bool(found)

        return act

    def freeze(self, *words: str) -> Callable[[], bool]:
        def act() -> bool:
            if found := self.found(*words):
                pid = self.chance.choice(found)
                self.send(pid, signal.SIGSTOP)
                seconds = self.chance.uniform(0.5, 2.5) * self.args.lease
                self.thaw.append((time.monotonic() + seconds, pid))
            return bool(found)

        return act

    def lock_sqlite(self) -> bool:
        other = sqlite3.connect(self.data / "photocast.db", isolation_level=None, timeout=10)
        with contextlib.suppress(sqlite3.Error), contextlib.closing(other):
            other.execute("BEGIN IMMEDIATE")
            time.sleep(self.chance.uniform(1, 7))
            other.execute("ROLLBACK")
        return True

    def fill_disk(self) -> bool:
        path = self.data / "filler"
        with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        time.sleep(self.chance.uniform(0.5, 2))
        path.unlink()
        return True

    def jump_clocks(self) -> bool:
        jumps = [self.chance.choice([0, -86400, 3600, 7 * 86400, -30]) for _ in range(3)]
        path = self.folder / "clock" / "sitecustomize.py.offset"
        path.write_text(" ".join(map(str, jumps)), encoding="ascii")
        return True

    def ring_again(self) -> bool:
        names = self.chance.choices(sorted(self.wanted), k=self.chance.randint(1, 20))
        with contextlib.suppress(OSError, Exception):  # the bell may be dead; that is the point
            for name in names:
                self.bell.send_task(RING, [name], queue=QUEUE, retry=False)
        return True

    def flush(self) -> bool:
        assert self.redis is not None
        return self.redis.call("FLUSHALL") == b"+OK"

    def stop_server(self, server: Any) -> Callable[[], bool]:
        def act() -> bool:
            server.kill()
            time.sleep(self.chance.uniform(0, 3))
            return True

        return act

    def acts(self) -> dict[str, tuple[int, Callable[[], bool]]]:
        """What there is to do and how often, relative to each other."""
        acts = {
            "job process killed": (6, self.kill("worker.child")),
            "job process frozen": (2, self.freeze("worker.child")),
            "worker killed": (5, self.kill(" worker ")),
            "worker frozen": (3, self.freeze(" worker ")),
            "web killed": (1, self.kill(" serve ")),
            "clocks jumped": (3, self.jump_clocks),
        }
        if os.getuid() == 0 and self.args.disk:
            acts["disk filled"] = (1, self.fill_disk)
        if self.postgres is None:
            acts["database locked"] = (2, self.lock_sqlite)
        else:
            acts["PostgreSQL killed"] = (1, self.stop_server(self.postgres))
        if self.redis is not None:
            self.bell = celery_app(self.redis.url, 3600, hasty=True)
            acts["Redis killed"] = (1, self.stop_server(self.redis))
            acts["Redis flushed"] = (2, self.flush)
            acts["bells rung again"] = (4, self.ring_again)
        return acts

    # The jobs

    def submit(self) -> bool:
        number = len(self.wanted)
        text = f"photo {self.args.seed} {number}".encode()
        sha256 = hashlib.sha256(text).hexdigest()
        fails = self.chance.choices([None, "input", "crash"], [20, 1, 1])[0]
        # Some last longer than a lease, so that a frozen worker's job is taken while it runs.
        long = self.chance.random() < 0.1
        seconds = (
            self.chance.uniform(1, 2) * self.args.lease if long else self.chance.uniform(0.3, 3)
        )
        fake = {"seconds": seconds, "fails": fails}
        key = f"inputs/torture/{sha256}"
        given = Input(role="depths", name=f"{number}.npy", key=key, sha256=sha256, size=len(text))
        new = NewJob(
            owner="torture", options={"engine": "fake", "fake": fake}, labels={}, max_seconds=600
        )
        with contextlib.suppress(DatabaseDown):
            self.files.put(key, io.BytesIO(text))
            job = self.store.create(new, [given])
            self.wanted[job.id] = {"fails": fails, "sha256": sha256, "name": given.name}
            return True
        return False

    def cancel(self) -> None:
        name = self.chance.choice(sorted(self.wanted))
        self.asked.add(name)  # before, because the answer may be lost
        with contextlib.suppress(DatabaseDown):
            self.store.cancel(name, None)

    def all_ended(self) -> bool:
        with contextlib.suppress(DatabaseDown):
            return not self.store.open_of(sorted(self.wanted))
        return False

    def go(self) -> None:
        """Submit all jobs, with no peace until then; then let them end."""
        acts, began = self.acts(), time.monotonic()
        names, weights = list(acts), [weight for weight, _ in acts.values()]
        rate = self.args.jobs / self.args.seconds
        while (spent := time.monotonic() - began) < self.args.seconds or (
            len(self.wanted) < self.args.jobs
        ):
            for _ in range(int(min(self.args.jobs, 1 + spent * rate)) - len(self.wanted)):
                if not self.submit():
                    break  # whoever holds the database may need our help to go on
            if self.chance.random() < self.args.jobs / 20 / (self.args.seconds / self.args.pause):
                self.cancel()
            name = self.chance.choices(names, weights)[0]
            with contextlib.suppress(OSError):
                self.done[name] += acts[name][1]()
            time.sleep(self.chance.uniform(0, 2 * self.args.pause))
            self.nurse()
        self.chaos_seconds = time.monotonic() - began
        (self.folder / "clock" / "sitecustomize.py.offset").unlink(missing_ok=True)
        end = time.monotonic() + self.args.patience
        while not self.all_ended() and time.monotonic() < end:
            time.sleep(0.5)
            self.nurse()
        self.seconds = time.monotonic() - began

    # What must hold

    def faults(self) -> list[str]:
        """Everything that is not as it should be."""
        jobs = [self.store.get(name, None) for name in self.wanted]
        faults = [f"{fault}: {job}" for job in jobs if job for fault in self.faults_of(job)]
        runs = (self.witness / "runs").read_text(encoding="ascii").splitlines()
        faults += [f"ran twice at once: {line}" for line in runs if line.endswith("twice")]
        self.runs = Counter(line.split()[0] for line in runs)
        self.frozen = sum(line.endswith("frozen") for line in runs)
        faults += [
            f"more runs than attempts: {j}" for j in jobs if j and self.runs[j.id] > j.attempt
        ]
        left = set(self.files.keys("artifacts")), set((self.data / "work").glob("job_*"))
        self.sweep()
        rows = {one.key for name in self.wanted for one in self.store.artifacts(name)}
        faults += [f"a file of nobody: {key}" for key in set(self.files.keys("artifacts")) - rows]
        folders = set((self.data / "work").glob("job_*"))
        faults += [f"a folder of nobody: {path}" for path in folders]
        self.swept = {"files": len(left[0] - rows), "folders": len(left[1])}
        self.states = Counter(job.state.value for job in jobs if job)
        self.codes = Counter((job.error or {}).get("code", "") for job in jobs if job and job.error)
        self.attempts = Counter(job.attempt for job in jobs if job)
        return faults

    def sweep(self) -> None:
        """As the web process does each hour, and each worker more often."""
        keeper = Housekeeper(
            self.store.database,
            self.files,
            self.data,
            keep_uploads_seconds=0,
            keep_inputs_seconds=0,
        )
        keeper.sweep(time.time())
        sweep_work(self.data / "work", self.store)

    def faults_of(self, job: Job) -> Iterator[str]:
        want = self.wanted[job.id]
        told = [e.data["state"] for e in self.store.events(job.id, kinds=["state"], count=10000)]
        if job.state not in FINAL:
            yield "has not ended"
        if sum(State(state) in FINAL for state in told) != 1 or told[-1] != job.state.value:
            yield f"did not end once: {told}"
        if told.count("running") != job.attempt or job.losses > job.attempt:
            yield f"attempts do not add up: {told}"
        if job.losses > self.args.max_losses + 1:
            yield "tried too often"
        if job.state is State.CANCELED and job.id not in self.asked:
            yield "cancelled by nobody"
        allowed = {"job.worker_crashed", *(["capture.empty"] if want["fails"] == "input" else [])}
        allowed |= DISK_CODES if self.done["disk filled"] else set()
        if job.state is State.FAILED and (job.error or {}).get("code") not in allowed:
            yield "failed for no reason"
        if job.state is State.SUCCEEDED:
            yield from self.faults_of_files(job, want)

    def faults_of_files(self, job: Job, want: dict[str, Any]) -> Iterator[str]:
        if want["fails"] is not None:
            yield "succeeded against its will"
        made = {one.name: one for one in self.store.artifacts(job.id)}
        if set(made) != {"mesh.glb", "report.json"}:
            yield f"has other files: {sorted(made)}"
        for one in made.values():
            with self.files.open(one.key) as file:
                data = file.read()
            if hashlib.sha256(data).hexdigest() != one.sha256 or len(data) != one.size:
                yield f"{one.name} is damaged"
            if one.name == "report.json":
                seen = json.loads(data)["run"]["inputs"]
                if seen != {f"depth/{want['name']}": want["sha256"]}:
                    yield f"was made from other photos: {seen}"

    def summary(self, faults: list[str], orphans: list[int]) -> dict[str, Any]:
        return {
            "mode": self.args.mode,
            "database": self.args.database,
            "jobs": len(self.wanted),
            "seed": self.args.seed,
            "chaos_seconds": round(self.chaos_seconds),
            "seconds": round(self.seconds),
            "done": dict(self.done),
            "states": dict(self.states),
            "errors": dict(self.codes),
            "attempts": {str(k): v for k, v in sorted(self.attempts.items())},
            "runs": self.runs.total(),
            "begun_while_another_was_frozen": self.frozen,
            "swept": self.swept,
            "orphan_processes": len(orphans),
            "faults": faults[:20],
        }


def torture(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Do it all; what there is to tell."""
    one = Torture(args, folder)
    with one.running():
        one.go()
        one.end_all()
        faults, orphans = one.faults(), one.alive()
        for pid in orphans:
            one.send(pid, signal.SIGKILL)
    return one.summary(faults, orphans)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--mode", choices=["embedded", "celery"], default="embedded")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=240, help="at least so long without peace")
    parser.add_argument("--pause", type=float, default=1.0, help="between two acts, on average")
    parser.add_argument("--patience", type=float, default=600, help="for the end, after the last")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--lease", type=float, default=5.0)
    parser.add_argument("--max-losses", type=int, default=4)
    parser.add_argument(
        "--disk", type=int, default=48, help="MB of the data folder; 0: not limited"
    )
    parser.add_argument("--keep", type=Path, help="folder in which everything stays")
    return parser.parse_args(given)


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        told = torture(args, folder)
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    return 1 if told["faults"] or told["orphan_processes"] else 0


if __name__ == "__main__":
    sys.exit(main())
