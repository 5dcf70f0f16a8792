# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The rims of holes as rings of vertices, and triangles that close them.

A ring of few vertices gets the triangulation of least area; a longer one is closed ear by ear,
the sharpest first.
Source: Barequet & Sharir, Filling Gaps in the Boundary of a Polyhedron, 1995 (least area).
"""

import numpy as np
from numpy.typing import NDArray

from photocast.geometry.topology import Topology

__all__ = ["fill_ring", "rim_rings"]

_EXACT = 48  # vertices up to which the least area is looked for: time goes with the cube


def rim_rings(topology: Topology) -> list[NDArray[np.int64]]:
    """Walk every rim.

    Returns:
        Half-edges (face * 3 + k) of each ring, in the order of the faces' own winding; a rim that
        passes a vertex twice is cut there into rings.
    """
    start, stop = topology.start[topology.rim], topology.stop[topology.rim]
    leaving: dict[int, list[int]] = {}
    for index, vertex in enumerate(start.tolist()):
        leaving.setdefault(vertex, []).append(index)
    rings: list[NDArray[np.int64]] = []
    used = np.zeros(len(start), bool)
    for first in range(len(start)):
        path: list[int] = []
        places: dict[int, int] = {}  # vertex to how far along the path it is left
        at = first
        while not used[at]:
            used[at] = True
            places[int(start[at])] = len(path)
            path.append(at)
            here = int(stop[at])
            if here in places:
                ring = path[places[here] :]
                rings.append(topology.rim[ring])
                del path[places[here] :]
                for index in ring:
                    places.pop(int(start[index]), None)
            onward = [index for index in leaving.get(here, []) if not used[index]]
            if not onward:
                break
            at = onward[0]
    return rings


def fill_ring(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Triangulate a ring.

    Args:
        points: Its vertices in order (n, 3), n at least 3.

    Returns:
        Indices into the ring (n - 2, 3), wound as the ring is.
    """
    if len(points) <= _EXACT:
        return _least_area(points)
    return _ears(points)


def _least_area(points: NDArray[np.float64]) -> NDArray[np.int64]:
    count = len(points)
    best = np.zeros((count, count))
    middle = np.zeros((count, count), np.int64)
    for width in range(2, count):
        for i in range(count - width):
            k = i + width
            between = np.arange(i + 1, k)
            cross = np.cross(points[between] - points[i], points[k] - points[i])
            area = np.linalg.norm(cross.reshape(-1, 3), axis=1) / 2
            cost = best[i, between] + best[between, k] + area
            choice = int(cost.argmin())
            best[i, k], middle[i, k] = cost[choice], between[choice]
    faces, open_spans = [], [(0, count - 1)]
    while open_spans:
        i, k = open_spans.pop()
        if k - i >= 2:
            j = int(middle[i, k])
            faces.append((i, j, k))
            open_spans += [(i, j), (j, k)]
    return np.array(faces, np.int64)


def _ears(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cut off the sharpest corner that no other vertex lies in, seen along the ring's axis."""
    flat = _seen_along_axis(points)
    ring = list(range(len(points)))
    faces = []
    while len(ring) > 3:
        now = points[ring]
        back, ahead = np.roll(now, 1, axis=0) - now, np.roll(now, -1, axis=0) - now
        lengths = np.linalg.norm(back, axis=1) * np.linalg.norm(ahead, axis=1)
        cosine = (back * ahead).sum(axis=1) / np.maximum(lengths, 1e-300)
        seen = flat[ring]
        one, two = seen - np.roll(seen, 1, axis=0), np.roll(seen, -1, axis=0) - seen
        dent = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] <= 0
        order = np.argsort(np.where(dent, 2, 0) - cosine, kind="stable")
        ears = (int(i) for i in order if not dent[i] and not _holds_another(seen, int(i)))
        choice = next(ears, int(order[0]))
        faces.append((ring[choice - 1], ring[choice], ring[(choice + 1) % len(ring)]))
        del ring[choice]
    return np.array([*faces, ring], np.int64)


def _seen_along_axis(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ring in the plane across its area vector, counter-clockwise on the whole (n, 2)."""
    middle = points - points.mean(axis=0)
    axis = np.cross(middle, np.roll(middle, -1, axis=0)).sum(axis=0)
    length = float(np.linalg.norm(axis))
    axis = axis / length if length > 0 else np.array([0.0, 0.0, 1.0])
    x = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    x /= np.linalg.norm(x)
    flat: NDArray[np.float64] = middle @ np.stack([x, np.cross(axis, x)], axis=1)
    return flat


def _holds_another(ring: NDArray[np.float64], corner: int) -> bool:
    """Whether a vertex lies in the triangle at a corner of a plane ring, or on its rim."""
    count = len(ring)
    own = [(corner - 1) % count, corner, (corner + 1) % count]
    a, b, c = ring[own]
    sides = [
        (q - p)[0] * (ring[:, 1] - p[1]) - (q - p)[1] * (ring[:, 0] - p[0])
        for p, q in ((a, b), (b, c), (c, a))
    ]
    inside = np.logical_and.reduce([side >= 0 for side in sides])
    inside[own] = False
    return bool(inside.any())
