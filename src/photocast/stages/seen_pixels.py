# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels of a photo see one surface alone: the cut, its raster's edges, and slopes.

Places and normals are in the camera's frame.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Camera
from photocast.geometry.projection import clip_from_camera, transform_points

__all__ = ["clip_space", "cosines", "cropped", "depth_jumps", "grown"]

_JUMP = 3.0
"""Depth steps above this many times what the slope explains are occlusion edges."""
_FLATTEST = 0.15


def cropped(camera: Camera, local: NDArray[np.float64]) -> tuple[int, int, Camera]:
    """The part of the image that can show the object: its left, its top and its camera."""
    left, top, right, bottom = 0, 0, camera.width, camera.height
    if local[:, 2].min() > 0:
        x = local[:, 0] / local[:, 2] * camera.fx + camera.cx
        y = local[:, 1] / local[:, 2] * camera.fy + camera.cy
        left = int(np.clip(np.floor(x.min()) - 2, 0, camera.width - 1))
        top = int(np.clip(np.floor(y.min()) - 2, 0, camera.height - 1))
        right = int(np.clip(np.ceil(x.max()) + 2, left + 1, camera.width))
        bottom = int(np.clip(np.ceil(y.max()) + 2, top + 1, camera.height))
    part = replace(
        camera,
        width=right - left,
        height=bottom - top,
        cx=camera.cx - left,
        cy=camera.cy - top,
    )
    return left, top, part


def clip_space(local: NDArray[np.float64], camera: Camera) -> Tensor:
    """Camera-space vertices (v, 3) as clip coordinates (1, v, 4), with planes just around them."""
    span = float(np.linalg.norm(np.ptp(local, axis=0))) or 1.0
    near = max(float(local[:, 2].min()) - 0.01 * span, 1e-3 * span)
    far = max(float(local[:, 2].max()), near) + 0.01 * span
    matrix = clip_from_camera(
        size=(camera.height, camera.width),
        focal=(camera.fx, camera.fy),
        principal=(camera.cx, camera.cy),
        near=near,
        far=far,
    )
    return transform_points(matrix[None], torch.from_numpy(local)).float()


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
