# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Telling workers that there is work. Nothing depends on it: who is not told finds out by looking.

A bell may be lost, late, or rung twice; it carries the name of a job and nothing else.
"""

import logging
from typing import Protocol

__all__ = ["Doorbell", "SilentBell"]

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
