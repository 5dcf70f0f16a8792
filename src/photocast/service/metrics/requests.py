# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests and listeners, counted where they are answered.

With ``PROMETHEUS_MULTIPROC_DIR`` in the environment, several web processes count together.
"""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess

__all__ = ["RequestMetrics"]

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0)


class RequestMetrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._count = Counter(
            "photocast_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "photocast_http_request_seconds",
            "Until an answer was sent, streams of events left out.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.listeners = Gauge(
            "photocast_event_listeners",
            "Open streams of events.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def done(
        self, method: str, route: str, status: int, seconds: float, *, stream: bool = False
    ) -> None:
        """Count a request that was answered."""
        self._count.labels(method, route, str(status)).inc()
        if not stream:
            self._seconds.labels(method, route).observe(seconds)

    def registry(self) -> CollectorRegistry:
        """What to show: of this process, or of all that share the folder."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        shared = CollectorRegistry()
        multiprocess.MultiProcessCollector(shared)
        return shared

    def close(self) -> None:
        """Let other processes no longer count this one's listeners."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            multiprocess.mark_process_dead(os.getpid())
