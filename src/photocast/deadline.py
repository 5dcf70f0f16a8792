# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How long work may take, and how loops end well when the time is up.

A deadline travels with the progress: whoever can report can also ask how far it should be. A loop
walks its steps and is told the share of its way that lies behind it, by steps or by time, whichever
is further. Step sizes that follow this share are small at the end of every walk, early or not.

    for step, share in walk(progress, "refine", 400):
        rate = 0.05 * 0.1**share
"""

import math
import time
from collections.abc import Iterator

from photocast.progress import Progress

__all__ = ["Deadline", "Paced", "deadline_of", "part", "walk"]


class Deadline:
    """A point in time, and a record of what it cut."""

    def __init__(self, seconds: float | None = None) -> None:
        """Start the clock; without ``seconds`` there is all the time in the world."""
        self.limit = seconds
        self.steps: dict[str, tuple[int, int]] = {}
        """Steps done and planned, by stage; all parts of a deadline write here."""
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left; negative when late, infinite without a limit."""
        return self._end - time.monotonic()

    @property
    def cuts(self) -> dict[str, tuple[int, int]]:
        """Stages that did fewer steps than planned: done and planned."""
        return {stage: (a, b) for stage, (a, b) in self.steps.items() if a < b}

    def part(self, share: float) -> "Deadline":
        """A deadline after a share of the time that is left now."""
        own = Deadline()
        own.limit, own.steps = self.limit, self.steps
        own._end = time.monotonic() + max(self.remaining, 0.0) * share
        return own

    def walk(self, stage: str, steps: int) -> Iterator[tuple[int, float]]:
        """Yield the number of each step and the share of the way before it, 0..1.

        Ends after ``steps``, or when the time is up, but not before the first step.
        """
        before_done, before_planned = self.steps.get(stage, (0, 0))
        start, allowed = time.monotonic(), self.remaining
        for step in range(steps):
            late = (time.monotonic() - start) / allowed if allowed > 0 else 1.0
            if step and late >= 1:
                return
            self.steps[stage] = (before_done + step + 1, before_planned + steps)
            yield step, min(max(step / steps, late), 1.0)


class Paced:
    """A ``Progress`` that carries a deadline."""

    def __init__(self, progress: Progress, deadline: Deadline) -> None:
        self._progress = progress
        self.deadline = deadline

    def __call__(self, stage: str, done: int, total: int, **numbers: float) -> None:
        self._progress(stage, done, total, **numbers)


def deadline_of(progress: Progress) -> Deadline:
    """The deadline that comes with a progress; a new one without a limit if there is none."""
    found = getattr(progress, "deadline", None)
    return found if isinstance(found, Deadline) else Deadline()


def part(progress: Progress, share: float) -> Progress:
    """The same progress with a share of the time that is left now."""
    return Paced(progress, deadline_of(progress).part(share))


def walk(
    progress: Progress, stage: str, steps: int, *, before: int = 0, after: int = 0
) -> Iterator[tuple[int, float]]:
    """Walk the steps of a loop; see :meth:`Deadline.walk`.

    A walk that is cut reports the steps that it left out as done: the stage goes on.

    Args:
        progress: Told of a cut.
        stage: Its name there.
        steps: Of this walk.
        before: Steps of the same stage in walks before this one.
        after: Steps of the same stage in walks after this one.
    """
    reached = 0
    for step, share in deadline_of(progress).walk(stage, steps):
        yield step, share
        reached = step + 1
    if reached < steps:
        progress(stage, before + steps, before + steps + after)
