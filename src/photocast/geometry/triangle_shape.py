# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How well shaped triangles are.

A triangle is degenerate if its area is below 1e-7 of its squared longest side: a sliver that no
normal can be read from. Scale does not matter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_ALTITUDE", "TriangleShape", "neighbour_area_ratio", "triangle_shape"]

MIN_ALTITUDE = 1e-7
"""A triangle is degenerate if its area is below this share of its squared longest side."""


@dataclass(frozen=True, slots=True, eq=False)
class TriangleShape:
    """Measures of each face (f,)."""

    area: NDArray[np.float64]
    """[unit²]."""
    signed_volume: NDArray[np.float64]
    """Of the tetrahedron between the face and the middle of the object [unit³]."""
    min_angle_deg: NDArray[np.float32]
    """0 for a degenerate face, 60 at best."""
    max_angle_deg: NDArray[np.float32]
    aspect: NDArray[np.float32]
    """Longest side times perimeter over 4√3 times the area: 1 for equal sides, else larger."""
    degenerate: NDArray[np.bool_]
    shortest: NDArray[np.float64]
    """Shortest side [unit]."""
    longest: NDArray[np.float64]
    """Longest side [unit]."""


def triangle_shape(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> TriangleShape:
    """Measure every face.

    Args:
        vertices: (v, 3).
        faces: (f, 3).
    """
    points = vertices.astype(np.float64)
    if len(points):
        points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    a, b, c = (points[faces[:, i]] for i in range(3))
    normal = _cross(b - a, c - a)
    area = np.sqrt(np.einsum("fi,fi->f", normal, normal)) / 2
    squares = np.stack([_square(c - b), _square(a - c), _square(b - a)])  # across from a, b, c
    longest, shortest = squares.max(axis=0), squares.min(axis=0)
    sides = np.sqrt(squares)
    degenerate = ~(area > MIN_ALTITUDE * longest)
    # tan of an angle: twice the area over the dot product of the sides at it (cosine rule)
    dots = (squares.sum(axis=0) - 2 * squares) / 2
    angles = np.degrees(np.arctan2(2 * area, dots))
    aspect = np.full(len(area), np.inf)
    around = np.sqrt(longest) * sides.sum(axis=0)
    np.divide(around, 4 * np.sqrt(3) * area, out=aspect, where=~degenerate)
    return TriangleShape(
        area=area,
        signed_volume=np.einsum("fi,fi->f", a, normal) / 6,
        min_angle_deg=np.where(degenerate, 0, angles.min(axis=0)).astype(np.float32),
        max_angle_deg=np.where(degenerate, 180, angles.max(axis=0)).astype(np.float32),
        aspect=aspect.astype(np.float32),
        degenerate=degenerate,
        shortest=np.sqrt(shortest),
        longest=np.sqrt(longest),
    )


def neighbour_area_ratio(
    area: NDArray[np.float64], pairs: NDArray[np.int64]
) -> NDArray[np.float32]:
    """How much larger or smaller the most different neighbour of each face is, at least 1.

    Args:
        area: Of each face (f,).
        pairs: Faces side by side (n, 2).
    """
    floor = max(float(area.max(initial=0)) * 1e-12, 1e-300)
    logs = np.log(np.maximum(area, floor))
    steps = np.abs(logs[pairs[:, 0]] - logs[pairs[:, 1]])
    most = np.zeros(len(area))
    np.maximum.at(most, pairs[:, 0], steps)
    np.maximum.at(most, pairs[:, 1], steps)
    return np.exp(most).astype(np.float32)


def _cross(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    # Written out: several times faster than numpy's for many rows.
    made = np.empty_like(u)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        made[:, i] = u[:, j] * v[:, k] - u[:, k] * v[:, j]
    return made


def _square(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("fi,fi->f", vectors, vectors)
    return squares
