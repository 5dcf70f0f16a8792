# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Ways in which a mesh may have been turned, scaled and moved between two programs.

Axes are swapped or flipped between tools, and units are metres, centimetres or millimetres: that
makes 24 rotations and a few scales, about the origin or, for meshes that were centred, about the
middles of the two boxes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

__all__ = ["IDENTITY", "UNIT_SCALES", "Placement", "axis_rotations", "usual_placements"]

Array = NDArray[np.float64]

UNIT_SCALES = (1.0, 0.001, 0.01, 100.0, 1000.0)
"""Between metres, centimetres and millimetres."""
_NEARBY = 0.2
"""Least overlap of the two boxes, intersection over union."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A similarity: x becomes ``scale * rotation @ x + shift``."""

    rotation: Array
    """(3, 3)."""
    scale: float
    shift: Array
    """(3,)."""
    centered: bool = False
    """Whether the shift takes one box's middle onto the other's."""

    def __call__(self, points: NDArray[np.floating]) -> Array:
        """Move points (n, 3)."""
        moved: Array = self.scale * points.astype(np.float64) @ self.rotation.T + self.shift
        return moved

    def after(self, first: "Placement") -> "Placement":
        """This placement of what another one made."""
        return Placement(
            self.rotation @ first.rotation,
            self.scale * first.scale,
            self.scale * self.rotation @ first.shift + self.shift,
        )

    def words(self, more: str = "") -> str:
        """What it does, for a sentence; ``more`` is done, too."""
        parts = []
        if not np.allclose(self.rotation, np.eye(3)):
            parts.append(f"rotating by {_turn_words(self.rotation)}")
        if abs(self.scale - 1) > 1e-9:
            parts.append(f"scaling by {self.scale:.4g}")
        if self.centered:
            parts.append("centering it")
        if more:
            parts.append(more)
        if len(parts) < 2:
            return "".join(parts) or "leaving it as it is"
        return f"{', '.join(parts[:-1])} and {parts[-1]}"


IDENTITY = Placement(np.eye(3), 1.0, np.zeros(3))


def _turn_words(rotation: Array) -> str:
    vector = Rotation.from_matrix(rotation).as_rotvec(degrees=True)
    angle = float(np.linalg.norm(vector))
    axis = vector / angle
    if axis[np.flatnonzero(np.abs(axis) > 1e-6)[0]] < 0:
        axis, angle = -axis, -angle
    if angle <= -179.5:
        angle += 360
    single = np.flatnonzero(axis > 0.999)
    whole = tuple(round(float(part)) for part in axis / axis.max())
    return f"{angle:.0f} degrees about {'XYZ'[single[0]] if len(single) else whole}"


def axis_rotations() -> tuple[Array, ...]:
    """The 24 rotations that take axes to axes, from none to far."""
    found = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return tuple(sorted(found, key=lambda matrix: -float(np.trace(matrix))))


def usual_placements(bounds: Array, box: Array) -> Iterator[Placement]:
    """Placements worth a try, simple ones first.

    Args:
        bounds: Of the mesh, (2, 3).
        box: Where it should be, (2, 3).

    Yields:
        Those that bring the mesh somewhere near the box.
    """
    size = max(float(np.linalg.norm(bounds[1] - bounds[0])), 1e-12)
    scales = (*UNIT_SCALES, float(np.linalg.norm(box[1] - box[0])) / size)
    middle, goal = bounds.mean(axis=0), box.mean(axis=0)
    for centered, scale, rotation in product((False, True), scales, axis_rotations()):
        shift = goal - scale * rotation @ middle if centered else np.zeros(3)
        placement = Placement(rotation, scale, shift, centered)
        if _box_overlap(placement(bounds), box) > _NEARBY:
            yield placement


def _box_overlap(corners: Array, box: Array) -> float:
    low, high = corners.min(axis=0), corners.max(axis=0)
    both = np.prod(np.clip(np.minimum(high, box[1]) - np.maximum(low, box[0]), 0, None))
    either = np.prod(high - low) + np.prod(box[1] - box[0]) - both
    return float(both / max(either, 1e-300))
