# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Polygons of mixed size, cut into triangles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fan_corners"]


def fan_corners(counts: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Cut polygons into fans around their first corner.

    Args:
        counts: Corners of each polygon, (p,); fewer than three make no triangle.

    Returns:
        (f, 3), positions in the list of all corners, polygon after polygon.
    """
    counts = np.asarray(counts, dtype=np.int64)
    starts = np.cumsum(counts) - counts
    triangles = np.maximum(counts - 2, 0)
    start = np.repeat(starts, triangles)
    step = np.arange(len(start)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    return np.stack([start, start + step + 1, start + step + 2], axis=1)
