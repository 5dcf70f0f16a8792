# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which photo pixels say something about which place of the surface.

A pixel counts if it lies well inside the object, sees one surface only and not too flatly; what
mixes foreground and background is left out rather than painted on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from photocast.config import AppearanceConfig
from photocast.data import Camera, Photo
from photocast.geometry.projection import transform_points
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize
from photocast.ops.shade import Layout, Points, footprint
from photocast.progress import Progress
from photocast.stages.seen_pixels import (
    box_corners,
    clip_from_world,
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
_TOGETHER = 1 << 22
"""Pixels drawn at a time; each takes about 200 bytes."""


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
        progress: Called every few photos.
    """
    step, corners = _thinning(photos, config.max_samples), box_corners(surface[0])
    cuts = [_Cut(i, photo, *cropped(photo.camera, corners)) for i, photo in enumerate(photos)]
    parts = []
    for group in _groups(cuts):
        parts.append(_samples_of(surface, _Batch(group, corners), config, step))
        progress("samples", group[-1].number + 1, len(photos))
    return Samples(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Samples)))


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """The part of a photo that can show the object."""

    number: int
    photo: Photo
    left: int
    top: int
    camera: Camera


def _groups(cuts: Sequence[_Cut]) -> Iterator[list[_Cut]]:
    """Neighbours that are drawn together, as many as fit."""
    group: list[_Cut] = []
    for cut in cuts:
        height = max(c.camera.height for c in (*group, cut))
        width = max(c.camera.width for c in (*group, cut))
        if group and (len(group) + 1) * height * width > _TOGETHER:
            yield group
            group = []
        group.append(cut)
    if group:
        yield group


class _Batch:
    """Cuts of one size, filled up to the right and below with what nobody knows."""

    def __init__(self, cuts: Sequence[_Cut], corners: NDArray[np.float64]) -> None:
        self.size = (max(c.camera.height for c in cuts), max(c.camera.width for c in cuts))
        self.numbers = np.array([cut.number for cut in cuts], np.int32)
        self.rgba = np.zeros((len(cuts), *self.size, 4), np.uint8)
        for rgba, cut in zip(self.rgba, cuts, strict=True):
            height, width = cut.camera.height, cut.camera.width
            part = slice(cut.top, cut.top + height), slice(cut.left, cut.left + width)
            rgba[:height, :width, :3] = cut.photo.rgb[part]
            rgba[:height, :width, 3] = 255 if cut.photo.mask is None else cut.photo.mask[part]
        cameras = [replace(c.camera, height=self.size[0], width=self.size[1]) for c in cuts]
        self.clip_from_world = np.stack([clip_from_world(c, corners) for c in cameras])
        self.centers = np.stack([camera.center for camera in cameras])
        self.forward = np.stack([camera.camera_from_world[2, :3] for camera in cameras])
        self.focal = np.array([min(camera.fx, camera.fy) for camera in cameras])
        self.middle = np.array([[camera.cx, camera.cy] for camera in cameras])
        sizes = [(c.photo.camera.width, c.photo.camera.height) for c in cuts]
        self.corner = np.array([0.25 * (w * w + h * h) for w, h in sizes])
        """Squared distance of the photo's corner from its middle."""


def _thinning(photos: Sequence[Photo], most: int) -> int:
    # Count object pixels; without masks, all. Keep every step-th.
    total = sum(
        photo.rgb[..., 0].size if photo.mask is None else int((photo.mask > 127).sum())
        for photo in photos
    )
    return max(1, -(-total // most))


def _samples_of(
    surface: tuple[Tensor, Tensor, Layout], batch: _Batch, config: AppearanceConfig, step: int
) -> Samples:
    vertices, normals, layout = surface
    device = vertices.device

    def put(array: NDArray[np.generic]) -> Tensor:
        plain = array.astype(np.float32) if array.dtype == np.float64 else array
        return torch.from_numpy(plain).to(device)

    matrices = torch.from_numpy(batch.clip_from_world).to(device)
    raster = rasterize(
        transform_points(matrices, vertices.double()).float(), layout.faces, batch.size
    )
    # Relative to the object: far from the origin, float32 would be too coarse between vertices.
    middle = vertices.double().mean(0)
    local = (vertices.double() - middle).float()
    seen = interpolate(torch.cat([local, normals], 1), raster, layout.faces)
    centers = (torch.from_numpy(batch.centers).to(device) - middle).float()
    seen[..., :3] -= centers[:, None, None]
    depth = (seen[..., :3] * put(batch.forward)[:, None, None]).sum(-1)
    hit, rgba, cosine = raster.face >= 0, put(batch.rgba), cosines(seen)
    outside = ~hit | (rgba[..., 3] < _INSIDE)
    # Next to an edge photos mix two things. Thin parts are all edge, so such pixels count a little.
    jumps = depth_jumps(depth, hit, seen, put(batch.focal)[:, None, None])
    mixed = grown(outside | jumps, config.edge).flatten()
    height, width = batch.size
    index = torch.nonzero((~outside & (cosine > config.min_cosine)).flatten())[::step, 0]
    view, cosine = index // (height * width), cosine.flatten()[index]
    face = raster.face.flatten()[index]
    pixel = torch.stack([index % width, index // width % height], 1) + 0.5
    radius2 = (pixel - put(batch.middle)[view]).square().sum(1) / put(batch.corner)[view]
    return Samples(
        *_filled(
            face,
            raster.bary.flatten(0, 2)[index],
            footprint(raster.bary_da.flatten(0, 2)[index], face, layout),
            -torch.nn.functional.normalize(seen.flatten(0, 2)[index, :3], dim=1),
            rgba.flatten(0, 2)[index, :3],
            cosine.pow(config.cosine_power) * torch.where(mixed[index], config.edge_weight, 1.0),
            put(batch.numbers)[view],
            radius2,
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
