# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras spread evenly around an object, all looking at its middle.

World: +Z up. Camera: +X right, +Y down, +Z forward.
"""

import math

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera

__all__ = ["FIELD_OF_VIEW", "cameras_around", "looking_at"]

FIELD_OF_VIEW = math.radians(40)
_LOWEST, _HIGHEST = -0.55, 0.95  # sine of the elevation: some from below, none straight from above
_GOLDEN = (math.sqrt(5) - 1) / 2
_MARGIN = 1.02  # of the bounding sphere, so that nothing touches the border


def looking_at(eye: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pose ``camera_from_world`` (4, 4) of an upright camera; ``eye`` not straight above."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def cameras_around(
    center: NDArray[np.floating], radius: float, *, count: int, size: int, turn: float
) -> list[Camera]:
    """Place cameras on a Fibonacci spiral so that a sphere just fits each picture.

    Args:
        center: Of the sphere.
        radius: Of the sphere.
        count: Number of cameras.
        size: Picture width and height [px].
        turn: Where the spiral starts, in turns around +Z.
    """
    distance = _MARGIN * radius / math.sin(FIELD_OF_VIEW / 2)
    focal = size / 2 / math.tan(FIELD_OF_VIEW / 2)
    cameras = []
    for i in range(count):
        rise = _LOWEST + (_HIGHEST - _LOWEST) * (i + 0.5) / count
        angle = 2 * math.pi * (turn + i * _GOLDEN)
        flat = math.sqrt(1 - rise * rise)
        eye = center + distance * np.array([flat * math.cos(angle), flat * math.sin(angle), rise])
        pose = looking_at(eye, center)
        cameras.append(Camera(size, size, focal, focal, size / 2, size / 2, pose))
    return cameras
