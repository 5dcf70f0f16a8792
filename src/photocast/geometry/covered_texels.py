# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which texel centres lie inside which UV triangles.

A centre on an edge shared by two triangles belongs to exactly one of them: left and lower edges
are inside, and an edge is always walked from its lower end, in whichever triangle it lies.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["covered_texels", "ranges", "texel_weights"]


def ranges(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Concatenate ``range(n)`` for each count.

    Returns:
        The owner and the position of every entry.
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def covered_texels(
    corners: NDArray[np.floating], size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List every texel centre inside every triangle.

    Args:
        corners: Triangles in texels (t, 3, 2); the first centre is (0.5, 0.5).
        size: Height and width of the map [px]; parts outside are left out.

    Returns:
        Flat texel indices (row-major) and their triangles, sorted by triangle.
    """
    height, width = size
    x, y = corners[..., 0].astype(np.float64) - 0.5, corners[..., 1].astype(np.float64) - 0.5
    first = np.clip(np.ceil(y.min(axis=1)), 0, height).astype(np.int64)
    last = np.clip(np.ceil(y.max(axis=1)), 0, height).astype(np.int64)
    triangle, step = ranges(last - first)
    row = step + first[triangle]
    left, right = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        flip = y[:, a] > y[:, b]
        x0, x1 = np.where(flip, x[:, b], x[:, a]), np.where(flip, x[:, a], x[:, b])
        y0, y1 = np.where(flip, y[:, b], y[:, a]), np.where(flip, y[:, a], y[:, b])
        rise = np.where(y1 > y0, y1 - y0, 1.0)
        bottom, top = np.ceil(y0)[triangle], np.ceil(y1)[triangle]
        at = x0[triangle] + (x1 - x0)[triangle] * ((row - y0[triangle]) / rise[triangle])
        crosses = (bottom <= row) & (row < top)
        left = np.where(crosses, np.minimum(left, at), left)
        right = np.where(crosses, np.maximum(right, at), right)
    begin = np.clip(np.ceil(left), 0, width)
    end = np.clip(np.ceil(right), begin, width)
    span, column = ranges((end - begin).astype(np.int64))
    return row[span] * width + column + begin.astype(np.int64)[span], triangle[span]


def texel_weights(
    corners: NDArray[np.float64], texel: NDArray[np.int64], width: int
) -> NDArray[np.float64]:
    """Barycentric coordinates of texel centres in their triangles (n, 3).

    Args:
        corners: Each texel's triangle, in texels (n, 3, 2).
        texel: Flat indices (n,), row-major.
        width: Of the map [px].
    """
    place = np.stack([texel % width, texel // width], axis=1).astype(np.float64) + 0.5
    a, b, c = (corners[:, i] for i in range(3))

    def double(
        p: NDArray[np.float64], q: NDArray[np.float64], r: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        area: NDArray[np.float64] = (q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0]
        return area

    parts = np.stack([double(place, b, c), double(a, place, c), double(a, b, place)], axis=1)
    bary: NDArray[np.float64] = parts / parts.sum(axis=1, keepdims=True)
    return bary
