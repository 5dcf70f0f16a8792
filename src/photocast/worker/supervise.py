# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One job from its claim to its end: files in, a process of its own, files out.

Whatever happens to the process, the job ends or waits again; whatever happens to the supervisor,
the process dies with it and the lease runs out.
"""

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from photocast.errors import PhotocastError, StorageError
from photocast.jobs.database import Database, DatabaseDown
from photocast.jobs.files import FileStore
from photocast.jobs.lease import LeaseTable, Outcome
from photocast.jobs.record import Input, Job, Kind, State
from photocast.jobs.stage_history import StageHistory
from photocast.jobs.store import JobStore
from photocast.telling import job_id
from photocast.worker.ending import Ending, busy, error_of
from photocast.worker.gpu import GpuPeak, wait_for_room
from photocast.worker.keeper import LeaseKeeper
from photocast.worker.materialise import collect, fetch_inputs, look_into
from photocast.worker.meter import GUESSES
from photocast.worker.process import JobProcess, group_memory

__all__ = ["Supervisor", "WorkerConfig"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_TICK = 0.25
_PASSING = ("storage.unavailable", "storage.full")
_STORE_PAUSES = (1.0, 5.0, 15.0, 60.0)  # hours of work should not be lost to a store's restart


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerConfig:
    """How a worker treats its jobs."""

    work: Path
    """Folder for captures and unfinished results."""
    lease_seconds: float = 30.0
    """How long a worker may be silent before its job is given to another."""
    memory_bytes: int | None = None
    """What a job's processes may take up together; None sets no limit."""
    gpu_bytes: int | None = None
    """GPU memory to wait for before a job begins; None does not wait."""
    gpu_wait_seconds: float = 600.0
    """How long to wait for it."""
    grace_seconds: float = 20.0
    """Between asking a job to stop and killing it."""
    keep_seconds: float = 30 * 86400.0
    """How long results are kept; 0 keeps them."""
    max_losses: int = 2
    """How often a job's process may vanish before the job fails."""
    weights: Path | None = None
    """Folder of weights for the engine ``generate``."""

    @property
    def beat_seconds(self) -> float:
        return self.lease_seconds / 6

    @property
    def patience_seconds(self) -> float:
        """When a job's process gives up by itself: well before anybody else may have the job."""
        return self.lease_seconds * 0.6


