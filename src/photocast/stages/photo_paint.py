# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours from photos onto a painted mesh, where the photos show it.

Each texel looks itself up in every photo: is it the nearest surface there, away from outlines, and
how squarely is it seen? What photos show is brought to one exposure, mixed by these weights, and
fades into the paint that was there where no photo looks. Colours are those of the photos, light
included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Camera, Mesh, Photo
from photocast.geometry.projection import transform_points
from photocast.geometry.srgb import linear_from_srgb
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize
from photocast.ops.shade import Layout
from photocast.progress import Progress
from photocast.stages.lit import layout_of
from photocast.stages.map_fill import Texels, fill_gaps, surface_texels
from photocast.stages.photo_gains import photo_gains
from photocast.stages.seen_pixels import box_corners, clip_from_world, cropped, depth_jumps

__all__ = ["photo_painted"]

_INSIDE = 250
"""Mask values from here on are wholly object."""
_FADE = 0.015  # of the object's side: from an outline on, a photo's say rises from 0 to 1
_ASKEW = (0.15, 0.45)  # cosines between which it rises, too
_SQUARELY = 6  # power of the cosine: of several photos the squarest counts most
_AT_ONCE = 1 << 20  # texels
_COMPARED = 1 << 15  # texels by which exposures are told
_FINER = 1.5  # photos finer than the map by more than this are reduced first


def photo_painted(
    mesh: Mesh,
    photos: Sequence[Photo],
    trust: Sequence[float],
    device: torch.device,
    progress: Progress,
) -> tuple[Mesh, float]:
    """Paint what photos show over the base colour.

    Args:
        mesh: With UVs and a square base colour map that covers all of it.
        photos: With masks, and with cameras in the mesh's frame.
        trust: How far to trust each camera, 0..1.
        device: Where to compute.
        progress: Called after each photo as ``paint``.

    Returns:
        The mesh with the new map, and the share of its texels that photos decide.
    """
    assert mesh.material.base_color is not None
    vertices, normals, layout = layout_of(mesh, device)
    size = mesh.material.base_color.shape[0]
    surface = _surface(vertices, normals, layout, surface_texels(layout, size))
    mixed = torch.zeros((len(surface.texels.index), 3), device=device)
    total = torch.zeros(len(mixed), device=device)
    share = torch.zeros(len(mixed), device=device)
    even = (-_gains(surface, photos)).exp()
    for number, (photo, sure) in enumerate(zip(photos, trust, strict=True)):
        for part, color, seen, weight in _shown(surface, photo):
            mixed[part] += color * even[number] * (weight * sure)[:, None]
            total[part] += weight * sure
            share[part] = torch.maximum(share[part], seen)
        progress("paint", number + 1, len(photos))
    flat = torch.from_numpy(mesh.material.base_color.copy()).to(device).view(-1, 3)
    index = surface.texels.index
    photographed = mixed / total.clamp(min=1e-12)[:, None]
    flat[index] = torch.lerp(flat[index], photographed, share[:, None])
    known = torch.zeros(size * size, dtype=torch.bool, device=device)
    known[index] = True
    image = fill_gaps(flat.view(size, size, 3), known.view(size, size)).clamp(0, 1)
    material = replace(mesh.material, base_color=image.cpu().numpy())
    return replace(mesh, material=material), float(share.mean())


class _Surface(NamedTuple):
    """A mesh and where its texels lie."""

    vertices: Float32[Tensor, "vert 3"]
    normals: Float32[Tensor, "vert 3"]
    layout: Layout
    texels: Texels
    side: float
    """Typical side of a texel on the surface."""

    def place(self, part: slice) -> tuple[Tensor, Tensor]:
        """Positions and unit normals of some texels."""
        vertex, bary = self.texels.vertex[part], self.texels.bary[part, :, None]
        normal = (self.normals[vertex] * bary).sum(1)
        return (self.vertices[vertex] * bary).sum(1), torch.nn.functional.normalize(normal, dim=1)


def _surface(vertices: Tensor, normals: Tensor, layout: Layout, texels: Texels) -> _Surface:
    a, b, c = vertices[layout.faces.long()].unbind(1)
    area = float(torch.linalg.cross(b - a, c - a).norm(dim=1).sum()) / 2
    side = (area / max(len(texels.index), 1)) ** 0.5
    return _Surface(vertices, normals, layout, texels, side)


