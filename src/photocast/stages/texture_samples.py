# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which photo pixels say something about which place of the texture.

A pixel counts if it lies well inside the object, sees one surface only and not too flatly; what
mixes foreground and background is left out rather than painted on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize, pad

from photocast.data import Camera, Mesh, Photo
from photocast.geometry.projection import clip_from_camera, transform_points
from photocast.geometry.vertex_normals import vertex_normals
from photocast.ops.interpolate import interpolate, interpolate_with_slopes
from photocast.ops.rasterize import rasterize

__all__ = ["Samples", "gather_samples", "stack_samples"]

ROW = 1024
"""Samples per row: the texture op takes a picture, and a list of pixels is one."""
_JUMP = 3.0
"""Depth steps above this many times what the slope explains are occlusion edges."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Pixels of one or several photos, in rows of :data:`ROW`; the last row is filled up."""

    uv: Tensor
    """(1, row, ROW, 2)."""
    uv_da: Tensor
    """(1, row, ROW, 2, 2), per pixel."""
    color: Tensor
    """(1, row, ROW, 3): what the photo shows, sRGB-encoded, 0..1."""
    weight: Tensor
    """(1, row, ROW, 1): trust; 0 for filling."""


def gather_samples(
    mesh: Mesh,
    photos: Sequence[Photo],
    *,
    min_cosine: float,
    edge: int,
    power: float,
    most: int,
    device: torch.device,
) -> Iterator[Samples]:
    """Look at every photo once.

    Args:
        mesh: With UVs.
        photos: With their cameras.
        min_cosine: Least cosine between the surface normal and the way to the camera.
        edge: Pixels to leave out along masks and occlusion edges.
        power: Trust is the cosine to this power.
        most: About how many samples to keep of all photos together.
        device: Where to draw.

    Yields:
        One set per photo.
    """
    scene = _Uploaded(mesh, device)
    step = _thinning(photos, most)
    for photo in photos:
        yield _samples_of(scene, photo, min_cosine, edge, power, step)


def stack_samples(parts: Sequence[Samples]) -> Samples:
    """Put sets of samples below each other."""
    return Samples(
        *(torch.cat([getattr(p, n) for p in parts], 1) for n in ("uv", "uv_da", "color", "weight"))
    )


class _Uploaded:
    """The mesh on its device."""

    def __init__(self, mesh: Mesh, device: torch.device) -> None:
        assert mesh.uvs is not None
        assert mesh.uv_faces is not None
        self.device = device
        self.vertices = mesh.vertices.astype(np.float64)
        self.faces = torch.from_numpy(mesh.faces.copy()).to(device)
        self.uvs = torch.from_numpy(mesh.uvs.copy()).to(device)
        self.uv_faces = torch.from_numpy(mesh.uv_faces.copy()).to(device)
        normals = vertex_normals(mesh.vertices, mesh.faces)
        self.normals = torch.from_numpy(normals).to(device)


def _thinning(photos: Sequence[Photo], most: int) -> int:
    # Count object pixels; without masks, all. Keep every step-th.
    total = sum(
        photo.rgb[..., 0].size if photo.mask is None else int((photo.mask > 127).sum())
        for photo in photos
    )
    return max(1, -(-total // most))


def _samples_of(
    scene: _Uploaded, photo: Photo, min_cosine: float, edge: int, power: float, step: int
) -> Samples:
    camera, device = photo.camera, scene.device
    pose = camera.camera_from_world
    local = scene.vertices @ pose[:3, :3].T + pose[:3, 3]
    clip = _clip(local, camera).to(device)
    size = (camera.height, camera.width)
    raster = rasterize(clip, scene.faces, size)
    turn = torch.from_numpy(pose[:3, :3].T.astype(np.float32)).to(device)
    attributes = torch.cat(
        [torch.from_numpy(local.astype(np.float32)).to(device), scene.normals @ turn], dim=1
    )
    seen = interpolate(attributes, raster, scene.faces)[0]  # h w 6
    toward = -normalize(seen[..., :3], dim=-1)
    cosine = (normalize(seen[..., 3:], dim=-1) * toward).sum(-1)
    good = (raster.face[0] >= 0) & (cosine > min_cosine)
    good &= ~_edges(seen[..., 2], raster.face[0] >= 0, cosine, camera, edge)
    if photo.mask is not None:
        inside = torch.from_numpy(photo.mask >= 250).to(device)
        good &= ~_grown(~inside, edge)
    uv, uv_da = interpolate_with_slopes(scene.uvs, raster, scene.uv_faces)
    rgb = torch.from_numpy(photo.rgb).to(device)
    index = torch.nonzero(good.flatten())[:, 0][::step]
    weight = cosine.flatten()[index].pow(power)[:, None]
    return Samples(
        _rows(uv[0].flatten(0, 1)[index]),
        _rows(uv_da[0].flatten(0, 1)[index]),
        _rows(rgb.flatten(0, 1)[index].float() / 255),
        _rows(weight),
    )


def _clip(local: NDArray[np.float64], camera: Camera) -> Tensor:
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


def _edges(depth: Tensor, hit: Tensor, cosine: Tensor, camera: Camera, reach: int) -> Tensor:
    """Pixels within ``reach`` of the outline or of a jump in depth."""
    far = _pooled(torch.where(hit, depth, -torch.inf))
    near = -_pooled(torch.where(hit, -depth, -torch.inf))
    pixel = depth / min(camera.fx, camera.fy)
    slope = (1 / cosine.clamp(0.15, 1) ** 2 - 1).sqrt()
    jump = hit & (far - near > _JUMP * pixel * (1 + 2 * slope))
    return _grown(jump | ~hit, reach)


def _pooled(image: Tensor) -> Tensor:
    return max_pool2d(image[None, None], 3, stride=1, padding=1)[0, 0]


def _grown(mask: Tensor, reach: int) -> Tensor:
    if reach == 0:
        return mask
    pooled = max_pool2d(mask.float()[None, None], 2 * reach + 1, stride=1, padding=reach)
    return pooled[0, 0] > 0.5


def _rows(values: Tensor) -> Tensor:
    blank = -len(values) % ROW
    filled = pad(values.flatten(1), (0, 0, 0, blank))
    return filled.view(1, -1, ROW, *values.shape[1:]).contiguous()
