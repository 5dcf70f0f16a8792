# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth normals of a triangle mesh."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["vertex_normals"]


def vertex_normals(
    vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Average the normals of the faces around each vertex, weighted by their area.

    Args:
        vertices: Positions, (v, 3).
        faces: Counter-clockwise from outside, (f, 3).

    Returns:
        Unit vectors (v, 3); a vertex without any area around it gets +Z.
    """
    corners = vertices[faces].astype(np.float64)
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(area_normals[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    flat = lengths[:, 0] < 1e-30
    normals = sums / np.where(flat[:, None], 1.0, lengths)
    normals[flat] = (0.0, 0.0, 1.0)
    return normals.astype(np.float32)