class Supervisor:
    """Runs claimed jobs one after the other."""

    def __init__(
        self,
        database: Database,
        files: FileStore,
        config: WorkerConfig,
        stopping: threading.Event,
    ) -> None:
        """Prepare; when ``stopping`` is set, the job is stopped and given back."""
        self._table = LeaseTable(database, max_losses=config.max_losses)
        self._store, self._history = JobStore(database), StageHistory(database)
        self._files, self._config = files, config
        self._stopping = stopping

    def run(self, job: Job, since: float | None = None) -> Job | None:
        """Run a job that was claimed.

        Args:
            job: As it was claimed.
            since: When the claim began, by the monotonic clock; just now, by default.

        Returns:
            The job as it ended; ``None`` if it was taken away and nothing was written.
        """
        job_id.set(job.id)
        folder = self._config.work / job.id
        _log.info("job started", extra={"event": "job.started", "job": job.id})
        since = time.monotonic() if since is None else since
        attempt = _Attempt(self._table, job, self._config, self._stopping, since)
        try:
            outcome = self._outcome(job, folder, attempt)
            ended = attempt.insist(lambda: self._table.finish(job, outcome)) if outcome else None
        finally:
            attempt.keeper.stop()
            job_id.set("")
        if ended is None:
            _log.warning("job lost", extra={"event": "job.lost", "job": job.id})
            return None
        if ended.state is not State.QUEUED:
            shutil.rmtree(folder, ignore_errors=True)
        _log.info(
            "job ended", extra={"event": "job.ended", "job": job.id, "state": ended.state.value}
        )
        return ended

    def _outcome(self, job: Job, folder: Path, attempt: "_Attempt") -> Outcome | None:
        """How the attempt went; ``None`` if the job is no longer ours."""
        try:
            attempt.say({"stage": "fetch", "message": "fetching the files"})
            inputs = attempt.insist(lambda: self._store.inputs(job.id))
            if inputs is None:
                return None
            problem = self._prepare(job, inputs, folder, attempt)
            ending = attempt.stopped()
            if ending is None and problem is not None:
                return Outcome(state=State.FAILED, error=problem)
            if ending is None:
                self._describe(job, folder, attempt)
                ending = attempt.wait_for_gpu() or attempt.watch(JobProcess(folder))
            if ending is None or attempt.keeper.lost.is_set():
                return None
            made = ending.outcome(job)
            out = folder / "result"
            if made.state in (State.SUCCEEDED, State.FAILED) and out.is_dir():
                attempt.say({"stage": "store", "message": "storing the result"})
                stored = attempt.outlast(lambda: collect(self._files, job, out))
                made = replace(made, artifacts=stored)
        except PhotocastError as error:
            return Outcome(state=State.FAILED, error=error_of(error.code, str(error)))
        except OSError as error:
            reason = f"The worker's disk refused: {error.strerror}."
            return Outcome(state=State.FAILED, error=error_of("system.io", reason, retryable=True))
        if made.state is State.SUCCEEDED:
            attempt.insist(lambda: self._history.add(_profile(job), ending.seconds))
        expires = time.time() + self._config.keep_seconds if self._config.keep_seconds else None
        return replace(made, expires_at=expires, facts=ending.facts)

    def _prepare(
        self, job: Job, inputs: list[Input], folder: Path, attempt: "_Attempt"
    ) -> dict[str, Any] | None:
        """Bring the capture; why the job cannot be done, if that shows."""
        given, capture = folder / "given", folder / "capture"
        shutil.rmtree(capture, ignore_errors=True)  # of an earlier attempt
        attempt.outlast(lambda: fetch_inputs(self._files, inputs, given))
        attempt.say({"stage": "preflight", "message": "looking at the files"})
        generates = self._config.weights is not None
        return look_into(job, given, capture, generates=generates, stopped=attempt.over)

    def _describe(self, job: Job, folder: Path, attempt: "_Attempt") -> None:
        """Write what the process needs to know."""
        engine = str(job.options.get("engine", "optimize"))
        guess = GUESSES.get(engine, GUESSES["optimize"])
        weights = attempt.insist(lambda: self._history.weights(_profile(job)))
        description = {
            "kind": job.kind.value,
            "options": job.options,
            "attempt": job.attempt,
            "patience": self._config.patience_seconds,
            "renewed": attempt.keeper.last,
            "weights": weights or guess,
            "networks": None if self._config.weights is None else str(self._config.weights),
        }
        (folder / "capture").mkdir(parents=True, exist_ok=True)
        (folder / "job.json").write_text(json.dumps(description), encoding="utf-8")