def _gains(surface: _Surface, photos: Sequence[Photo]) -> Float32[Tensor, "view 3"]:
    """Exposures that differ, told by evenly chosen texels."""
    texels = surface.texels
    if not photos:
        return surface.vertices.new_zeros(0, 3)
    every = max(1, len(texels.index) // _COMPARED)
    few = Texels(texels.index[::every], texels.vertex[::every], texels.bary[::every])
    chosen = surface._replace(texels=few)
    colors, weights = [], []
    for photo in photos:
        _, color, _, weight = next(_shown(chosen, photo))
        colors.append(color)
        weights.append(weight)
    return photo_gains(torch.stack(colors), torch.stack(weights))


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A photo, and what of the mesh it sees."""

    camera: Camera
    layers: Float32[Tensor, "1 4 h w"]
    """Linear colour, and say of each pixel."""
    depth: Float32[Tensor, "h w"]


def _shown(surface: _Surface, photo: Photo) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """For parts of the texels: colour, how far the photo shows them, and its weight."""
    look = _look(surface, _fitting(photo, surface))
    pose = torch.tensor(look.camera.camera_from_world, dtype=torch.float32)
    pose = pose.to(surface.vertices.device)
    for first in range(0, len(surface.texels.index), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        points, normals = surface.place(part)
        local = points @ pose[:3, :3].T + pose[:3, 3]
        away = torch.nn.functional.normalize(local, dim=1)
        cosine = -((normals @ pose[:3, :3].T) * away).sum(1)
        color, say = _looked_up(look, local, cosine)
        low, high = _ASKEW
        seen = say * ((cosine - low) / (high - low)).clamp(0, 1)
        yield part, color, seen, seen * cosine.clamp(min=0) ** _SQUARELY


def _looked_up(look: _Look, local: Tensor, cosine: Tensor) -> tuple[Tensor, Tensor]:
    camera = look.camera
    depth = local[:, 2].clamp(min=1e-9)
    x = local[:, 0] / depth * camera.fx + camera.cx
    y = local[:, 1] / depth * camera.fy + camera.cy
    size = torch.tensor([camera.width, camera.height], device=local.device)
    at = 2 * torch.stack([x, y], 1) / size - 1
    found = torch.nn.functional.grid_sample(
        look.layers, at[None, None], mode="bilinear", align_corners=False
    )[0, :, 0].T
    column = x.floor().clamp(0, camera.width - 1).long()
    row = y.floor().clamp(0, camera.height - 1).long()
    slope = 1 / cosine.clamp(min=_ASKEW[0])
    span = depth / min(camera.fx, camera.fy) * (1 + 2 * slope)
    nearest = (local[:, 2] > 0) & ((depth - look.depth[row, column]).abs() < span)
    return found[:, :3], found[:, 3] * nearest


def _look(surface: _Surface, photo: Photo) -> _Look:
    corners = box_corners(surface.vertices)
    left, top, camera = cropped(photo.camera, corners)
    device = surface.vertices.device
    size = (camera.height, camera.width)
    clip = torch.from_numpy(clip_from_world(camera, corners)).to(device)[None]
    placed = transform_points(clip, surface.vertices.double()).float()
    raster = rasterize(placed, surface.layout.faces, size, slopes=False)
    pose = torch.tensor(camera.camera_from_world, dtype=torch.float32, device=device)
    local = surface.vertices @ pose[:3, :3].T + pose[:3, 3]
    both = torch.cat([local, surface.normals @ pose[:3, :3].T], 1)
    seen = interpolate(both, raster, surface.layout.faces)
    hit, depth = raster.face >= 0, seen[..., 2]
    jumps = depth_jumps(depth, hit, seen, min(camera.fx, camera.fy))
    part = slice(top, top + size[0]), slice(left, left + size[1])
    assert photo.mask is not None
    inside = (hit & ~jumps)[0].cpu().numpy() & (photo.mask[part] >= _INSIDE)
    say = torch.from_numpy(_rising(inside)).to(device)
    rgb = torch.from_numpy(np.ascontiguousarray(photo.rgb[part])).to(device).float() / 255
    layers = torch.cat([linear_from_srgb(rgb), say[..., None]], 2).permute(2, 0, 1)[None]
    return _Look(camera, layers, depth[0])


def _rising(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """0 outside, rising to 1 away from what is outside."""
    padded = np.pad(inside.astype(np.uint8), 1)  # beyond the picture nothing is known
    away = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    fade = max(2.0, _FADE * max(inside.shape))
    risen: NDArray[np.float32] = np.clip((away - 1) / fade, 0, 1).astype(np.float32)
    return risen


def _fitting(photo: Photo, surface: _Surface) -> Photo:
    """The photo, reduced if its pixels are much finer than the texels."""
    camera = photo.camera
    middle = surface.vertices.mean(0, keepdim=True).double().cpu().numpy()
    pixel = float(camera.project(middle)[1][0]) / camera.fx
    factor = surface.side / max(pixel, 1e-12)
    if factor < _FINER:
        return photo
    size = max(1, round(camera.width / factor)), max(1, round(camera.height / factor))
    assert photo.mask is not None
    rgb = cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(photo.mask, size, interpolation=cv2.INTER_AREA)
    return replace(photo, camera=camera.resized(*size), rgb=rgb, mask=mask)
