# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How work reports itself and learns that it was cancelled.

Long loops call ``progress(stage, done, total, **numbers)`` at points where stopping is safe. The
callable may raise :class:`photocast.errors.Cancelled`. It is the one channel for progress bars,
plain log lines and, later, server events and heartbeats.
"""

from typing import Protocol, runtime_checkable

__all__ = ["Progress", "silent"]


@runtime_checkable
class Progress(Protocol):
    """Receives how far a stage has come; raises ``Cancelled`` to stop it."""

    def __call__(self, stage: str, done: int, total: int, **numbers: float) -> None:
        """Report that ``done`` of ``total`` units of ``stage`` are finished."""


def silent(stage: str, done: int, total: int, **numbers: float) -> None:
    """Report to nobody."""
