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
from photocast.geometry.projection import clip_from_camera, transform_points

__all__ = ["box_corners", "clip_space", "cosines", "cropped", "depth_jumps", "grown"]

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


def clip_space(local: Tensor, camera: Camera) -> Tensor:
    """Camera-space vertices (v, 3) as clip coordinates (1, v, 4), with planes just around them."""
    low, high = (local[:, 2].amin().item(), local[:, 2].amax().item())
    span = max(float((local.amax(0) - local.amin(0)).norm()), 1e-30)
    near = max(low - 0.01 * span, 1e-3 * span)
    matrix = clip_from_camera(
        size=(camera.height, camera.width),
        focal=(camera.fx, camera.fy),
        principal=(camera.cx, camera.cy),
        near=near,
        far=max(high, near) + 0.01 * span,
    )
    return transform_points(matrix[None].to(local.device), local).float()


def cosines(seen: Tensor) -> Tensor:
    """Between normal and way to the camera; negative for backs. ``seen`` is place and normal."""
    place, normal = seen[..., :3], seen[..., 3:]
    scale = (place.square().sum(-1) * normal.square().sum(-1)).clamp(min=1e-30).sqrt()
    cosine: Tensor = -(place * normal).sum(-1) / scale
    return cosine


def depth_jumps(depth: Tensor, hit: Tensor, seen: Tensor, camera: Camera) -> Tensor:
    """Pixels next to one whose depth the slope of the surface does not explain."""
    far = _widest(torch.where(hit, depth, -torch.inf))
    near = -_widest(torch.where(hit, -depth, -torch.inf))
    cosine = cosines(seen).abs().clamp(_FLATTEST, 1)
    slope = (1 - cosine * cosine).sqrt() / cosine
    pixel = depth / min(camera.fx, camera.fy)
    return hit & (far - near > _JUMP * pixel * (1 + 2 * slope))


def _widest(image: Tensor) -> Tensor:
    """Greatest value in each 3x3 neighbourhood."""
    for axis in (0, 1):
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
