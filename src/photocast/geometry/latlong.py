# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Directions on latitude-longitude maps, and maps turned or re-laid from one layout to another.

A layout says where the poles and the columns are, and whether rows are bands (the first row's
centre lies half a row below the pole) or lines (the first row is the pole itself). Columns are
always bands. Light is linear between the centres. Directions point towards the light.
docs/conventions.md derives the three layouts.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MITSUBA", "PHOTOCAST", "VIEWER", "LatLong", "directions", "look_up", "resampled"]

_BLOCK = 1 << 18  # texels looked up at once

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LatLong:
    """Where a map's rows and columns look."""

    pole: Vector
    """What the upper edge looks at."""
    start: Vector
    """What the left edge looks at, on the equator."""
    quarter: Vector
    """What lies a quarter of the width to the right of it."""
    rows_are_lines: bool = False
    """The first and last row are the poles themselves."""

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows: start, quarter, pole; an orthogonal matrix, mirrored for some layouts."""
        return np.array([self.start, self.quarter, self.pole])


PHOTOCAST = LatLong(pole=(0, 0, 1), start=(1, 0, 0), quarter=(0, 1, 0))
"""``Light.environment`` in memory, and the light of our samples."""

VIEWER = LatLong(pole=(0, 1, 0), start=(-1, 0, 0), quarter=(0, 0, -1))
"""As viewers of glTF place a panorama: +X in the middle, +Z to the right of it."""

MITSUBA = LatLong(pole=(0, 1, 0), start=(0, 0, -1), quarter=(1, 0, 0), rows_are_lines=True)
"""Mitsuba 3's ``envmap``."""


def directions(layout: LatLong, height: int, width: int) -> NDArray[np.float64]:
    """What the centre of each texel looks at: unit vectors (h, w, 3)."""
    rows = np.arange(height)
    polar = rows / (height - 1) if layout.rows_are_lines else (rows + 0.5) / height
    polar, turn = polar * math.pi, (np.arange(width) + 0.5) / width * (2 * math.pi)
    local = np.stack(
        [
            np.outer(np.sin(polar), np.cos(turn)),
            np.outer(np.sin(polar), np.sin(turn)),
            np.outer(np.cos(polar), np.ones(width)),
        ],
        axis=-1,
    )
    found: NDArray[np.float64] = local @ layout.axes
    return found


def look_up(
    environment: NDArray[np.floating[Any]], layout: LatLong, toward: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Read a map, linear between texel centres, also across the seam and over the poles.

    Args:
        environment: (h, w, c).
        layout: Of the map.
        toward: Unit vectors (..., 3).

    Returns:
        (..., c).
    """
    height, width = environment.shape[:2]
    local = toward.astype(np.float64) @ layout.axes.T
    polar = np.arctan2(np.hypot(local[..., 0], local[..., 1]), local[..., 2]) / math.pi
    turn = np.arctan2(local[..., 1], local[..., 0]) / (2 * math.pi)
    row = polar * (height - 1) if layout.rows_are_lines else polar * height - 0.5
    # One row and column more on each side: a band beyond a pole is the one opposite.
    rim = environment[[0, -1]]
    beyond = rim if width % 2 else np.roll(rim, width // 2, axis=1)
    padded = np.concatenate([beyond[:1], environment, beyond[1:]]).astype(np.float64)
    padded = np.concatenate([padded[:, -1:], padded, padded[:, :1]], axis=1)
    return _bilinear(padded, row + 1, np.mod(turn, 1.0) * width + 0.5)


def resampled(
    environment: NDArray[np.float32],
    source: LatLong,
    target: LatLong,
    *,
    target_from_source: NDArray[np.floating[Any]] | None = None,
    refinement: int = 2,
) -> NDArray[np.float32]:
    """Lay a map out anew, turned if need be.

    A map whose texels only change places keeps its size and its numbers, exactly but for rounding.
    Any other is looked up between its texels, with finer ones so that this blurs little.

    Args:
        environment: (h, w, c).
        source: Layout of the map.
        target: Layout that is wanted.
        target_from_source: Rotation (3, 3) of the light from the source's frame into the
            target's; none if absent.
        refinement: How many new texels there are for each old one, along each axis, where texels
            cannot just change places.

    Returns:
        (h, w, c), each times ``refinement`` where texels could not just change places.
    """
    height, width = environment.shape[:2]
    turned = np.eye(3) if target_from_source is None else np.asarray(target_from_source)
    scale = 1 if _only_moves_texels(source, target, turned, width) else refinement
    toward = directions(target, scale * height, scale * width) @ turned
    blocks = np.array_split(toward, max(toward[..., 0].size // _BLOCK, 1))  # to bound the memory
    return np.concatenate([look_up(environment, source, b).astype(np.float32) for b in blocks])


def _only_moves_texels(
    source: LatLong, target: LatLong, turned: NDArray[np.floating[Any]], width: int
) -> bool:
    if source.rows_are_lines != target.rows_are_lines:
        return False
    between = target.axes @ turned @ source.axes.T  # from map axes to map axes
    if not np.allclose(np.abs(between[2]), (0, 0, 1), atol=1e-9):
        return False
    turns = math.atan2(between[1, 0], between[0, 0]) / (2 * math.pi) * width
    return abs(turns - round(turns)) < 1e-6


def _bilinear(
    image: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float64]:
    top = np.clip(np.floor(row).astype(np.intp), 0, image.shape[0] - 2)
    left = np.clip(np.floor(column).astype(np.intp), 0, image.shape[1] - 2)
    down, right = (row - top)[..., None], (column - left)[..., None]
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    found: NDArray[np.float64] = upper * (1 - down) + lower * down
    return found
