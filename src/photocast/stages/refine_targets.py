# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos cut to the object, all of one size, on the device: what refinement compares with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from photocast.config import REFINE_LONGEST
from photocast.data import Camera, Mesh, Photo
from photocast.geometry.projection import clip_from_camera

__all__ = ["Targets", "refine_targets"]

_MARGIN = 4


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """One cut per photo that shows the object."""

    clip_from_world: Float32[Tensor, "view 4 4"]
    center: Float32[Tensor, "view 3"]
    """Of the cameras, in the world."""
    rgba: UInt8[Tensor, "view h w 4"]
    """sRGB, straight, and coverage; smaller cuts are filled up to the right and below."""
    inside: Float32[Tensor, "view 2"]
    """Height and width of each cut; beyond it nothing is known."""
    photo: tuple[int, ...]
    """Number of each photo."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all cuts."""
        return int(self.rgba.shape[1]), int(self.rgba.shape[2])


def refine_targets(mesh: Mesh, photos: Sequence[Photo], device: torch.device) -> Targets | None:
    """Cut photos to where the mesh and its masks are; None if no photo shows the object."""
    cuts = [(i, c) for i, photo in enumerate(photos) if (c := _cut(photo, mesh)) is not None]
    if not cuts:
        return None
    height = max(rgba.shape[0] for _, (_, rgba, _) in cuts)
    width = max(rgba.shape[1] for _, (_, rgba, _) in cuts)
    stack = np.zeros((len(cuts), height, width, 4), np.uint8)
    matrices, centers, inside = [], [], []
    for slot, (_, (camera, rgba, depth)) in enumerate(cuts):
        h, w = rgba.shape[:2]
        stack[slot, :h, :w] = rgba
        inside.append([h, w])
        whole = replace(camera, width=width, height=height)
        matrices.append(_projection(whole, depth) @ camera.camera_from_world)
        centers.append(camera.center)
    return Targets(
        clip_from_world=torch.tensor(np.stack(matrices), dtype=torch.float32, device=device),
        center=torch.tensor(np.stack(centers), dtype=torch.float32, device=device),
        rgba=torch.from_numpy(stack).to(device),
        inside=torch.tensor(inside, dtype=torch.float32, device=device),
        photo=tuple(i for i, _ in cuts),
    )


def _projection(camera: Camera, depth: tuple[float, float]) -> NDArray[np.float64]:
    matrix: NDArray[np.float64] = clip_from_camera(
        size=(camera.height, camera.width),
        focal=(camera.fx, camera.fy),
        principal=(camera.cx, camera.cy),
        near=depth[0] * 0.5,
        far=depth[1] * 2,
    ).numpy()
    return matrix


def _cut(photo: Photo, mesh: Mesh) -> tuple[Camera, NDArray[np.uint8], tuple[float, float]] | None:
    camera = photo.camera
    mask = photo.mask if photo.mask is not None else np.full(photo.rgb.shape[:2], 255, np.uint8)
    pixels, depth = camera.project(mesh.vertices)
    if not (depth > 0).all():
        return None
    low = np.floor(pixels.min(axis=0)) - _MARGIN
    high = np.ceil(pixels.max(axis=0)) + _MARGIN
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows):
        low = np.minimum(low, [columns[0], rows[0]])
        high = np.maximum(high, [columns[-1] + 1, rows[-1] + 1])
    x0, y0 = np.maximum(low, 0).astype(int)
    x1, y1 = np.minimum(high, [camera.width, camera.height]).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    rgba = np.dstack([photo.rgb[y0:y1, x0:x1], mask[y0:y1, x0:x1]])
    cut = replace(camera, width=x1 - x0, height=y1 - y0, cx=camera.cx - x0, cy=camera.cy - y0)
    factor = min(1.0, REFINE_LONGEST / max(camera.width, camera.height))
    if factor < 1:
        size = (max(2, round(cut.width * factor)), max(2, round(cut.height * factor)))
        rgba, cut = _smaller(rgba, size), cut.resized(*size)
    return cut, rgba, (float(depth.min()), float(depth.max()))


def _smaller(rgba: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    weight = rgba[..., 3:].astype(np.float32)
    mixed = cv2.resize(rgba[..., :3] * weight, size, interpolation=cv2.INTER_AREA)
    coverage = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)[..., None]
    whole = np.concatenate([mixed / np.maximum(coverage, 1e-3), coverage], axis=2)
    small: NDArray[np.uint8] = whole.round().clip(0, 255).astype(np.uint8)
    return small
