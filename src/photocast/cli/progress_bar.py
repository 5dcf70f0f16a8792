# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Progress for people: bars with the time left on a terminal, calm lines elsewhere.

Everything goes to stderr, so that stdout holds the result alone.
"""

import time
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

__all__ = ["BarProgress", "LineProgress", "progress_for"]


def progress_for(*, quiet: bool) -> "BarProgress | LineProgress":
    """Choose bars, lines or silence by where stderr goes."""
    console = Console(stderr=True)
    if console.is_terminal and not quiet:
        return BarProgress(console)
    return LineProgress(silent=quiet)


class BarProgress:
    """One bar per stage, kept on the screen when the stage is done."""

    def __init__(self, console: Console) -> None:
        self._bars = RichProgress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[numbers]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "BarProgress":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int, **numbers: float) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, numbers="")
        self._bars.update(self._tasks[stage], completed=done, total=total, numbers=_shown(numbers))


class LineProgress:
    """A line when a stage starts and ends, and every few seconds in between."""

    def __init__(self, *, silent: bool = False, every_seconds: float = 5.0) -> None:
        self._silent = silent
        self._every = every_seconds
        self._began: dict[str, float] = {}
        self._ended: set[str] = set()
        self._last = 0.0

    def __enter__(self) -> "LineProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def __call__(self, stage: str, done: int, total: int, **numbers: float) -> None:
        now = time.monotonic()
        first = stage not in self._began
        began = self._began.setdefault(stage, now)
        ends = done >= total and stage not in self._ended
        if self._silent or not (first or ends or now - self._last >= self._every):
            return
        self._last = now
        if ends:
            self._ended.add(stage)
        spent = now - began
        left = spent / done * (total - done) if done else None
        time_text = f"done in {clock(spent)}" if ends else f"{clock(left)} left"
        parts = [f"{stage}: {done}/{total}", time_text if ends or left else "", _shown(numbers)]
        typer.echo(", ".join(part for part in parts if part), err=True)


def clock(seconds: float | None) -> str:
    """Write a duration as people say it: ``8 s``, ``3 min 05 s``, ``1 h 12 min``."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _shown(numbers: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
