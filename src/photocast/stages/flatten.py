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

__all__ = ["Flat", "flatten", "flatten_again", "hidden_faces", "lay_out", "outline", "turned"]

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
    rest, part, attempt = np.arange(len(faces)), mesh, 0
    while len(rest):
        flat = _project(vertices, faces[rest], part, chart, texel)
        bad = _upside_down(flat, part.areas, texel)
        folded = _with_any(flat.chart, bad)
        bad[~folded] = _hidden_at_rest(_subset(flat, ~folded), texel, device)
        spoilt = _with_any(flat.chart, bad)
        done.append((rest[~spoilt], _subset(flat, ~spoilt)))
        rest, part, bad = rest[spoilt], part.part(np.flatnonzero(spoilt)), bad[spoilt]
        bad |= attempt >= 2 * _PATIENCE
        chart = _set_apart(flat.chart[spoilt], bad, part, alone=attempt >= _PATIENCE)
        attempt += 1
    return turned(_gathered(done))


def flatten_again(
    flat: Flat,
    bad: NDArray[np.bool_],
    whole: tuple[NDArray[np.float64], NDArray[np.int32], Surface],
    texel: float,
    *,
    alone: bool,
    scale: float | None = None,
    device: torch.device = _CPU,
) -> Flat:
    """Take faces out of their charts and flatten what that touches anew.

    Args:
        flat: As :func:`flatten` made it.
        bad: Faces that cannot stay where they are (f,).
        whole: Vertices, faces and surface, as given to :func:`flatten`.
        texel: As there.
        alone: Give each bad face a chart of its own, rather than one per patch.
        scale: Texels per unit in the map; look for overlaps at its texels too, and mend them.
        device: As there.

    Returns:
        All charts; those without a bad face are as before.
    """
    vertices, faces, surface = whole
    spoilt = _with_any(flat.chart, bad)
    rest = np.flatnonzero(spoilt)
    part = surface.part(rest)
    chart = _set_apart(recount(flat.chart[rest]), bad[rest], part, alone=alone)
    new = flatten(vertices, faces[rest], part, chart, texel, device=device)
    for attempt in range(_PATIENCE):
        if scale is None or not (bad := _hidden_in_map(new, scale, device)).any():
            break
        local = vertices, faces[rest], part
        new = flatten_again(new, bad, local, texel, alone=attempt > 0, device=device)
    return _gathered([(np.flatnonzero(~spoilt), _subset(flat, ~spoilt)), (rest, new)])


