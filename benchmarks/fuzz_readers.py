# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Feed damaged files to every reader, in child processes with limits of time and memory.

    python benchmarks/fuzz_readers.py --inputs 100000

A reader may return something or raise ``PhotocastError``. Anything else is a finding: another
exception, a warning, a message that would not print on one line, more than 5 s of work or 30 s of
waiting, more than 2 GiB beyond what the process had, or the end of the process. The bytes depend on
the seed alone. Prints JSON; the exit code is 1 if something was found, and ``--keep`` keeps those
inputs.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from fuzz.mutations import mutated
from fuzz.targets import Target, targets

from photocast.errors import PhotocastError

MAX_SECONDS = 5
MAX_BYTES = 2 << 30
_STALLED_SECONDS = 30  # without a line: native code hangs, or something is waited for
_BATCH = 2500


class TooSlow(BaseException):
    """The alarm; not an ``Exception``, so that no reader swallows it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs ``start`` to ``stop`` of one reader."""

    target: str
    start: int
    stop: int
    seed: int


def input_files(target: Target, number: int, seed: int) -> dict[str, bytes]:
    """Make one input: a good folder with one file damaged, mostly the main one."""
    random = Random(f"{seed} {target.name} {number}")
    files = dict(random.choice(target.folders))
    names = [name for name in files if not name.startswith("images/")]
    chosen = names[0] if random.random() < 0.8 else random.choice(names)
    others = [next(iter(folder.values())) for folder in target.folders]
    files[chosen] = mutated(files[chosen], random, others)
    return files


def judge(target: Target, path: Path) -> str:
    """Read one input; tell how it went: ``read``, a code of ours, or ``!`` and a finding."""
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        target.read(path)
        outcome = "read"
    except PhotocastError as error:
        cause, text = error.__cause__, str(error)
        if isinstance(cause, MemoryError) or not text.isprintable() or len(text) > 1200:
            outcome = f"!{type(cause).__name__} or message {text[:300]!r}"
        else:
            outcome = error.code
    except TooSlow:
        outcome = f"!more than {MAX_SECONDS} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "photocast" in f.filename]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else place.name
        outcome = f"!{type(error).__name__} in {at}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    return outcome if outcome.startswith("!") or more < MAX_BYTES else f"!{more:,} bytes"


@contextmanager
def alarmed() -> Iterator[None]:
    """Let the alarm end a reader."""

    def alarm(signum: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, alarm)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before)


def work(batch: Batch, folder: Path, die_at: int = -1) -> None:
    """Be the child: judge a batch, writing a line per input as it is done."""
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what native libraries print
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", EncodingWarning)  # other packages open files when imported
    target = {t.name: t for t in targets(folder)}[batch.target]
    used = (
        int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        * resource.getpagesize()
    )
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, used + MAX_BYTES))
    place = folder / "input"
    with alarmed():
        for number in range(batch.start, batch.stop):
            files = input_files(target, number, batch.seed)
            for name, data in files.items():
                path = place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            if number == die_at:
                os.kill(os.getpid(), signal.SIGSEGV)
            report.write(f"{number} {judge(target, place / next(iter(files)))}\n")
            report.flush()


def _run_child(batch: Batch, die_at: int) -> dict[int, str]:
    """Run a batch; where the child died or stalled, that input is the last."""
    plan = json.dumps([batch.target, batch.start, batch.stop, batch.seed])
    command = [sys.executable, __file__, "--child", plan, "--die-at", str(die_at)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    lines: dict[int, str] = {}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=environment,
        ) as child,
    ):
        assert child.stdout is not None
        watchdog = _Watchdog(child)
        for line in child.stdout:
            watchdog.seen = time.monotonic()
            number, _, outcome = line.rstrip("\n").partition(" ")
            lines[int(number)] = outcome
        code = child.wait()
        watchdog.stop()
        log.seek(0)
        tail = log.read()[-300:]
    done = batch.start + len(lines)
    if done < batch.stop:
        if code == 1:
            raise RuntimeError(f"the fuzzer itself failed: {tail}")
        lines[done] = f"!the process ended with {code}, or stalled: {tail}"
    return lines


class _Watchdog:
    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self.seen = time.monotonic() + 60  # importing takes a while
        self._child, self._pool = child, ThreadPoolExecutor(1)
        self._pool.submit(self._watch)

    def _watch(self) -> None:
        while self._child.poll() is None:
            if time.monotonic() - self.seen > _STALLED_SECONDS:
                self._child.kill()
            time.sleep(0.2)

    def stop(self) -> None:
        self._pool.shutdown()


def run_batch(batch: Batch, *, die_at: int = -1) -> dict[int, str]:
    """Run a batch to its end, going on behind inputs that end the process.

    Args:
        batch: Which inputs.
        die_at: Let the child end itself at this input, to test that this is noticed.
    """
    outcomes: dict[int, str] = {}
    start = batch.start
    while start < batch.stop:
        outcomes |= _run_child(replace(batch, start=start), die_at)
        start = batch.start + len(outcomes)
    return outcomes


def fuzz(inputs: int, *, seed: int = 0, only: str = "", keep: Path | None = None) -> dict[str, Any]:
    """Judge about ``inputs`` inputs, shared evenly among the readers.

    Args:
        inputs: At least so many in all.
        seed: Another seed, other inputs.
        only: Readers, with commas between; all if empty.
        keep: Folder for inputs that were findings.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        chosen = targets(Path(scratch))
    if only:
        chosen = [target for target in chosen if target.name in only.split(",")]
    each = -(-inputs // len(chosen))
    batches = [
        Batch(target.name, first, min(first + _BATCH, each), seed)
        for target in chosen
        for first in range(0, each, _BATCH)
    ]
    counts: dict[str, Counter[str]] = {target.name: Counter() for target in chosen}
    findings: list[dict[str, Any]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch, outcomes in zip(batches, pool.map(run_batch, batches), strict=True):
            for number, outcome in outcomes.items():
                counts[batch.target]["!" if outcome.startswith("!") else outcome] += 1
                if outcome.startswith("!"):
                    findings.append({"reader": batch.target, "input": number, "what": outcome[1:]})
    if keep is not None:
        _keep(findings, {target.name: target for target in chosen}, seed, keep)
    return {
        "inputs": sum(counter.total() for counter in counts.values()),
        "seconds": round(time.perf_counter() - start, 1),
        "seed": seed,
        "findings": findings,
        "outcomes": {name: dict(counter.most_common()) for name, counter in counts.items()},
    }


def _keep(
    findings: list[dict[str, Any]], by_name: dict[str, Target], seed: int, keep: Path
) -> None:
    for finding in findings:
        files = input_files(by_name[finding["reader"]], finding["input"], seed)
        for name, data in files.items():
            path = keep / f"{finding['reader']}-{finding['input']}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers, with commas between")
    parser.add_argument("--keep", type=Path, help="folder for inputs that were findings")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--die-at", type=int, default=-1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        with tempfile.TemporaryDirectory() as folder:
            work(Batch(*json.loads(options.child)), Path(folder), options.die_at)
        return 0
    result = fuzz(options.inputs, seed=options.seed, only=options.only, keep=options.keep)
    print(json.dumps(result, indent=1))  # noqa: T201
    return 1 if result["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
