# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Gauges that are read from the database at the moment when they are asked for."""

import shutil
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from photocast import __version__
from photocast.jobs.overview import Overview, look
from photocast.jobs.presence import Presence, Seen
from photocast.service.context import Context

__all__ = ["StateMetrics"]


class StateMetrics:
    """Reads the state of the service."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """What is true now."""
        overview = look(self._context.database)
        workers = Presence(self._context.database).seen()
        yield from _of_jobs(overview)
        yield from _of_workers(workers)
        free = shutil.disk_usage(self._context.settings.data).free
        yield _gauge("disk_free_bytes", "Free space of the data folder.", free)
        reserve = self._context.settings.disk_reserve_bytes
        yield _gauge(
            "disk_reserve_bytes", "Below so much free space, nothing is taken in.", reserve
        )
        info = GaugeMetricFamily("photocast_info", "The version that runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


def _of_jobs(overview: Overview) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("photocast_jobs", "Jobs that are there, by state.", labels=["state"])
    for state, count in overview.jobs.items():
        jobs.add_metric([state], count)
    yield jobs
    oldest = overview.oldest_queued_at
    age = 0.0 if oldest is None else max(time.time() - oldest, 0.0)
    yield _gauge("queue_oldest_seconds", "How long the oldest waiting job has waited.", age)
    stored = GaugeMetricFamily("photocast_stored_bytes", "Files that are kept.", labels=["what"])
    stored.add_metric(["inputs"], overview.input_bytes)
    stored.add_metric(["artifacts"], overview.artifact_bytes)
    yield stored
    waiting = overview.messages_waiting
    yield _gauge("webhooks_waiting", "Messages that were not delivered yet.", waiting)


def _of_workers(workers: list[Seen]) -> Iterator[Metric]:
    yield _gauge("workers", "Workers seen in the last minute.", len(workers))
    labels = ["host", "gpu", "name"]
    free = GaugeMetricFamily("photocast_gpu_free_bytes", "Free GPU memory.", labels=labels)
    total = GaugeMetricFamily("photocast_gpu_total_bytes", "GPU memory.", labels=labels)
    found = {  # several workers may see the same GPU
        (str(worker.facts.get("host")), gpu["id"], gpu["name"]): gpu
        for worker in workers
        for gpu in worker.facts.get("gpus", ())
    }
    for names, gpu in found.items():
        free.add_metric(names, gpu["free_bytes"])
        total.add_metric(names, gpu["total_bytes"])
    yield from (free, total)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"photocast_{name}", about, value=value)
