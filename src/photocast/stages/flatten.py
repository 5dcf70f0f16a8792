# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Lay charts flat, each face the same way up and none over another.

A chart is seen along its mean normal, which keeps texels square and patches injective where the
surface does not fold. Small folds are smoothed away; what still lies upside down or behind another
face becomes a chart of its own, down to single faces, which are always flat. So the loop ends.

Plane: x right, y up, a face counter-clockwise from outside is counter-clockwise here.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from photocast.geometry.face_pairs import pieces
from photocast.ops.texels import hidden_triangles
from photocast.stages.charts import Surface, chart_normals, recount

__all__ = ["Flat", "flatten", "flatten_again", "hidden_faces", "lay_out", "turned"]

_MIN_SHARE = 0.08
"""Least share of its area in space that a face must keep in the plane."""
_PATIENCE = 8
"""Rounds after which faces in the way get a chart each."""
_UNFOLD_ROUNDS = 3
_UNFOLD_STEPS = 8
_CPU = torch.device("cpu")
_ANGLES = np.deg2rad(np.arange(0, 90, 2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """Charts in the plane, in the unit of the surface, each with its own origin."""

    chart: NDArray[np.int64]
    """Of each face (f,)."""
    points: NDArray[np.float64]
    """Corner positions (t, 2); a vertex appears once per chart it is in."""
    faces: NDArray[np.int64]
    """Indices into ``points`` (f, 3)."""
    owner: NDArray[np.int64]
    """Chart of each point (t,)."""
    depth: NDArray[np.float64]
    """Of each face towards the eye (f,)."""

    @property
    def count(self) -> int:
        """Number of charts."""
        return int(self.chart.max(initial=-1)) + 1


def flatten(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    mesh: Surface,
    chart: NDArray[np.int64],
    texel: float,
    *,
    device: torch.device = _CPU,
) -> Flat:
    """Project charts until every face lies the right way up and none covers another.

    Args:
        vertices: (v, 3).
        faces: (f, 3).
        mesh: The same faces, measured.
        chart: First charts (f,).
        texel: Side of a texel in the unit of the surface; overlaps are looked for at half of it.
        device: Where to look for them.

    Returns:
        Charts, possibly more of them.
    """
    done: list[tuple[NDArray[np.int64], Flat]] = []
    rest, attempt = np.arange(len(faces)), 0
    while len(rest):
        part = mesh.part(rest)
        flat = _project(vertices, faces[rest], part, chart, texel)
        bad = _upside_down(flat, part.areas, texel)
        folded = np.isin(flat.chart, flat.chart[bad])
        bad[~folded] = _hidden_at_rest(_subset(flat, ~folded), texel, device)
        spoilt = np.isin(flat.chart, flat.chart[bad])
        done.append((rest[~spoilt], _subset(flat, ~spoilt)))
        bad = bad | (spoilt & (attempt >= 2 * _PATIENCE))
        chart = recount(_set_apart(flat.chart, bad, part, alone=attempt >= _PATIENCE)[spoilt])
        rest, attempt = rest[spoilt], attempt + 1
    flat = _gathered(done)
    return replace(flat, points=turned(flat.points, flat.owner))


def flatten_again(
    flat: Flat,
    bad: NDArray[np.bool_],
    whole: tuple[NDArray[np.float64], NDArray[np.int32], Surface],
    texel: float,
    *,
    alone: bool,
    device: torch.device = _CPU,
) -> Flat:
    """Take faces out of their charts and flatten what that touches anew.

    Args:
        flat: As :func:`flatten` made it.
        bad: Faces that cannot stay where they are (f,).
        whole: Vertices, faces and surface, as given to :func:`flatten`.
        texel: As there.
        alone: Give each bad face a chart of its own, rather than one per patch.
        device: As there.

    Returns:
        All charts; those without a bad face are as before.
    """
    vertices, faces, surface = whole
    spoilt = np.isin(flat.chart, flat.chart[bad])
    rest = np.flatnonzero(spoilt)
    part = surface.part(rest)
    chart = _set_apart(recount(flat.chart[rest]), bad[rest], part, alone=alone)
    new = flatten(vertices, faces[rest], part, chart, texel, device=device)
    return _gathered([(np.flatnonzero(~spoilt), _subset(flat, ~spoilt)), (rest, new)])


def _hidden_at_rest(flat: Flat, texel: float, device: torch.device) -> NDArray[np.bool_]:
    if not len(flat.faces):
        return np.zeros(0, bool)
    return hidden_faces(flat, *lay_out(flat, 2 / texel), device=device)


def _subset(flat: Flat, keep: NDArray[np.bool_]) -> Flat:
    """Whole charts of ``flat``."""
    used = np.zeros(len(flat.points), bool)
    used[flat.faces[keep]] = True
    return Flat(
        chart=recount(flat.chart[keep]),
        points=flat.points[used],
        faces=(np.cumsum(used) - 1)[flat.faces[keep]],
        owner=recount(flat.owner[used]),
        depth=flat.depth[keep],
    )


def _gathered(parts: list[tuple[NDArray[np.int64], Flat]]) -> Flat:
    order = np.concatenate([where for where, _ in parts])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    flats = [flat for _, flat in parts]
    charts = np.cumsum([0, *(flat.count for flat in flats)])
    points = np.cumsum([0, *(len(flat.points) for flat in flats)])
    return Flat(
        chart=np.concatenate([f.chart + n for f, n in zip(flats, charts, strict=False)])[place],
        points=np.concatenate([flat.points for flat in flats]),
        faces=np.concatenate([f.faces + n for f, n in zip(flats, points, strict=False)])[place],
        owner=np.concatenate([f.owner + n for f, n in zip(flats, charts, strict=False)]),
        depth=np.concatenate([flat.depth for flat in flats])[place],
    )


def _set_apart(
    chart: NDArray[np.int64], bad: NDArray[np.bool_], mesh: Surface, *, alone: bool
) -> NDArray[np.int64]:
    """Move faces out of their charts, into patches or into a chart for each."""
    a, b = mesh.pairs.T
    stays = (chart[a] == chart[b]) & (bad[a] == bad[b])
    # Of bad neighbours only those that face alike are worth keeping together.
    alike = (mesh.normals[a] * mesh.normals[b]).sum(axis=1) > 0.5
    stays &= ~bad[a] | (alike & (not alone))
    return pieces(len(chart), mesh.pairs[stays])[1]


def _project(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    mesh: Surface,
    chart: NDArray[np.int64],
    texel: float,
) -> Flat:
    key = chart[:, None] * len(vertices) + faces
    unique, index = np.unique(key, return_inverse=True)
    index = index.reshape(-1, 3)
    owner, vertex = unique // len(vertices), unique % len(vertices)
    right, up, toward = _frames(chart_normals(mesh, chart))
    place = vertices[vertex]
    points = np.stack([(place * axis[owner]).sum(axis=1) for axis in (right, up)], axis=1)
    depth = (place * toward[owner]).sum(axis=1)[index].mean(axis=1)
    points = _unfold(points, index, mesh.areas, chart)
    return _open_lone_faces(Flat(chart, points, index, owner, depth), texel)


def _frames(normals: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    # Right-handed: right x up = normal. Start from the axis least along the normal.
    axis = np.eye(3)[np.abs(normals).argmin(axis=1)]
    right = np.cross(axis, normals)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return right, np.cross(normals, right), normals


def _double_areas(points: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    u, v = b - a, c - a
    areas: NDArray[np.float64] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return areas


def _unfold(
    points: NDArray[np.float64],
    faces: NDArray[np.int64],
    areas: NDArray[np.float64],
    chart: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Pull folded corners to the middle of their neighbours; borders stay.

    Tutte's argument: a patch whose inner points are means of their neighbours does not fold as
    long as its border is well shaped; here only the surroundings of a fold move.
    """
    bad = _folded(points, faces, areas)
    if not bad.any():
        return points
    part = np.isin(chart, np.unique(chart[bad]))
    local = faces[part]
    start, stop = local.ravel(), np.roll(local, -1, axis=1).ravel()
    graph = csr_matrix(
        (np.ones(len(start), np.int8), (start, stop)), shape=(len(points), len(points))
    )
    both = graph + graph.T
    border = np.zeros(len(points), bool)
    lone = both.tocoo()
    border[lone.row[lone.data == 1]] = True
    both.data[:] = 1
    both = both.astype(np.float64)
    ring = np.maximum(both.sum(axis=1), 1).reshape(-1, 1)
    for _ in range(_UNFOLD_ROUNDS):
        moving = np.zeros(len(points), bool)
        moving[faces[bad]] = True
        moving[faces[moving[faces].any(axis=1) & part]] = True
        rows = np.flatnonzero(moving & ~border)
        nearby = both[rows]
        points = points.copy()
        for _ in range(_UNFOLD_STEPS):
            points[rows] = np.asarray((nearby @ points) / np.asarray(ring)[rows])
        bad = _folded(points, faces, areas)
        if not bad.any():
            break
    return points


def _folded(
    points: NDArray[np.float64], faces: NDArray[np.int64], areas: NDArray[np.float64]
) -> NDArray[np.bool_]:
    folded: NDArray[np.bool_] = _double_areas(points, faces) <= 2 * _MIN_SHARE * areas
    return folded


def _upside_down(flat: Flat, areas: NDArray[np.float64], texel: float) -> NDArray[np.bool_]:
    double = _double_areas(flat.points, flat.faces)
    share = double / np.maximum(2 * areas, 1e-300)
    bad = (double <= 1e-6 * texel**2) | (share <= _MIN_SHARE)
    bad &= np.bincount(flat.chart)[flat.chart] > 1
    # Where a chart must lose faces its axis moves a little: those on the brink go along.
    bad |= np.isin(flat.chart, flat.chart[bad]) & (share <= 2 * _MIN_SHARE)
    return bad


def turned(points: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn each chart to its smallest upright box, lying down, with the corner at the origin."""
    if not len(points):
        return points
    first = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    best = np.full(len(first), np.inf)
    angle = np.zeros(len(first))
    for candidate in _ANGLES:
        low, high = _box(_rotated(points, np.full(len(points), candidate)), first)
        side = high - low
        cost = side[:, 0] * side[:, 1] + 1e-9 * side.sum(axis=1) ** 2
        better = cost < best * (1 - 1e-6)
        best[better], angle[better] = cost[better], candidate
    lying = _rotated(points, angle[owner])
    low, high = _box(lying, first)
    side = high - low
    angle += np.where(side[:, 1] > side[:, 0], np.pi / 2, 0)
    lying = _rotated(points, angle[owner])
    low, _ = _box(lying, first)
    shifted: NDArray[np.float64] = lying - low[owner]
    return shifted


def _rotated(points: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    x, y = points.T
    return np.stack([c * x - s * y, s * x + c * y], axis=1)


def _box(
    points: NDArray[np.float64], first: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)


def _open_lone_faces(flat: Flat, texel: float) -> Flat:
    """Give single faces without area a triangle of one texel, so that nothing is inverted."""
    alone = np.bincount(flat.chart, minlength=flat.count)[flat.chart] == 1
    thin = alone & (_double_areas(flat.points, flat.faces) <= 1e-4 * texel**2)
    if not thin.any():
        return flat
    # A face that names a vertex twice has fewer points than corners: give it new ones.
    count = int(thin.sum())
    points = np.concatenate([flat.points, np.zeros((3 * count, 2))])
    owner = np.concatenate([flat.owner, np.repeat(flat.chart[thin], 3)])
    faces = flat.faces.copy()
    faces[thin] = len(flat.points) + np.arange(3 * count).reshape(-1, 3)
    points[len(flat.points) :] = np.tile(np.array([[0, 0], [1, 0], [0, 1]]) * texel, (count, 1))
    used = np.zeros(len(points), bool)
    used[faces] = True
    number = np.cumsum(used) - 1
    points, owner, faces = points[used], owner[used], number[faces]
    order = np.argsort(owner, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return Flat(flat.chart, points[order], place[faces], owner[order], flat.depth)


def lay_out(flat: Flat, scale: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Put the charts in rows on a canvas, apart from each other.

    Returns:
        Corners (f, 3, 2) [px] and the canvas height and width.
    """
    first = np.flatnonzero(np.r_[True, flat.owner[1:] != flat.owner[:-1]])
    low, high = _box(flat.points * scale, first)
    sides = np.ceil(high - low).astype(np.int64) + 2
    width = int(max(sides[:, 0].max(), np.ceil(np.sqrt(sides.prod(axis=1).sum()))))
    order = np.argsort(-sides[:, 1], kind="stable")
    at = np.zeros((len(sides), 2))
    row, x, height = 0, width, 0
    for index, (w, h) in zip(order, sides[order].tolist(), strict=True):
        if x + w > width:
            row, x, height = row + height, 0, h
        at[index] = (x, row)
        x += w
    corners = (flat.points * scale + (at - low)[flat.owner])[flat.faces]
    return corners, (row + height, width)


def hidden_faces(
    flat: Flat,
    corners: NDArray[np.float64],
    size: tuple[int, int],
    *,
    device: torch.device = _CPU,
) -> NDArray[np.bool_]:
    """Find faces that lie behind another one at some texel centre.

    Returns:
        (f,), true for the face further from the eye.
    """
    rank = np.empty(len(flat.depth), np.int32)
    rank[np.argsort(flat.depth, kind="stable")] = np.arange(len(rank), dtype=np.int32)
    places = torch.from_numpy(np.ascontiguousarray(corners, np.float64)).to(device)
    hidden = hidden_triangles(places, torch.from_numpy(rank).to(device), size)
    found: NDArray[np.bool_] = hidden.cpu().numpy()
    return found
