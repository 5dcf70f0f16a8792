# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a regular grid lies in the world.

Grid vertex (i, j, k) is the point (i, j, k) of the grid frame; lengths there are in voxels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["GridFrame"]


@dataclass(frozen=True, slots=True, eq=False)
class GridFrame:
    """Axis-aligned cubic cells in the capture's world."""

    origin: NDArray[np.float64]
    """World position of grid vertex (0, 0, 0)."""
    voxel: float
    """Side of a cell in world units."""
    size: tuple[int, int, int]
    """Vertices along x, y, z."""

    @classmethod
    def around(cls, box: NDArray[np.floating], resolution: int, margin: int = 3) -> "GridFrame":
        """Cover a box with ``resolution`` vertices along its longest side.

        Args:
            box: Smallest and largest corner (2, 3).
            resolution: Vertices along the longest side, margin included.
            margin: Cells kept free around the box.
        """
        low, high = np.asarray(box, dtype=np.float64)
        voxel = float((high - low).max()) / max(resolution - 1 - 2 * margin, 1)
        cells = np.maximum(np.ceil((high - low) / voxel).astype(int), 1) + 2 * margin
        origin = (low + high) / 2 - cells * voxel / 2
        x, y, z = (int(n) + 1 for n in cells)
        return cls(origin, voxel, (x, y, z))

    @property
    def refined(self) -> "GridFrame":
        """The same region with cells of half the side."""
        x, y, z = (2 * n - 1 for n in self.size)
        return GridFrame(self.origin, self.voxel / 2, (x, y, z))

    def to_world(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """World positions of points in the grid frame, (n, 3)."""
        return np.asarray(points, dtype=np.float64) * self.voxel + self.origin
