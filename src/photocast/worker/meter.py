# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One percentage and one time left, made of the reports of many stages.

Stages have weights: the seconds that they took the last times on this kind of device, or a guess.
The percentage never falls; 100 is for the supervisor to say, when the files are stored.
"""

import time
from collections.abc import Mapping
from typing import Any

__all__ = ["GUESSES", "Meter"]

GUESSES: dict[str, dict[str, float]] = {
    "optimize": {
        "decode": 6,
        "poses": 4,
        "shape": 4,
        "carve": 12,
        "volume": 40,
        "mesh": 4,
        "refine": 10,
        "unwrap": 5,
        "samples": 4,
        "light": 3,
        "appearance": 18,
        "save": 3,
        "evaluate": 4,
        "turntable": 6,
    },
    "generate": {
        "decode": 1,
        "look": 6,
        "structure": 6,
        "details": 5,
        "mesh": 4,
        "unwrap": 3,
        "place": 5,
        "paint": 1,
        "save": 1,
        "turntable": 2,
    },
    "fake": {"work": 1},
}
"""Seconds of each stage relative to each other, before anything was measured."""
_MOST = 99.0
_UNKNOWN = 0.02  # share of the whole for a stage that nobody announced


class Meter:
    """Turns stages into a percentage."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Start the clock; ``weights`` are the expected seconds of each stage, in order."""
        self._weights = dict(weights)
        self._done: dict[str, float] = {}
        self._percent = 0.0
        self._start = time.monotonic()
        self._began: dict[str, float] = {}

    def report(self, stage: str, done: int, total: int) -> dict[str, Any]:
        """Take a report in; what a job shows as its progress."""
        if stage not in self._weights:
            self._weights[stage] = _UNKNOWN * max(sum(self._weights.values()), 1.0)
        self._began.setdefault(stage, time.monotonic())
        names = list(self._weights)
        for earlier in names[: names.index(stage)]:
            self._done[earlier] = 1.0  # left out, or over
        self._done[stage] = min(done / total, 1.0) if total else 1.0
        whole = sum(self._weights.values())
        reached = sum(self._weights[name] * share for name, share in self._done.items()) / whole
        self._percent = max(self._percent, min(100.0 * reached, _MOST))
        return {
            "percent": round(self._percent, 1),
            "stage": stage,
            "stage_index": names.index(stage) + 1,
            "stage_count": len(names),
            "message": f"{done} of {total}",
            "eta_seconds": self._left(),
        }

    def _left(self) -> float | None:
        """Seconds left if the rest goes as fast as what is done; unknown at the very start."""
        spent = time.monotonic() - self._start
        if self._percent < 2.0:
            return None
        return round(spent * (100.0 - self._percent) / self._percent, 1)
