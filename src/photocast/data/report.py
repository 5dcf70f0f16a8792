# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What was made, how, and what is wrong with it. A failed check is data, not silence."""

from dataclasses import dataclass, field
from typing import Any, Literal

from photocast.data.camera import Camera

__all__ = ["Check", "Histogram", "Issue", "Report", "SecondOpinion", "Verdict"]

Verdict = Literal["pass", "warn", "fail"]


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
    """False if a rule that must hold is broken; ``None`` if informative or not measured."""
    note: str = ""
    warned: bool = False
    """A rule that should hold is broken; ``limit`` is that rule."""

    @property
    def verdict(self) -> Verdict | None:
        """What the rules say of it; ``None`` if there is none, or it could not be measured."""
        if self.passed is None:
            return None
        return "fail" if not self.passed else "warn" if self.warned else "pass"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values of the faces lie between neighbouring edges."""

    name: str
    unit: str
    edges: tuple[float, ...]
    """One more than the counts; what lies outside is counted at the ends."""
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Issue:
    """One kind of problem, where it is, and where to look at it from."""

    check: str
    """Name of the check that counts it."""
    verdict: Verdict
    text: str
    """A sentence with numbers."""
    face_count: int
    faces: tuple[int, ...] = ()
    """The first of them, by index in the welded mesh; see ``ISSUE_FACES``."""
    camera: Camera | None = None
    """Looks at the place where most of it is; ``None`` if it has no place."""


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What another program says of the same mesh."""

    tool: str
    version: str | None
    """``None`` if it is not installed."""
    status: Literal["ran", "not run", "not applicable"]
    reason: str = ""
    """Why it did not run, or what to know about its answer."""
    answers: dict[str, float | int | bool | str | None] = field(default_factory=dict)
    """By the name of the check that asks the same."""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The result's checks, and the run that produced it."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
    run: dict[str, Any] = field(default_factory=dict)
    """Versions, options, seeds, seconds per stage, peak memory, input hashes."""
    profile: str = ""
    """Name of the rules that judged; empty if nothing did."""
    score: float | None = None
    """0 to 100 by the profile's weights; ``None`` if nothing could be judged."""
    issues: tuple[Issue, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    opinions: tuple[SecondOpinion, ...] = ()
    reference_from_mesh: tuple[tuple[float, ...], ...] | None = None
    """(4, 4): how the mesh was laid onto a reference before it was compared, if it was."""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)

    @property
    def verdict(self) -> Verdict | None:
        """The worst of the checks'; ``None`` if none was judged."""
        found = {check.verdict for check in self.checks}
        order: tuple[Verdict, ...] = ("fail", "warn", "pass")
        return next((verdict for verdict in order if verdict in found), None)

    @property
    def decided_by(self) -> tuple[str, ...]:
        """Names of the checks that made the verdict what it is; none if all passed."""
        if self.verdict in (None, "pass"):
            return ()
        return tuple(check.name for check in self.checks if check.verdict == self.verdict)
