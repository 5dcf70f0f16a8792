# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How well the outlines of a mesh and the masks of the photos overlap.

Each mask is cut to a square around the object and reduced, so that a batch of views is drawn at
once. Pixels beyond a photo's edge are unknown and do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Photo
from photocast.geometry.projection import clip_from_camera, transform_points
from photocast.ops.rasterize import rasterize

__all__ = ["Outlines", "outlines_of"]

_AROUND = 1.6
"""Side of a square in longest sides of the mask's box: room for a mesh that reaches further."""
_NEAR, _FAR = 0.01, 100.0  # in distances between camera and object
_AT_ONCE = 4_000_000  # vertices times views


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Masks as pictures of one size, with the projection into each."""

    inside: Bool[Tensor, "view size size"]
    known: Bool[Tensor, "view size size"]
    clip_from_world: Float32[Tensor, "view 4 4"]

    def __len__(self) -> int:
        return len(self.inside)

    def overlap(
        self, vertices: Float32[Tensor, "vert 3"], faces: Int32[Tensor, "face 3"]
    ) -> Float32[Tensor, " view"]:
        """Intersection over union of mask and outline, for each view."""
        size = int(self.inside.shape[1])
        found = []
        views = max(1, _AT_ONCE // max(len(vertices), 1))
        for first in range(0, len(self), views):
            part = slice(first, first + views)
            clip = transform_points(self.clip_from_world[part], vertices).contiguous()
            drawn = rasterize(clip, faces, (size, size), slopes=False).face >= 0
            drawn &= self.known[part]
            both = (drawn & self.inside[part]).flatten(1).sum(1)
            either = (drawn | self.inside[part]).flatten(1).sum(1)
            found.append(both / either.clamp(min=1))
        return torch.cat(found)


def outlines_of(
    photos: Sequence[Photo],
    box: NDArray[np.floating],
    *,
    views: int,
    size: int,
    device: torch.device,
) -> Outlines:
    """Cut and reduce the masks of some photos.

    Args:
        photos: Those without a mask, or with an empty one, are left out.
        box: Where the object is, (2, 3), for the range of depths.
        views: How many to use, at most, evenly chosen.
        size: Side of the pictures [px].
        device: Where to draw.
    """
    shown = [photo for photo in photos if photo.mask is not None and photo.mask.any()]
    chosen = np.unique(np.linspace(0, len(shown) - 1, min(views, len(shown))).round().astype(int))
    cuts = [_cut(shown[index], box.mean(axis=0), size) for index in chosen]
    inside, known, matrices = zip(*cuts, strict=True)
    return Outlines(
        inside=torch.from_numpy(np.stack(inside)).to(device),
        known=torch.from_numpy(np.stack(known)).to(device),
        clip_from_world=torch.tensor(np.stack(matrices), dtype=torch.float32, device=device),
    )


def _cut(
    photo: Photo, center: NDArray[np.floating], size: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
    mask, camera = photo.mask, photo.camera
    assert mask is not None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    low = np.array([columns[0], rows[0]])
    high = np.array([columns[-1], rows[-1]]) + 1
    side = _AROUND * float((high - low).max())
    scale = size / side
    corner = (low + high) / 2 - side / 2
    # Continuous pixels: x' = (x - corner) * scale; OpenCV's are half a pixel less.
    shift = (0.5 - corner) * scale - 0.5
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    small = cv2.warpAffine(_blurred(mask, scale), matrix, (size, size))
    whole = cv2.warpAffine(np.full_like(mask, 255), matrix, (size, size), flags=cv2.INTER_NEAREST)
    distance = max(float(camera.project(center[None])[1][0]), 1e-6)
    projection = clip_from_camera(
        size=(size, size),
        focal=(camera.fx * scale, camera.fy * scale),
        principal=((camera.cx - corner[0]) * scale, (camera.cy - corner[1]) * scale),
        near=distance * _NEAR,
        far=distance * _FAR,
    ).numpy()
    return small > 127, whole > 127, projection @ camera.camera_from_world


def _blurred(mask: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    side = int(1 / scale)  # pixels that become one
    if side < 2:
        return mask
    blurred: NDArray[np.uint8] = cv2.blur(mask, (side, side))
    return blurred
