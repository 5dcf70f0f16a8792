# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which closed shells lie inside which, and whether each faces the right way.

The outermost shell of a solid encloses it, seen from outside: its signed volume is positive. A
shell inside an odd number of others bounds a hollow: its signed volume is negative.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_SHELLS", "shell_depths"]

MOST_SHELLS = 64
"""Only so many shells, the largest, are looked at."""

_WAY = np.array([0.5257311121191336, 0.8506508083520399, 0.0131415926535898])  # along no grid
_WAY = _WAY / np.linalg.norm(_WAY)


def shell_depths(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], part: NDArray[np.int64]
) -> dict[int, int]:
    """Count, for the largest shells, the other ones around a point of each.

    Args:
        vertices: (v, 3).
        faces: (f, 3); each part closed.
        part: Of each face (f,).

    Returns:
        Depth by part; 0 is outermost.
    """
    sizes = np.bincount(part)
    chosen = np.argsort(-sizes, kind="stable")[:MOST_SHELLS].tolist()
    points = vertices.astype(np.float64)
    order = np.argsort(part, kind="stable")
    ends = np.r_[0, np.cumsum(sizes)]
    shells = {p: points[faces[order[ends[p] : ends[p + 1]]]] for p in chosen}  # face 3 3
    boxes = {p: (s.min(axis=(0, 1)), s.max(axis=(0, 1))) for p, s in shells.items()}
    depths = {}
    for p in chosen:
        start = shells[p][0].mean(axis=0)
        around = [
            q
            for q in chosen
            if q != p and (boxes[q][0] <= start).all() and (start <= boxes[q][1]).all()
        ]
        depths[p] = sum(_crossings(shells[q], start) % 2 for q in around)
    return depths


def _crossings(corners: NDArray[np.float64], start: NDArray[np.float64]) -> int:
    """How many triangles (f, 3, 3) a ray meets (Möller and Trumbore, 1997)."""
    a = corners[:, 0]
    u, v = corners[:, 1] - a, corners[:, 2] - a
    p = np.cross(_WAY, v)
    det = np.einsum("fi,fi->f", u, p)
    inverse = 1 / np.where(det == 0, 1.0, det)
    to = start - a
    s = np.einsum("fi,fi->f", to, p) * inverse
    q = np.cross(to, u)
    t = q @ _WAY * inverse
    far = np.einsum("fi,fi->f", v, q) * inverse
    return int(((det != 0) & (s >= 0) & (t >= 0) & (s + t <= 1) & (far > 0)).sum())
