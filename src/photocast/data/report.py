# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What was made, how, and what is wrong with it. A failed check is data, not silence."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Check", "Report"]


@dataclass(frozen=True, slots=True)
class Check:
    """One question about the result, answered with a number."""

    name: str
    """Stable, dotted, such as ``mesh.watertight``."""
    value: float | int | bool | str | None
    """``None`` where it could not be measured; ``note`` then says why."""
    unit: str = ""
    limit: str = ""
    """The rule in words, such as ``= 0`` or ``>= 0.97``; empty if only informative."""
    passed: bool | None = None
    """``None`` if informative or not measured."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The result's checks, and the run that produced it."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
    run: dict[str, Any] = field(default_factory=dict)
    """Versions, options, seeds, seconds per stage, peak memory, input hashes."""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)