class _Attempt:
    """A job's lease, its process and what is told about it."""

    def __init__(
        self,
        table: LeaseTable,
        job: Job,
        config: WorkerConfig,
        stopping: threading.Event,
        since: float,
    ) -> None:
        self._table, self._job, self._config = table, job, config
        self._stopping = stopping
        self._process: JobProcess | None = None
        self._shown = dict(job.progress)
        self.keeper = LeaseKeeper(
            table,
            job,
            every=config.beat_seconds,
            patience=config.patience_seconds,
            poll=min(1.0, config.beat_seconds),
            since=since,
            renewed=self._renew,
        )

    def say(self, progress: dict[str, Any]) -> None:
        """Show what is going on, if the database lets us."""
        self._report({**self._shown, **progress}, [])

    def wait_for_gpu(self) -> Ending | None:
        """Wait until the GPU has room; how the attempt ends, if it ends here."""
        needed = self._config.gpu_bytes
        if needed is None or self._job.kind is not Kind.RECONSTRUCT:
            return None
        room = wait_for_room(
            needed,
            self._config.gpu_wait_seconds,
            say=lambda message: self.say({"stage": "wait", "message": message}),
            stopped=self.over,
        )
        if not room:
            return Ending(error=busy(needed, self._config.gpu_wait_seconds))
        return self.stopped()

    def over(self) -> bool:
        """Whether nobody waits for this attempt any more."""
        return bool(self._told_to_stop()) or self.keeper.lost.is_set()

    def stopped(self) -> Ending | None:
        """How the attempt ends before its process has begun, if it was told to stop."""
        reason = self._told_to_stop()
        return Ending(reason=reason) if reason else None

    def watch(self, process: JobProcess) -> Ending | None:
        """Listen to the process until it has ended; ``None`` if the job was taken away."""
        self._process, ending, asked = process, Ending(), 0.0
        peak = GpuPeak()
        deadline = time.monotonic() + self._job.max_seconds
        try:
            while not process.ended and not self.keeper.lost.is_set():
                self._listen(process, ending)
                peak.look(process.pid)
                if not ending.reason:
                    ending.reason = self._reason_to_stop(process, deadline)
                    asked = time.monotonic()
                    if ending.reason:
                        process.ask_to_stop()
                if ending.reason and time.monotonic() - asked > self._grace(ending.reason):
                    process.kill()
            ending.code, ending.gpu_peak = process.code, peak.bytes
        finally:
            process.close()
            self._process = None
        if ending.code and not ending.reason:
            tail = "\n".join(process.tail)
            _log.error(
                "process died with %s: %s", ending.code, tail, extra={"event": "job.crashed"}
            )
        return None if self.keeper.lost.is_set() else ending

    def insist(self, step: Callable[[], T]) -> T | None:
        """Ask the database, again and again while the lease holds; ``None`` if it did not."""
        while not self.keeper.lost.is_set():
            try:
                return step()
            except DatabaseDown as error:
                _log.warning("cannot go on: %s", error, extra={"event": "job.delayed"})
                time.sleep(1.0)
        return None

    def outlast(self, step: Callable[[], T]) -> T:
        """Use the file store, trying again for a while if it is away or full.

        Raises:
            StorageError: It was so for too long, or something else is wrong.
        """
        for pause in _STORE_PAUSES:
            try:
                return step()
            except StorageError as error:
                if error.code not in _PASSING or self.keeper.lost.is_set():
                    raise
                _log.warning("the store refuses: %s", error, extra={"event": "job.delayed"})
            if self._stopping.wait(pause) or self.keeper.cancel.is_set():
                break
        return step()

    def _listen(self, process: JobProcess, ending: Ending) -> None:
        progress, logs = None, []
        for message in process.messages(_TICK):
            if "progress" in message:
                progress = self._shown = message["progress"]
            elif "log" in message:
                logs.append(message["log"])
            elif "done" in message:
                ending.done = message["done"]
            elif "error" in message:
                ending.error = message["error"]
        if progress is not None or logs:
            self._report(progress, logs)

    def _report(self, progress: dict[str, Any] | None, logs: list[dict[str, Any]]) -> None:
        try:
            if not self._table.report(self._job, progress, logs):
                self.keeper.lost.set()
        except DatabaseDown as error:
            _log.warning("progress not written: %s", error, extra={"event": "job.delayed"})

    def _reason_to_stop(self, process: JobProcess, deadline: float) -> str:
        if told := self._told_to_stop():
            return told
        if time.monotonic() > deadline:
            return "deadline"
        most = self._config.memory_bytes
        if most is not None and group_memory(process.pid) > most:
            return "memory"
        return ""

    def _told_to_stop(self) -> str:
        if self.keeper.cancel.is_set():
            return "cancel"
        return "shutdown" if self._stopping.is_set() else ""

    def _grace(self, reason: str) -> float:
        return 0.0 if reason == "memory" else self._config.grace_seconds

    def _renew(self, at: float) -> None:
        if (process := self._process) is not None:
            process.renew(at)


def _profile(job: Job) -> str:
    """Jobs of a profile take their stages in like proportions."""
    options = job.options
    return f"{job.kind.value}/{options.get('engine', 'optimize')}/{options.get('preset', '')}"
