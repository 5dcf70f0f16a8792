# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure a mesh, in memory or in a file, and judge it by a profile.

A file is measured as it lies there: what a user gets, not what was meant to be written.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Check, Mesh, Report
from photocast.errors import MeshError
from photocast.formats.frame_mark import frame_up
from photocast.formats.meshes import read_mesh
from photocast.formats.seams import distinct_rows, weld
from photocast.stages.definitions import DEFINITIONS
from photocast.stages.face_layers import face_layers
from photocast.stages.issues import find_issues
from photocast.stages.profiles import Profile, judged, load_profile, score
from photocast.stages.surface_facts import Facts, surface_facts
from photocast.stages.uv_facts import uv_facts

__all__ = [
    "MAX_UV_OVERLAP",
    "RUN_GROUPS",
    "Checked",
    "check_file",
    "check_file_size",
    "check_mesh",
    "measure",
]

MAX_UV_OVERLAP = 0.001
"""Share of the used texels that two triangles may both claim in a map that we keep."""

RUN_GROUPS = ("image.", "cameras.", "memory.", "uv.unseen_share")
"""What only a run can tell: how the names of those checks begin."""

_NEVER = {
    "image.lpips": "it needs learnt weights, which are not shipped",
    "cameras.reprojection_rms": "cameras come with the photos, and are corrected by outlines and "
    "colours: there are no points to project",
}
"""Why no run of ours tells, by check."""

_UNUSABLE = {
    "mesh.not_finite": "the file has numbers that are not finite",
    "mesh.no_faces": "the file has no triangles",
}
"""Errors of a reader that a report can tell of; the others mean that there is no mesh at all."""

