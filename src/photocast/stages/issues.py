# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the rules object to, as a list: how many faces, which, and where to look at them from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Check, Issue, Mesh
from photocast.stages.definitions import COUNTED, definition_of
from photocast.stages.orbit import close_up_camera
from photocast.stages.surface_facts import Facts

__all__ = ["ISSUE_FACES", "find_issues", "marks_of"]

ISSUE_FACES = 100
"""An issue names no more faces than this; the per-face layers have them all."""

_PLACES = {
    "mesh.watertight": "mesh.boundary_edges",
    "mesh.boundary_loops": "mesh.boundary_edges",
    "mesh.boundary_length": "mesh.boundary_edges",
    "mesh.winding_consistent": "mesh.flipped_faces",
    "mesh.large_components": "mesh.components",
    "mesh.volume": "mesh.outward",
    "shape.self_intersecting_share": "shape.self_intersecting_faces",
    "shape.min_angle": "shape.sliver_share",
    "shape.min_angle_p5": "shape.sliver_share",
    "shape.aspect_p95": "shape.sliver_share",
    "uv.outside_share": "uv.inside",
}
"""Checks whose faces another check has found."""

_TURNED = ("mesh.flipped_faces", "mesh.winding_consistent", "mesh.outward", "mesh.volume")
"""Checks whose faces look the wrong way."""
_CELLS = 16  # the object's box is cut into this many cells along its longest side
_LEAST_RADIUS = 0.07  # of the box's diagonal: the smallest place that is looked at


def find_issues(
    checks: Sequence[Check],
    facts: Facts,
    mesh: Mesh | None,
    up: NDArray[np.float64],
) -> tuple[Issue, ...]:
    """List failures, then warnings.

    Args:
        checks: Judged.
        facts: Of the same mesh.
        mesh: ``None`` if it could not be read.
        up: The world's up direction, for the cameras.
    """
    order = {"fail": 0, "warn": 1}
    found = [check for check in checks if check.verdict in order]
    found.sort(key=lambda check: order[str(check.verdict)])
    return tuple(_issue(check, facts, mesh, up) for check in found)


def marks_of(check: str, facts: Facts) -> NDArray[np.bool_] | None:
    """The faces (f,) that a check is about; ``None`` if it is about none in particular."""
    found = facts.flags.get(check)
    return facts.flags.get(_PLACES.get(check, "")) if found is None else found


def _issue(check: Check, facts: Facts, mesh: Mesh | None, up: NDArray[np.float64]) -> Issue:
    verdict = check.verdict
    assert verdict is not None
    flags = marks_of(check.name, facts)
    if flags is None or mesh is None or not flags.any():
        return Issue(check.name, verdict, _text(check, 0), 0)
    faces = np.flatnonzero(flags)
    return Issue(
        check.name,
        verdict,
        _text(check, len(faces)),
        len(faces),
        tuple(faces[:ISSUE_FACES].tolist()),
        _camera(mesh, faces, up, turned=check.name in _TURNED),
    )


def _text(check: Check, face_count: int) -> str:
    definition = definition_of(check.name)
    title = definition.title if definition else check.name
    value = {True: "yes", False: "no"}.get(check.value) if isinstance(check.value, bool) else None
    if value is None:
        value = f"{check.value:.4g}" if isinstance(check.value, float) else f"{check.value}"
    unit = check.unit or (definition.unit if definition else "")
    # The title says what is counted.
    measured = value if unit in ("1", *COUNTED) else f"{value} {unit}".strip()
    must = "must be" if check.verdict == "fail" else "should be"
    limit = check.limit.removeprefix("= ").replace("<=", "≤").replace(">=", "≥")
    where = f" Triangles that are part of it: {face_count}." if face_count else ""
    return f"{title}: {measured}; {must} {limit}.{where}"


def _camera(
    mesh: Mesh, faces: NDArray[np.int64], up: NDArray[np.float64], *, turned: bool
) -> Camera:
    """Look at the fullest cell of a grid over the object."""
    low, high = mesh.bounds.astype(np.float64)
    diagonal = float(np.linalg.norm(high - low)) or 1.0
    corners = mesh.vertices[mesh.faces[faces]].astype(np.float64)
    middles = corners.mean(axis=1)
    cells = ((middles - low) / (diagonal / _CELLS)).astype(np.int64)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    here = cell.reshape(-1) == np.bincount(cell.reshape(-1)).argmax()
    point = middles[here].mean(axis=0)
    around = corners[here]
    normals = np.cross(around[:, 1] - around[:, 0], around[:, 2] - around[:, 0])
    outward = -normals.sum(axis=0) if turned else normals.sum(axis=0)
    if np.linalg.norm(outward) <= 0.2 * np.linalg.norm(normals, axis=1).sum():
        outward = point - (low + high) / 2  # faces of all directions: look from outside
    if not np.linalg.norm(outward) > 0:
        outward = np.array([0.3, 0.4, 1.0])
    reach = float(np.linalg.norm(around.reshape(-1, 3) - point, axis=1).max())
    radius = max(1.5 * reach, _LEAST_RADIUS * diagonal)
    return close_up_camera(point, outward, radius, up)
