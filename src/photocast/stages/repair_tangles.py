# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth out small places where a part passes through itself: a spike, a fold, two lips.

Only positions change there; triangles, UVs and colours stay. A place gets the shape of a thin
plate that is held at its border.
Source: Kobbelt et al., Interactive Multi-Resolution Modeling on Arbitrary Meshes, 1998.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import spsolve

from photocast.geometry.topology import label_groups
from photocast.ops.self_intersections import self_intersections
from photocast.stages.repair_draft import Draft

__all__ = ["all_intersections", "own_intersections", "smooth_tangles"]

_MOST_RINGS = 4  # around a tangle
_MOST_SHARE = 0.1  # of a part's vertices that may move: what is larger is no small place


def all_intersections(draft: Draft) -> NDArray[np.bool_]:
    """Mark the faces that meet others (f,)."""
    marks = draft.topology.whole.copy()
    faces = np.ascontiguousarray(draft.faces[marks])
    found = self_intersections(torch.from_numpy(draft.vertices), torch.from_numpy(faces))
    marks[marks] = found.numpy()
    return marks


def own_intersections(draft: Draft) -> NDArray[np.bool_]:
    """Mark the faces that meet others of their own part (f,)."""
    marks, part = all_intersections(draft), draft.topology.part
    if marks.any() and part.any():
        for one in np.unique(part[marks]):
            own = part == one
            marks[own] = all_intersections(draft.kept(own))
    return marks


def smooth_tangles(draft: Draft) -> tuple[Draft, str]:
    """Smooth each place where a part passes through itself, if that takes no more than a few rings.

    Places that this does not mend stay as they are.
    """
    marks = own_intersections(draft)
    if not marks.any():
        return draft, ""
    plate = _Plate(draft)
    points, open_marks = draft.vertices, marks
    for rings in range(_MOST_RINGS):
        free = plate.around(open_marks, rings)
        if not free.any() or plate.too_large(free):
            break
        points = plate.smoothed(points, free)
        open_marks = own_intersections(replace(draft, vertices=points))
        if not open_marks.any():
            break
    # A place that is still tangled goes back as a whole, with all that moved beside it.
    moved = (points != draft.vertices).any(axis=1)
    points = np.where(plate.connected(moved, open_marks)[:, None], draft.vertices, points)
    after = replace(draft, vertices=np.ascontiguousarray(points, np.float32))
    mended = int(marks.sum()) - int(own_intersections(after).sum())
    if mended <= 0:
        return draft, ""
    far = np.linalg.norm(after.vertices.astype(np.float64) - draft.vertices, axis=1)
    return after, (
        f"{int((far > 0).sum())} vertices were moved, by up to {far.max():.4g} units, to smooth "
        f"places where {mended} triangles met others of their own part."
    )


class _Plate:
    """The surface as a thin plate, all edges alike: where it is tangled, lengths mean nothing."""

    def __init__(self, draft: Draft) -> None:
        topology = draft.topology
        self.faces, self.count = draft.faces, len(draft.vertices)
        a, b = topology.start, topology.stop
        ones = np.ones(2 * len(a), np.float64)
        graph = coo_matrix((ones, (np.r_[a, b], np.r_[b, a])), shape=(self.count,) * 2).tocsr()
        graph.data[:] = 1.0
        self.graph: csr_matrix = graph
        degree = np.asarray(graph.sum(axis=1)).reshape(-1)
        umbrella = diags(np.where(degree > 0, 1.0, 0.0)) - diags(1 / np.maximum(degree, 1)) @ graph
        self.bending = (umbrella @ umbrella).tocsr()
        self.held = np.zeros(self.count, bool)
        self.held[topology.start[topology.rim]] = True
        self.held[topology.stop[topology.rim]] = True
        label = np.zeros(self.count, np.int64)
        label[draft.faces] = topology.part[:, None]
        self.part = label
        self.used = topology.used

    def around(self, marks: NDArray[np.bool_], rings: int) -> NDArray[np.bool_]:
        """Vertices of marked faces, and so many rings of neighbours; rims are held (v,)."""
        free = np.zeros(self.count, bool)
        free[self.faces[marks]] = True
        for _ in range(rings):
            free |= self.graph @ free > 0
        return free & ~self.held

    def too_large(self, free: NDArray[np.bool_]) -> bool:
        """Whether more of a part would move than a small place."""
        moved, whole = (np.bincount(self.part[v]) for v in (free & self.used, self.used))
        return bool((moved > _MOST_SHARE * whole[: len(moved)]).any())

    def smoothed(self, points: NDArray[np.float32], free: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Free vertices where the plate is at rest, the others as they are (v, 3)."""
        rows = self.bending[free]
        known = -(rows[:, ~free] @ points[~free].astype(np.float64))
        found = np.asarray(spsolve(rows[:, free].tocsc(), known)).reshape(-1, 3)
        made = points.copy()
        made[free] = np.where(np.isfinite(found), found, points[free])
        return made

    def connected(self, moved: NDArray[np.bool_], marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Moved vertices that hang together with a marked face through moved ones (v,)."""
        inside = moved[self.faces]
        sides = [(i, (i + 1) % 3) for i in range(3)]
        links = [self.faces[inside[:, i] & inside[:, k]][:, [i, k]] for i, k in sides]
        pairs = np.concatenate(links)
        label = label_groups(self.count, pairs[:, 0], pairs[:, 1])
        tangled = np.unique(label[self.faces[marks]])
        back: NDArray[np.bool_] = moved & np.isin(label, tangled)
        return back
