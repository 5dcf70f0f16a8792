# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras on a circle around an object."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera

__all__ = ["close_up_camera", "orbit_camera"]

_MARGIN = 1.04
"""Free space around the object's sphere."""


def orbit_camera(
    vertices: NDArray[np.floating[Any]],
    up: NDArray[np.floating[Any]],
    *,
    azimuth_deg: float = 0.0,
    elevation_deg: float = 15.0,
    size: tuple[int, int] = (512, 512),
    fov_deg: float = 30.0,
) -> Camera:
    """Look at the middle of an object from a distance at which it fits at every azimuth.

    Args:
        vertices: The object, (v, 3).
        up: The world's up direction.
        azimuth_deg: Around ``up``, counter-clockwise seen from above; 0 is +Z for +Y up and
            -Y for +Z up, the fronts that most tools use.
        elevation_deg: Above the horizon.
        size: Width and height of the image [px].
        fov_deg: Full angle over the shorter side.
    """
    vertical = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    front = np.array([0.0, 0.0, 1.0]) if abs(vertical[2]) < 0.9 else np.array([0.0, -1.0, 0.0])
    front = front - vertical * (front @ vertical)
    front /= np.linalg.norm(front)
    side = np.cross(vertical, front)
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    around = np.cos(azimuth) * front + np.sin(azimuth) * side
    outward = np.cos(elevation) * around + np.sin(elevation) * vertical
    center = (vertices.max(axis=0) + vertices.min(axis=0)).astype(np.float64) / 2
    radius = float(np.linalg.norm(vertices - center, axis=1).max()) or 1.0
    half = np.radians(fov_deg) / 2
    position = center + outward * radius * _MARGIN / np.sin(half)
    width, height = size
    focal = min(width, height) / 2 / np.tan(half)
    pose = _looking(position, -outward, vertical)
    return Camera(width, height, focal, focal, width / 2, height / 2, pose)


def close_up_camera(
    point: NDArray[np.floating[Any]],
    outward: NDArray[np.floating[Any]],
    radius: float,
    up: NDArray[np.floating[Any]],
    *,
    size: tuple[int, int] = (512, 512),
    fov_deg: float = 30.0,
) -> Camera:
    """Look at a place on an object, straight against its surface.

    Args:
        point: What is in the middle of the picture.
        outward: From there towards the camera, of any length.
        radius: Of the ball around the point that fits into the picture.
        up: The world's up direction.
        size: Width and height of the image [px].
        fov_deg: Full angle over the shorter side.
    """
    half = np.radians(fov_deg) / 2
    towards = np.asarray(outward, np.float64) / np.linalg.norm(outward)
    position = np.asarray(point, np.float64) + towards * radius / np.sin(half)
    width, height = size
    focal = min(width, height) / 2 / np.tan(half)
    pose = _looking(position, -towards, np.asarray(up, np.float64))
    return Camera(width, height, focal, focal, width / 2, height / 2, pose)


def _looking(
    position: NDArray[np.float64], forward: NDArray[np.float64], up: NDArray[np.float64]
) -> NDArray[np.float64]:
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-9:  # straight up or down: any right will do
        right = np.cross(forward, np.eye(3)[np.argmin(np.abs(forward))])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
    return pose
