# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Counters from the ledger: every web process comes to the same numbers.

The ledger only grows, so each process adds up what is new since it looked last.
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from photocast.jobs.database import Database
from photocast.jobs.ledger import JOB_ENDED, JOB_LOST, MESSAGE_TRIED, Entry, read_after

__all__ = ["LedgerMetrics"]

_SECONDS = (1, 3, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400)
_BYTES = tuple(gb * 1e9 for gb in (0.5, 1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 80, 160))
_JOB = ("kind", "engine", "preset")


class LedgerMetrics:
    """What was added up so far."""

    def __init__(self, database: Database) -> None:
        self._database, self._last, self._lock = database, 0, threading.Lock()
        self._ended = _Count("jobs_ended", "Jobs that ended.", (*_JOB, "state"))
        self._failed = _Count("job_failures", "Jobs that failed, by code.", ("code",))
        self._attempts = _Count("job_attempts", "Attempts of jobs that ended.", ())
        self._lost = _Count(
            "job_losses",
            "Runs that vanished: the process, its worker, or a lease that was taken back.",
            ("what",),
        )
        self._tries = _Count("webhook_tries", "Messages sent, by what came of it.", ("outcome",))
        self._seconds = _Histogram(
            "job_seconds", "Last run of jobs that ended.", (*_JOB, "state"), _SECONDS
        )
        self._stages = _Histogram(
            "stage_seconds", "Stages of jobs that succeeded.", ("engine", "stage"), _SECONDS
        )
        self._peak = _Histogram(
            "job_gpu_peak_bytes", "Most GPU memory that a job held.", ("engine", "preset"), _BYTES
        )

    def collect(self) -> Iterator[Metric]:
        """Add up what is new; all that was counted."""
        with self._lock:
            while entries := read_after(self._database, self._last):
                for entry in entries:
                    self._add(entry)
                self._last = entries[-1].id
            parts = (self._ended, self._failed, self._attempts, self._lost, self._tries)
            yield from [part.family() for part in parts]
            yield from [part.family() for part in (self._seconds, self._stages, self._peak)]

    def _add(self, entry: Entry) -> None:
        facts = entry.facts
        if entry.kind == JOB_LOST:
            self._lost.add([facts["what"]])
        elif entry.kind == MESSAGE_TRIED:
            self._tries.add([facts["state"]])
        elif entry.kind == JOB_ENDED:
            self._add_end(facts)
        else:  # the profile of a run that succeeded
            engine = entry.kind.split("/")[1]
            for stage, seconds in facts.items():
                self._stages.add([engine, stage], seconds)

    def _add_end(self, facts: Mapping[str, Any]) -> None:
        job = [facts[name] for name in _JOB]
        self._ended.add([*job, facts["state"]])
        self._attempts.add([], facts["attempts"])
        if facts["state"] == "failed":
            self._failed.add([facts["code"] or "unknown"])
        if facts["seconds"] is not None:
            self._seconds.add([*job, facts["state"]], max(facts["seconds"], 0.0))
        if "gpu_peak_bytes" in facts:
            self._peak.add(job[1:], facts["gpu_peak_bytes"])


class _Count:
    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self._name, self._about, self._labels = f"photocast_{name}", about, labels
        self._values: dict[tuple[str, ...], float] = defaultdict(float)
        if not labels:
            self._values[()] = 0.0

    def add(self, labels: Sequence[str], value: float = 1.0) -> None:
        self._values[tuple(labels)] += value

    def family(self) -> Metric:
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class _Histogram:
    def __init__(
        self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self._name, self._about, self._labels = f"photocast_{name}", about, labels
        self._bounds = bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = defaultdict(float)

    def add(self, labels: Sequence[str], value: float) -> None:
        key = tuple(labels)
        counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[key] += value

    def family(self) -> Metric:
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        names = [*(f"{float(bound)}" for bound in self._bounds), "+Inf"]
        for labels, counts in self._counts.items():
            buckets = list(zip(names, map(float, accumulate(counts)), strict=True))
            family.add_metric(labels, buckets, self._sums[labels])
        return family
