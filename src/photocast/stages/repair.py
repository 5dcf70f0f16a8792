# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Mend a mesh, say what was changed, and never make it worse by its own report.

Each step is kept only if no rule of the profile is kept less well than before, but for a new
warning where fewer rules fail, and the score does not fall. Else it is taken back, and the record
says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from photocast.data import Check, Mesh, Verdict
from photocast.progress import Progress, silent
from photocast.stages import repair_steps as steps
from photocast.stages.profiles import Profile, judged, load_profile, score
from photocast.stages.repair_draft import Draft, draft_of
from photocast.stages.repair_solid import unite
from photocast.stages.repair_steps import FillHoles
from photocast.stages.repair_tangles import smooth_tangles
from photocast.stages.validate import measure

__all__ = ["Change", "Repaired", "State", "repair"]

_RANK = {"fail": 0, "warn": 1, "pass": 2}


@dataclass(frozen=True, slots=True)
class Change:
    """What one step did."""

    step: str
    text: str
    """A sentence with numbers."""
    kept: bool
    """False if it would have made the mesh worse, and was taken back."""
    faces_before: int
    faces_after: int


@dataclass(frozen=True, slots=True)
class State:
    """How a mesh is judged."""

    verdict: Verdict | None
    score: float | None
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """The mesh, mended as far as it could be, and the record."""

    mesh: Mesh
    changes: tuple[Change, ...]
    before: State
    after: State
    profile: Profile


def repair(
    mesh: Mesh,
    profile: str = "print",
    *,
    holes: FillHoles = "small",
    progress: Progress = silent,
) -> Repaired:
    """Mend a mesh.

    Args:
        mesh: Equal positions welded.
        profile: The rules that must not be kept less well: a name or a path, see ``load_profile``.
        holes: Which to fill: those up to a tenth of the object's diagonal, all, or none.
        progress: Told of every step.

    Raises:
        ConfigError: The profile is wrong.
    """
    rules = load_profile(profile)
    draft = first = draft_of(mesh)
    before = now = _judged(mesh, rules)
    changes: list[Change] = []
    if unused := int((~draft.topology.used).sum()):
        count = len(mesh.faces)
        text = f"{unused} vertices that no triangle names were dropped."
        changes.append(Change("unused", text, True, count, count))
    plan: list[tuple[str, Callable[[Draft], tuple[Draft, str]]]] = [
        ("weld", steps.close_cracks),
        ("collapsed", steps.drop_collapsed),
        ("repeated", steps.drop_repeated),
        ("slivers", steps.drop_slivers),
        ("fins", steps.drop_fins),
        ("floaters", steps.drop_floaters),
        ("winding", steps.turn_outward),
        ("touching", steps.separate),
        ("holes", lambda draft: steps.fill_holes(draft, holes)),
        ("outward", steps.turn_outward),
        ("tangles", smooth_tangles),
        ("intersections", lambda draft: unite(draft, _intersecting(now))),
        ("floaters", steps.drop_floaters),
    ]
    for done, (name, step) in enumerate(plan, 1):
        after, text = step(draft)
        if after is draft:
            if text:
                changes.append(Change(name, text, True, len(draft.faces), len(draft.faces)))
        else:
            state = _judged(after.mesh(), rules)
            kept = bool(len(after.faces)) and not _worse(now, state)
            said = text if kept else f"Taken back: {text} It would be worse: {_why(now, state)}."
            changes.append(Change(name, said, kept, len(draft.faces), len(after.faces)))
            if kept:
                draft, now = after, state
        progress("repair", done, len(plan))
    if draft is first and not unused:
        return Repaired(mesh, tuple(changes), before, before, rules)
    made = draft.mesh()
    return Repaired(made, tuple(changes), before, _judged(made, rules), rules)


def _judged(mesh: Mesh, rules: Profile) -> State:
    checks = judged(measure(mesh).checks, rules)
    order: tuple[Verdict, ...] = ("fail", "warn", "pass")
    found = {check.verdict for check in checks}
    verdict = next((word for word in order if word in found), None)
    return State(verdict, score(checks, rules), checks)


def _worse(before: State, after: State) -> list[str]:
    """Rules that are kept less well, and the score if it fell.

    A new warning is let through where fewer rules fail: two bodies apart instead of one that is
    not manifold.
    """
    old, new = ({c.name: c.verdict for c in state.checks} for state in (before, after))
    mends = _failures(after) < _failures(before)
    names = [
        name
        for name, verdict in new.items()
        if verdict is not None
        and (first := old[name]) is not None
        and _RANK[verdict] < _RANK[first]
        and not (mends and verdict == "warn")
    ]
    if after.score is not None and before.score is not None and after.score < before.score:
        names.append("score")
    return names


def _failures(state: State) -> int:
    return sum(check.verdict == "fail" for check in state.checks)


def _why(before: State, after: State) -> str:
    return ", ".join(_worse(before, after)) or "no triangle would be left"


def _intersecting(state: State) -> int:
    values = {check.name: check.value for check in state.checks}
    return int(values["shape.self_intersecting_faces"] or 0)
