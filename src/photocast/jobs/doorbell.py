# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Telling workers that there is work. Nothing depends on it: who is not told finds out by looking.

A bell may be lost, late, or rung twice; it carries the name of a job and nothing else.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

__all__ = ["Carillon", "Doorbell", "SilentBell"]

_log = logging.getLogger(__name__)


class Doorbell(Protocol):
    """Rings for workers; never raises, because the job is written down already."""

    def ring(self, job_id: str) -> bool:
        """Say that a job waits; false if nobody can have heard."""

    def problem(self) -> str | None:
        """Why nobody would hear, for readiness; ``None`` if all is well."""

    def close(self) -> None:
        """Give connections back."""


class SilentBell:
    """For workers that look by themselves."""

    def ring(self, job_id: str) -> bool:
        """Do nothing."""
        return True

    def problem(self) -> str | None:
        """There is none."""
        return None

    def close(self) -> None:
        """Do nothing."""


class Carillon:
    """Several bells at once."""

    def __init__(self, bells: Sequence[Doorbell]) -> None:
        self._bells = bells

    def ring(self, job_id: str) -> bool:
        """Ring all; false if none was heard."""
        return any([bell.ring(job_id) for bell in self._bells])

    def problem(self) -> str | None:
        """The first there is."""
        return next((text for bell in self._bells if (text := bell.problem())), None)

    def close(self) -> None:
        """Close all."""
        for bell in self._bells:
            bell.close()
