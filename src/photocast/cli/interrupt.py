# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C: the first stops at the next safe point, the second at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from photocast.errors import Cancelled
from photocast.progress import Progress

__all__ = ["cancellable"]


@contextmanager
def cancellable(progress: Progress) -> Iterator[Progress]:
    """Give a ``Progress`` that raises ``Cancelled`` at the report after a Ctrl-C.

    Args:
        progress: Receives every report before.
    """
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        # The system's own reaction from here on: it ends even a process deep inside a kernel.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        typer.echo("Stopping at the next safe point; Ctrl-C again stops at once.", err=True)

    def report(stage: str, done: int, total: int, **numbers: float) -> None:
        progress(stage, done, total, **numbers)
        if asked:
            raise Cancelled

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield report
    finally:
        signal.signal(signal.SIGINT, before)
