# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels of a photo see one surface alone: the cut, its raster's edges, and slopes.

Places and normals are in the camera's frame.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Camera
from photocast.geometry.projection import clip_from_camera

__all__ = ["box_corners", "clip_from_world", "cosines", "cropped", "depth_jumps", "grown"]

_JUMP = 3.0
"""Depth steps above this many times what the slope explains are occlusion edges."""
_FLATTEST = 0.15


def box_corners(vertices: Tensor) -> NDArray[np.float64]:
    """The eight corners of the box around points of the world."""
    low, high = vertices.amin(0).tolist(), vertices.amax(0).tolist()
    return np.array(list(product(*zip(low, high, strict=True))))


def cropped(camera: Camera, points: NDArray[np.float64]) -> tuple[int, int, Camera]:
    """The part of the image that can show what lies between points of the world.

    Returns:
        Its left, its top and its camera; all of the image if a point lies behind the camera.
    """
    left, top, right, bottom = 0, 0, camera.width, camera.height
    pixels, depth = camera.project(points)
    if depth.min() > 0:
        (x0, y0), (x1, y1) = pixels.min(axis=0), pixels.max(axis=0)
        left = int(np.clip(np.floor(x0) - 2, 0, camera.width - 1))
        top = int(np.clip(np.floor(y0) - 2, 0, camera.height - 1))
        right = int(np.clip(np.ceil(x1) + 2, left + 1, camera.width))
        bottom = int(np.clip(np.ceil(y1) + 2, top + 1, camera.height))
    part = replace(
        camera,
        width=right - left,
        height=bottom - top,
        cx=camera.cx - left,
        cy=camera.cy - top,
    )
    return left, top, part


def clip_from_world(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Projection (4, 4) with planes just around points of the world, or just before the camera."""
    depth = points @ camera.camera_from_world[2, :3] + camera.camera_from_world[2, 3]
    span = max(float(np.linalg.norm(np.ptp(points, axis=0))), 1e-30)
    near = max(float(depth.min()) - 0.01 * span, 1e-3 * span)
    matrix = clip_from_camera(
        size=(camera.height, camera.width),
        focal=(camera.fx, camera.fy),
        principal=(camera.cx, camera.cy),
        near=near,
        far=max(float(depth.max()), near) + 0.01 * span,
    )
    projection: NDArray[np.float64] = matrix.numpy() @ camera.camera_from_world
    return projection


def cosines(seen: Tensor) -> Tensor:
    """Between the normal and the way to the camera; negative for backs.

    Args:
        seen: Way from the camera and normal, (..., 6).
    """
    place, normal = seen[..., :3], seen[..., 3:]
    scale = (place.square().sum(-1) * normal.square().sum(-1)).clamp(min=1e-30).sqrt()
    cosine: Tensor = -(place * normal).sum(-1) / scale
    return cosine


def depth_jumps(depth: Tensor, hit: Tensor, seen: Tensor, focal: Tensor | float) -> Tensor:
    """Pixels next to one whose depth the slope of the surface does not explain.

    Args:
        depth: Along the optical axis, (..., h, w).
        hit: Where there is a surface.
        seen: Way from the camera and normal, (..., h, w, 6).
        focal: Focal length [px].
    """
    far = _widest(torch.where(hit, depth, -torch.inf))
    near = -_widest(torch.where(hit, -depth, -torch.inf))
    cosine = cosines(seen).abs().clamp(_FLATTEST, 1)
    slope = (1 - cosine * cosine).sqrt() / cosine
    pixel = depth / focal
    return hit & (far - near > _JUMP * pixel * (1 + 2 * slope))


def _widest(image: Tensor) -> Tensor:
    """Greatest value in each 3x3 neighbourhood of the last two axes."""
    for axis in (-2, -1):
        size = image.shape[axis]
        if size > 1:
            wide = image.clone()
            low, high = image.narrow(axis, 0, size - 1), image.narrow(axis, 1, size - 1)
            wide.narrow(axis, 0, size - 1).copy_(
                torch.maximum(wide.narrow(axis, 0, size - 1), high)
            )
            wide.narrow(axis, 1, size - 1).copy_(torch.maximum(wide.narrow(axis, 1, size - 1), low))
            image = wide
    return image


def grown(mask: Tensor, reach: int) -> Tensor:
    """The mask and all pixels within ``reach`` of it (largest of both axes)."""
    wide = mask.to(torch.uint8)
    for _ in range(reach):
        wide = _widest(wide)
    return wide > 0