_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A mesh file, measured and judged."""

    path: Path
    mesh: Mesh | None
    """With equal positions welded; ``None`` if the file's numbers make no mesh."""
    facts: Facts
    profile: Profile
    report: Report
    up: NDArray[np.float64] = field(default_factory=_UP.copy)
    """The world's up direction (3,), for pictures and cameras."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def layers(self) -> bytes:
        """What is known of every face; see :mod:`photocast.stages.face_layers`."""
        sha256 = next(str(c.value) for c in self.report.checks if c.name == "file.sha256")
        return face_layers(self.facts, 0 if self.mesh is None else len(self.mesh.faces), sha256)

    def with_checks(self, extra: Sequence[Check]) -> "Checked":
        """The same with more answers, judged together."""
        checks = judged([*self.report.checks, *extra], self.profile)
        report = replace(
            self.report,
            checks=checks,
            score=score(checks, self.profile),
            issues=find_issues(checks, self.facts, self.mesh, self.up),
        )
        return replace(self, report=report)

    def joined(self, extra: Sequence[Check], why_not: str = "") -> "Checked":
        """The same with what the run tells.

        Args:
            extra: What the run tells.
            why_not: Why it does not tell the rest.
        """
        names = {check.name for check in extra}
        lacking = [
            Check(name, None, note=why_not or _NEVER.get(name, "this run did not measure it"))
            for name in DEFINITIONS
            if name.startswith(RUN_GROUPS) and name not in names
        ]
        return self.with_checks([*extra, *lacking])


def check_mesh(mesh: Mesh, profile: str = "result") -> tuple[Check, ...]:
    """Measure and judge a mesh in memory.

    Args:
        mesh: As it will be saved.
        profile: A name or a path, see ``load_profile``.
    """
    return judged(measure(mesh).checks, load_profile(profile))


def measure(
    mesh: Mesh,
    *,
    raw: Mesh | None = None,
    with_thickness: bool = True,
    device: torch.device | None = None,
) -> Facts:
    """Measure a mesh without judging it.

    Args:
        mesh: Equal positions welded.
        raw: The same with its vertices as they are stored, if that differs.
        with_thickness: Whether to send rays through the solid.
        device: Where to look for intersections; the CPU if absent.
    """
    facts = surface_facts(mesh, with_thickness=with_thickness, device=device)
    uv_facts(facts, mesh)
    facts.checks = [*_stored(raw or mesh), *facts.checks]
    return facts


def check_file(
    path: Path,
    profile: str = "view",
    *,
    extra: Sequence[Check] = (),
    with_thickness: bool = True,
    up: NDArray[np.float64] | None = None,
    device: torch.device | None = None,
) -> Checked:
    """Measure a mesh file and judge it.

    Args:
        path: In any format that ``load_mesh`` reads.
        profile: A name or a path, see ``load_profile``.
        extra: More checks to judge with it, such as those about photos.
        with_thickness: Whether to send rays through the solid.
        up: The world's up direction, for the cameras of issues; if absent, that of a GLB of ours,
            else +Y.
        device: Where to look for intersections; the CPU if absent.

    Raises:
        ConfigError: The profile is wrong.
        MeshError: There is no mesh in the file.
    """
    rules = load_profile(profile)
    found_up = frame_up(path) if up is None else up
    way_up = _UP if found_up is None else found_up
    start = time.perf_counter()
    seconds: dict[str, float] = {}
    facts, mesh = Facts(), None
    try:
        raw = read_mesh(path)
    except MeshError as error:
        if error.code not in _UNUSABLE:
            raise
        _file_facts(facts, path)
        _unusable(facts, error)
    else:
        _file_facts(facts, path)
        mesh = weld(raw)
        seconds["read"] = time.perf_counter() - start
        found = measure(mesh, raw=raw, with_thickness=with_thickness, device=device)
        facts.checks += found.checks
        facts.flags, facts.layers, facts.histograms = found.flags, found.layers, found.histograms
        seconds["measure"] = time.perf_counter() - start - seconds["read"]
    checks = judged([*facts.checks, *extra], rules)
    report = Report(
        checks=checks,
        profile=rules.name,
        score=score(checks, rules),
        issues=find_issues(checks, facts, mesh, way_up),
        histograms=tuple(facts.histograms),
    )
    return Checked(path, mesh, facts, rules, report, way_up, seconds)


def check_file_size(name: str, size_bytes: int) -> Check:
    """Report how large a written file is."""
    return Check(f"file.{name}", size_bytes, unit="bytes")


def _file_facts(facts: Facts, path: Path) -> None:
    data = path.read_bytes()
    facts.add("file.format", path.suffix.lower()[1:])
    facts.add("file.size", len(data))
    facts.add("file.sha256", hashlib.sha256(data).hexdigest())


def _stored(raw: Mesh) -> list[Check]:
    """How many vertices there are before welding, and which of them are of no use."""
    used = np.zeros(len(raw.vertices), bool)
    used[raw.faces] = True
    columns = [raw.vertices] if raw.colors is None else [raw.vertices, raw.colors]
    if raw.uvs is not None and raw.uv_faces is not None:
        # Formats with one index per corner: a vertex has one UV, that of any corner.
        uv = np.zeros((len(raw.vertices), 2), np.float32)
        uv[raw.faces] = raw.uvs[raw.uv_faces]
        columns.append(uv)
    distinct = len(distinct_rows(np.column_stack(columns))[0]) if len(raw.vertices) else 0
    return [
        Check("mesh.file_vertices", len(raw.vertices)),
        Check("mesh.unreferenced_vertices", int((~used).sum())),
        Check("mesh.duplicate_vertices", len(raw.vertices) - distinct),
    ]


def _unusable(facts: Facts, error: MeshError) -> None:
    """Answer what an unreadable mesh answers, and say of the rest why it is unknown."""
    reason = _UNUSABLE[error.code]
    for name in DEFINITIONS:
        if name.startswith(("mesh.", "shape.", "uv.")) and not name.startswith(RUN_GROUPS):
            known = name == "mesh.faces" and error.code == "mesh.no_faces"
            facts.add(name, 0 if known else None, "" if known else reason)
    if error.code == "mesh.not_finite":
        facts.checks = [
            Check(c.name, error.count or 1, note=str(error)) if c.name == error.code else c
            for c in facts.checks
        ]
