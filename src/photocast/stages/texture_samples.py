# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which photo pixels say something about which place of the texture.

A pixel counts if it lies well inside the object, sees one surface only and not too flatly; what
mixes foreground and background is left out rather than painted on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
_FLATTEST = 0.15
_INSIDE = 250
"""Mask values from here on are wholly object."""


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
    pose, device = photo.camera.camera_from_world, scene.device
    local = scene.vertices @ pose[:3, :3].T + pose[:3, 3]
    left, top, camera = _cropped(photo.camera, local)
    part = slice(top, top + camera.height), slice(left, left + camera.width)
    clip = _clip(local, camera).to(device)
    raster = rasterize(clip, scene.faces, (camera.height, camera.width))
    turn = torch.from_numpy(pose[:3, :3].T.astype(np.float32)).to(device)
    position = torch.from_numpy(local.astype(np.float32)).to(device)
    seen = interpolate(torch.cat([position, scene.normals @ turn], 1), raster, scene.faces)[0]
    outside = raster.face[0] < 0
    if photo.mask is not None:
        outside |= torch.from_numpy(photo.mask[part] < _INSIDE).to(device)
    outside |= _jumps(seen[..., 2], raster.face[0] >= 0, seen, camera)
    index = torch.nonzero(~_grown(outside, edge).flatten())[:, 0]
    cosine = _cosines(seen.flatten(0, 1)[index])
    keep = cosine > min_cosine
    index, cosine = index[keep][::step], cosine[keep][::step]
    uv, uv_da = interpolate_with_slopes(scene.uvs, raster, scene.uv_faces)
    rgb = torch.from_numpy(np.ascontiguousarray(photo.rgb[part])).to(device).flatten(0, 1)
    return Samples(
        _rows(uv[0].flatten(0, 1)[index]),
        _rows(uv_da[0].flatten(0, 1)[index]),
        _rows(rgb[index].float() / 255),
        _rows(cosine.pow(power)[:, None]),
    )


def _cropped(camera: Camera, local: NDArray[np.float64]) -> tuple[int, int, Camera]:
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


def _cosines(seen: Tensor) -> Tensor:
    """Between normal and way to the camera; negative for backs. ``seen`` is place and normal."""
    place, normal = seen[..., :3], seen[..., 3:]
    scale = (place.square().sum(-1) * normal.square().sum(-1)).clamp(min=1e-30).sqrt()
    cosine: Tensor = -(place * normal).sum(-1) / scale
    return cosine


def _jumps(depth: Tensor, hit: Tensor, seen: Tensor, camera: Camera) -> Tensor:
    """Pixels next to one whose depth the slope of the surface does not explain."""
    far = _widest(torch.where(hit, depth, -torch.inf))
    near = -_widest(torch.where(hit, -depth, -torch.inf))
    cosine = _cosines(seen).abs().clamp(_FLATTEST, 1)
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


def _grown(mask: Tensor, reach: int) -> Tensor:
    grown = mask.to(torch.uint8)
    for _ in range(reach):
        grown = _widest(grown)
    return grown > 0


def _rows(values: Tensor) -> Tensor:
    flat = values.new_zeros((-(-len(values) // ROW) * ROW, *values.shape[1:]))
    flat[: len(values)] = values
    return flat.view(1, -1, ROW, *values.shape[1:])
