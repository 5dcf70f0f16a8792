# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which photo pixels say something about which place of the surface.

A pixel counts if it lies well inside the object, sees one surface only and not too flatly; what
mixes foreground and background is left out rather than painted on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8
from torch import Tensor

from photocast.config import AppearanceConfig
from photocast.data import Camera, Photo
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize
from photocast.ops.shade import Layout, Points, footprint
from photocast.progress import Progress
from photocast.stages.seen_pixels import (
    box_corners,
    clip_space,
    cosines,
    cropped,
    depth_jumps,
    grown,
)

__all__ = ["CHUNK", "Samples", "gather"]

CHUNK = 64
"""Samples that stay together when they are drawn at random: they lie side by side."""
_INSIDE = 250
"""Mask values from here on are wholly object."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Pixels of all photos; the number is a multiple of :data:`CHUNK`."""

    face: Int32[Tensor, " n"]
    """-1 for filling."""
    bary: Float32[Tensor, "n 2"]
    level: Float32[Tensor, " n"]
    view: Float32[Tensor, "n 3"]
    color: UInt8[Tensor, "n 3"]
    """What the photo shows, sRGB."""
    weight: Float32[Tensor, " n"]
    photo: Int32[Tensor, " n"]
    radius2: Float32[Tensor, " n"]
    """Squared distance from the principal point, 1 at the photo's corner."""

    def __len__(self) -> int:
        return len(self.face)

    def points(self) -> Points:
        """What the shading needs."""
        return Points(self.face, self.bary, self.level, self.view)

    def pick(self, chunks: Tensor) -> "Samples":
        """The samples of some chunks."""
        return Samples(
            *(
                getattr(self, f.name)
                .view(-1, CHUNK, *getattr(self, f.name).shape[1:])[chunks]
                .flatten(0, 1)
                for f in fields(self)
            )
        )


def gather(
    surface: tuple[Tensor, Tensor, Layout],
    photos: Sequence[Photo],
    config: AppearanceConfig,
    progress: Progress,
) -> Samples:
    """Look at every photo once.

    Args:
        surface: Vertices, unit normals per vertex, and the layout.
        photos: With their cameras.
        config: Which pixels to leave out.
        progress: Called per photo.
    """
    step, corners = _thinning(photos, config.max_samples), box_corners(surface[0])
    parts = []
    for index, photo in enumerate(photos):
        cut = cropped(photo.camera, corners)
        parts.append(_samples_of(surface, photo, cut, config, (index, step)))
        progress("samples", index + 1, len(photos))
    return Samples(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Samples)))


def _thinning(photos: Sequence[Photo], most: int) -> int:
    # Count object pixels; without masks, all. Keep every step-th.
    total = sum(
        photo.rgb[..., 0].size if photo.mask is None else int((photo.mask > 127).sum())
        for photo in photos
    )
    return max(1, -(-total // most))


def _samples_of(
    surface: tuple[Tensor, Tensor, Layout],
    photo: Photo,
    cut: tuple[int, int, Camera],
    config: AppearanceConfig,
    numbers: tuple[int, int],
) -> Samples:
    vertices, normals, layout = surface
    device = vertices.device
    left, top, camera = cut
    part = slice(top, top + camera.height), slice(left, left + camera.width)
    pose = torch.tensor(camera.camera_from_world, device=device)
    local = vertices.double() @ pose[:3, :3].T + pose[:3, 3]
    raster = rasterize(clip_space(local, camera), layout.faces, (camera.height, camera.width))
    turn = pose[:3, :3].T.float()
    seen = interpolate(torch.cat([local.float(), normals @ turn], 1), raster, layout.faces)[0]
    outside = raster.face[0] < 0
    if photo.mask is not None:
        mask = np.ascontiguousarray(photo.mask[part])
        outside |= torch.from_numpy(mask).to(device) < _INSIDE
    # Next to an edge photos mix two things. Thin parts are all edge, so such pixels count a little.
    jumps = depth_jumps(seen[..., 2], raster.face[0] >= 0, seen, camera)
    mixed = grown(outside | jumps, config.edge).flatten()
    index = torch.nonzero(~outside.flatten())[:, 0]
    cosine = cosines(seen.flatten(0, 1)[index])
    keep = cosine > config.min_cosine
    index, cosine = index[keep][:: numbers[1]], cosine[keep][:: numbers[1]]
    rgb = torch.from_numpy(np.ascontiguousarray(photo.rgb[part])).to(device).flatten(0, 1)
    face = raster.face[0].flatten()[index]
    place = seen.flatten(0, 1)[index, :3]
    middle = torch.tensor([camera.cx, camera.cy], device=device)
    pixel = torch.stack([index % camera.width, index // camera.width], 1) + 0.5 - middle
    corner = 0.25 * (photo.camera.width**2 + photo.camera.height**2)
    return Samples(
        *_filled(
            face,
            raster.bary[0].flatten(0, 1)[index],
            footprint(raster.bary_da[0].flatten(0, 1)[index], face, layout),
            -torch.nn.functional.normalize(place, dim=1) @ turn.T,
            rgb[index],
            cosine.pow(config.cosine_power) * torch.where(mixed[index], config.edge_weight, 1.0),
            torch.full_like(face, numbers[0]),
            pixel.square().sum(1) / corner,
        )
    )


def _filled(*columns: Tensor) -> list[Tensor]:
    # Up to a whole chunk with samples that see nothing.
    missing = -len(columns[0]) % CHUNK
    filling = [-1, *[0] * (len(columns) - 1)]
    return [
        torch.cat([c, c.new_full((missing, *c.shape[1:]), f)])
        for c, f in zip(columns, filling, strict=True)
    ]
