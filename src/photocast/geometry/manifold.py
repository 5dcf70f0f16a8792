# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Connectivity of triangles: neighbours, parts, and taking apart what only touches.

Faces are int (f, 3), counter-clockwise seen from outside.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

__all__ = ["face_areas", "face_parts", "separate_touching", "split_fans"]


_NUDGE = 1e-3  # of the way to the middle of the faces around
_MAX_ROUNDS = 8


def face_areas(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """Area of each triangle, (f,)."""
    # One coordinate at a time, which numpy works through several times faster than (f, 3).
    a, b, c = (vertices.T.astype(np.float64)[:, faces[:, i]] for i in range(3))
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    areas: NDArray[np.float64] = 0.5 * np.sqrt(x * x + y * y + z * z)
    return areas


def face_parts(faces: NDArray[np.integer], vertex_count: int) -> NDArray[np.int32]:
    """Number of the connected part that each face belongs to, (f,)."""
    ends = faces[:, [0, 1, 0, 2]].reshape(-1, 2)
    graph = coo_matrix(
        (np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), (vertex_count, vertex_count)
    )
    _, labels = connected_components(graph, directed=False)
    parts: NDArray[np.int32] = labels[faces[:, 0]]
    return parts


def separate_touching(
    vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Give surfaces that only touch along an edge or at a vertex vertices of their own.

    An edge used by four faces is two sheets that touch. The faces around it are sorted by angle and
    paired so that each pair encloses solid, which keeps both sheets closed. Then every vertex is
    split into one copy per fan of faces around it; where the fans are one at both ends, each sheet
    gets a vertex of its own in the middle of the edge, which splits its two faces. Copies keep the
    same position but for a nudge into their own fan, 1e-3 of the way, so that welding by position
    does not join them again.

    Args:
        vertices: (v, 3).
        faces: (f, 3), closed: every directed edge is met by as many opposite ones.

    Returns:
        Vertices and faces, each edge of which is used by exactly two faces.
    """
    for _ in range(_MAX_ROUNDS):
        before = _crowded_edges(faces, len(vertices))
        vertices, faces, _ = split_fans(vertices, faces)
        # Splitting fans takes apart what touches, and never lets edges meet.
        crowded = _crowded_edges(faces, len(vertices)) if before else []
        if not crowded:
            break
        vertices, faces = _split_edges(vertices, faces, crowded)
    return vertices, faces


def split_fans(
    vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Give every fan of faces around a vertex a vertex of its own; see :func:`separate_touching`.

    Returns:
        Vertices, the same faces, and which vertex each is a copy of.
    """
    links = _edge_partners(vertices.astype(np.float64), faces)
    # corners of the same vertex are one fan if their faces are partners across an edge there
    corner_count = faces.size
    graph = coo_matrix(
        (np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), (corner_count, corner_count)
    )
    count, fan = connected_components(graph, directed=False)
    source = np.zeros(count, faces.dtype)
    source[fan] = faces.reshape(-1)  # all corners of a fan are at one vertex
    moved = vertices[source].copy()
    copies = np.bincount(source, minlength=len(vertices))[source]
    new_faces = fan.reshape(-1, 3).astype(np.int32)
    shared = np.flatnonzero(copies > 1)
    if len(shared):
        number = np.full(count, -1)
        number[shared] = np.arange(len(shared))
        corner = np.flatnonzero(number[fan] >= 0)
        centers, fan = vertices[faces[corner // 3]].mean(axis=1), number[fan[corner]]
        total = np.stack([np.bincount(fan, part, len(shared)) for part in centers.T], axis=1)
        middle = total / np.bincount(fan, minlength=len(shared))[:, None]
        moved[shared] += (_NUDGE * (middle - moved[shared])).astype(np.float32)
    return moved, new_faces, source


def _split_edges(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], crowded: list[NDArray[np.int64]]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Put a vertex into the middle of crowded edges, one for each pair of faces there."""
    flat, busy = faces.reshape(-1), np.zeros(len(faces), bool)
    points: list[NDArray[np.floating]] = []
    added: list[list[int]] = []
    removed: list[int] = []
    for halves in crowded:
        if busy[halves // 3].any():
            continue  # its faces have just been split; next round
        busy[halves // 3] = True
        for pair in _paired_around(vertices.astype(np.float64), faces, halves):
            middle = len(vertices) + len(points)
            u, v = flat[pair], flat[_next_corner(pair)]
            w = flat[_next_corner(_next_corner(pair))]
            center = (vertices[u[0]] + vertices[v[0]]) / 2
            points.append(center + _NUDGE * (vertices[w].mean(axis=0) - center))
            removed.extend(pair // 3)
            for k in range(2):
                added += [[u[k], middle, w[k]], [middle, v[k], w[k]]]
    kept = np.delete(faces, removed, axis=0)
    return (
        np.concatenate([vertices, np.array(points, np.float32)]),
        np.concatenate([kept, np.array(added, np.int32)]),
    )


def _crowded_edges(faces: NDArray[np.int32], vertex_count: int) -> list[NDArray[np.int64]]:
    """Half-edges (face * 3 + k) of each edge that more than two faces use."""
    order, first, count = _half_edges(faces, vertex_count)
    many = count > 2
    return [order[i : i + n] for i, n in zip(first[many], count[many], strict=True)]


def _half_edges(
    faces: NDArray[np.int32], vertex_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Half-edges sorted by edge, where each edge starts among them, and how many it has."""
    start = faces.reshape(-1).astype(np.int64)
    end = faces[:, [1, 2, 0]].reshape(-1).astype(np.int64)
    key = np.maximum(start, end) * (vertex_count + 1) + np.minimum(start, end)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]][: len(key)])
    return order, first, np.diff(np.r_[first, len(key)])


def _edge_partners(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> NDArray[np.int64]:
    """Pairs of corners (face * 3 + k) at the same vertex of two faces joined across an edge."""
    start = faces.reshape(-1).astype(np.int64)
    order, first, count = _half_edges(faces, len(vertices))
    plain = first[count == 2]
    pairs = [np.stack([order[plain], order[plain + 1]], axis=1)]
    pairs += [
        _paired_around(vertices, faces, order[i : i + n])
        for i, n in zip(first[count > 2], count[count > 2], strict=True)
    ]
    half = np.concatenate(pairs)
    a, b = half[:, 0], half[:, 1]
    same = start[a] == start[b]  # else the faces run along the edge in opposite directions
    a_next, b_next = _next_corner(a), _next_corner(b)
    return np.concatenate(
        [
            np.stack([a, np.where(same, b, b_next)], axis=1),
            np.stack([a_next, np.where(same, b_next, b)], axis=1),
        ]
    )


def _next_corner(corner: NDArray[np.int64]) -> NDArray[np.int64]:
    return corner - corner % 3 + (corner % 3 + 1) % 3


def _paired_around(
    vertices: NDArray[np.float64], faces: NDArray[np.int32], halves: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pair the half-edges of one crowded edge so that each pair bounds one wedge of solid."""
    flat = faces.reshape(-1)
    ends = flat[halves], flat[_next_corner(halves)]
    origin, target = int(min(ends[0][0], ends[1][0])), int(max(ends[0][0], ends[1][0]))
    axis = vertices[target] - vertices[origin]
    axis /= max(float(np.linalg.norm(axis)), 1e-30)
    side = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    side /= max(float(np.linalg.norm(side)), 1e-30)
    apex = vertices[flat[_next_corner(_next_corner(halves))]] - vertices[origin]
    angle = np.arctan2(apex @ np.cross(axis, side), apex @ side)
    turn = np.argsort(angle, kind="stable")
    forward = (ends[0] == origin)[turn]
    halves = halves[turn]
    # Counter-clockwise about the axis, a face that runs backward is left by entering solid, and
    # the next forward face is where the solid ends.
    used = np.zeros(len(halves), bool)
    pairs = []
    for i in np.flatnonzero(forward):
        for step in range(1, len(halves)):
            j = (i - step) % len(halves)
            if not used[j] and not forward[j]:
                used[j] = used[i] = True
                pairs.append((halves[j], halves[i]))
                break
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