def _with_any(chart: NDArray[np.int64], bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All faces of the charts that have a bad one."""
    marked = np.zeros(int(chart.max(initial=-1)) + 1, bool)
    marked[chart[bad]] = True
    return marked[chart]


def _hidden_at_rest(flat: Flat, texel: float, device: torch.device) -> NDArray[np.bool_]:
    if not len(flat.faces):
        return np.zeros(0, bool)
    return hidden_faces(flat, *lay_out(flat, 2 / texel), device=device)


def _hidden_in_map(flat: Flat, scale: float, device: torch.device) -> NDArray[np.bool_]:
    # Charts are put into the map by whole texels and turned by quarters: where the texels' centres
    # lie in a chart follows from the scale alone.
    bad = np.zeros(len(flat.faces), bool)
    for fine in (scale, 2 * scale):
        bad |= hidden_faces(flat, *lay_out(flat, fine), device=device)
    return bad


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
    a, b = np.ascontiguousarray(mesh.pairs.T)
    stays = (chart[a] == chart[b]) & (bad[a] == bad[b])
    # Of bad neighbours only those that face alike are worth keeping together.
    both = np.flatnonzero(stays & bad[a])
    alike = (mesh.normals[a[both]] * mesh.normals[b[both]]).sum(axis=1) > 0.5
    stays[both] = alike & (not alone)
    return pieces(len(chart), mesh.pairs[stays])[1]


def _project(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    mesh: Surface,
    chart: NDArray[np.int64],
    texel: float,
) -> Flat:
    owner, vertex, index = _corners(chart, faces, len(vertices))
    right, up, toward = _frames(chart_normals(mesh, chart))
    place = vertices[vertex]
    points = np.stack([(place * axis[owner]).sum(axis=1) for axis in (right, up)], axis=1)
    depth = (place * toward[owner]).sum(axis=1)[index].mean(axis=1)
    points = _unfold(points, index, mesh.areas)
    return _open_lone_faces(Flat(chart, points, index, owner, depth), texel)


def _corners(
    chart: NDArray[np.int64], faces: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each vertex once per chart it is in: its chart, itself, and which one each corner is."""
    vertex = faces.ravel().astype(np.int64)
    owner = np.repeat(chart, 3)
    # Most are in one chart alone, and need no sorting out.
    home = np.full(count, -1)
    home[vertex] = owner
    at_home = home[vertex] == owner
    usual = np.flatnonzero(home >= 0)
    rest, which = np.unique(owner[~at_home] * count + vertex[~at_home], return_inverse=True)
    key = np.concatenate([home[usual] * count + usual, rest])
    order = np.argsort(key)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    home[usual] = place[: len(usual)]
    index = home[vertex]
    index[~at_home] = place[len(usual) :][which]
    key = key[order]
    return key // count, key % count, index.reshape(-1, 3)


def _frames(normals: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    # Right-handed: right x up = normal. Start from the axis least along the normal.
    axis = np.eye(3)[np.abs(normals).argmin(axis=1)]
    right = np.cross(axis, normals)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return right, np.cross(normals, right), normals


def _double_areas(points: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    x, y = np.ascontiguousarray(points.T)
    a, b, c = np.ascontiguousarray(faces.T)
    xa, ya = x[a], y[a]
    areas: NDArray[np.float64] = (x[b] - xa) * (y[c] - ya) - (y[b] - ya) * (x[c] - xa)
    return areas


def _unfold(
    points: NDArray[np.float64], faces: NDArray[np.int64], areas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pull folded corners to the middle of their neighbours; borders stay.

    Tutte's argument: a patch whose inner points are means of their neighbours does not fold as
    long as its border is well shaped; here only the surroundings of a fold move.
    """
    bad = np.flatnonzero(_folded(points, faces, areas))
    if len(bad):
        points = points.copy()
    for _ in range(_UNFOLD_ROUNDS):
        if not len(bad):
            break
        moving = np.zeros(len(points), bool)
        moving[faces[bad]] = True
        moving[faces[moving[faces].any(axis=1)]] = True
        local = np.flatnonzero(moving[faces].any(axis=1))
        both, border = _links(faces[local], len(points))
        rows = np.flatnonzero(moving & ~border)
        nearby = both[rows]
        ring = np.maximum(nearby.sum(axis=1), 1).reshape(-1, 1)
        for _ in range(_UNFOLD_STEPS):
            points[rows] = np.asarray((nearby @ points) / np.asarray(ring))
        bad = local[_folded(points, faces[local], areas[local])]
    return points


def _links(faces: NDArray[np.int64], count: int) -> tuple[csr_matrix, NDArray[np.bool_]]:
    """Which points share an edge, and which are at an edge with a face on one side only."""
    start, stop = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    graph = csr_matrix((np.ones(len(start), np.int8), (start, stop)), shape=(count, count))
    both = graph + graph.T
    border = np.zeros(count, bool)
    lone = both.tocoo()
    border[lone.row[lone.data == 1]] = True
    both.data[:] = 1
    return both.astype(np.float64), border


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
    bad |= _with_any(flat.chart, bad) & (share <= 2 * _MIN_SHARE)
    return bad


def turned(flat: Flat) -> Flat:
    """Turn each chart to its smallest upright box, lying down, with the corner at the origin."""
    if not len(flat.points):
        return flat
    # What sticks out furthest lies on the outline, which is a small part of the points.
    rim = np.unique(outline(flat))
    first = _starts(flat.owner[rim])
    if len(first) < flat.count:
        rim = np.arange(len(flat.points))
        first = _starts(flat.owner)
    angle = _best_angles(flat.points[rim], first)
    lying = _rotated(flat.points, angle[flat.owner])
    low, _ = _box(lying, _starts(flat.owner))
    return replace(flat, points=lying - low[flat.owner])


def _best_angles(points: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    best = np.full(len(first), np.inf)
    angle = np.zeros(len(first))
    upright = np.zeros(len(first), bool)
    for candidate in _ANGLES:
        low, high = _box(_rotated(points, candidate), first)
        side = high - low
        cost = side[:, 0] * side[:, 1] + 1e-9 * side.sum(axis=1) ** 2
        better = cost < best * (1 - 1e-6)
        best[better], angle[better] = cost[better], candidate
        upright[better] = (side[:, 1] > side[:, 0])[better]
    return angle + np.where(upright, np.pi / 2, 0)


def outline(flat: Flat) -> NDArray[np.int64]:
    """Edges with a face on one side only (edge, 2), as indices into the points."""
    start, stop = flat.faces.ravel(), flat.faces[:, [1, 2, 0]].ravel()
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    key, count = np.unique(low * len(flat.points) + high, return_counts=True)
    key = key[count == 1]
    return np.stack([key // len(flat.points), key % len(flat.points)], axis=1)


def _starts(owner: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])


def _rotated(
    points: NDArray[np.float64], angle: NDArray[np.float64] | np.float64
) -> NDArray[np.float64]:
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
    thin = alone.copy()
    thin[alone] = _double_areas(flat.points, flat.faces[alone]) <= 1e-4 * texel**2
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
    low, high = _box(flat.points * scale, _starts(flat.owner))
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
    depth = torch.from_numpy(flat.depth).to(device)
    rank = torch.empty(len(depth), dtype=torch.int32, device=device)
    rank[depth.argsort(stable=True)] = torch.arange(len(depth), dtype=torch.int32, device=device)
    places = torch.from_numpy(np.ascontiguousarray(corners, np.float64)).to(device)
    hidden = hidden_triangles(places, rank, size)
    found: NDArray[np.bool_] = hidden.cpu().numpy()
    return found
