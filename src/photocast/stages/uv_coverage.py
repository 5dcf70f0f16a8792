# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How often the charts of a UV map cover each texel."""

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh

__all__ = ["covered_more_than_once", "uv_coverage"]


def uv_coverage(mesh: Mesh, size: int = 1024) -> NDArray[np.int32]:
    """Count the UV triangles over every texel centre of a square map.

    Neighbouring triangles never both own a centre on their shared edge, so a count above one is
    an overlap. Exact up to the rounding of float64; parts outside 0..1 are not counted.

    Args:
        mesh: With UVs.
        size: Side of the map [px].

    Returns:
        Counts (size, size), row 0 at v = 0.
    """
    assert mesh.uvs is not None
    assert mesh.uv_faces is not None
    corners = mesh.uvs.astype(np.float64)[mesh.uv_faces] * size - 0.5  # centres become integers
    low, high = corners[..., 1].min(axis=1), corners[..., 1].max(axis=1)
    first = np.clip(np.ceil(low), 0, size).astype(np.int64)
    last = np.clip(np.ceil(high), 0, size).astype(np.int64)
    rows_each = last - first
    triangle = np.repeat(np.arange(len(corners)), rows_each)
    starts = np.repeat(np.cumsum(rows_each) - rows_each, rows_each)
    row = np.arange(len(triangle)) - starts + first[triangle]
    left, right = _spans(corners[triangle], row)
    begin = np.clip(np.ceil(left), 0, size).astype(np.int64)
    end = np.clip(np.ceil(right), 0, size).astype(np.int64)
    width = size + 1
    steps = np.bincount(row * width + begin, minlength=size * width)
    steps -= np.bincount(row * width + end, minlength=size * width)
    counts: NDArray[np.int32] = steps.reshape(size, width).cumsum(axis=1)[:, :size].astype(np.int32)
    return counts


def covered_more_than_once(mesh: Mesh, counts: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Find the faces whose middle lies on a texel that several cover.

    Args:
        mesh: With UVs.
        counts: As :func:`uv_coverage` gives them.

    Returns:
        (f,).
    """
    assert mesh.uvs is not None
    assert mesh.uv_faces is not None
    height, width = counts.shape
    middle = mesh.uvs[mesh.uv_faces].mean(axis=1)
    x, y = (np.floor(middle[:, i] * n).astype(np.int64) for i, n in ((0, width), (1, height)))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = np.zeros(len(middle), bool)
    found[inside] = counts[y[inside], x[inside]] > 1
    return found


def _spans(
    corners: NDArray[np.float64], row: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Two of the three edges cross a row that lies in the triangle's half-open range. Each edge is
    # walked from its lower end in every triangle that has it, so both get the same crossing.
    left = np.full(len(row), np.inf)
    right = np.full(len(row), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        start, stop = corners[:, a], corners[:, b]
        swap = (start[:, 1] > stop[:, 1])[:, None]
        start, stop = np.where(swap, stop, start), np.where(swap, start, stop)
        crosses = (np.ceil(start[:, 1]) <= row) & (row < np.ceil(stop[:, 1]))
        rise = np.where(crosses, stop[:, 1] - start[:, 1], 1.0)
        x = start[:, 0] + (stop[:, 0] - start[:, 0]) * ((row - start[:, 1]) / rise)
        left = np.where(crosses, np.minimum(left, x), left)
        right = np.where(crosses, np.maximum(right, x), right)
    return left, right
