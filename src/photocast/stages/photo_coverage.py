# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How much of a result the photos show: of its triangles, and of the texels in use.

A photo shows a place that faces it, lies within the picture and its mask, and is the nearest
surface there, but for the depth that the slope spans within a pixel.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Check, Mesh, Photo
from photocast.geometry.covered_texels import covered_texels, texel_weights
from photocast.geometry.triangle_shape import triangle_shape
from photocast.ops.interpolate import interpolate
from photocast.stages.render import Drawable, draw_raster

__all__ = ["photo_coverage"]

_GRID = 512  # texels to each side that stand for the map
_FLATTEST = 0.1  # cosine: a place seen more askew than this is not shown


def photo_coverage(item: Drawable, photos: Sequence[Photo]) -> list[Check]:
    """Count what photos show.

    Args:
        item: The result.
        photos: Those that it was made from, with their final cameras.
    """
    mesh = item.mesh
    shape = triangle_shape(mesh.vertices, mesh.faces)
    normals = _face_normals(mesh)
    middles = mesh.vertices[mesh.faces].astype(np.float64).mean(axis=1)
    texels, owner = _texel_places(mesh)
    places = np.concatenate([middles, texels])
    normals = np.concatenate([normals, normals[owner]])
    counts = _shown(item, photos, places, normals)
    of_faces, of_texels = counts[: len(middles)], counts[len(middles) :]
    area = float(shape.area.sum())
    note = f"seen by two or more of {len(photos)} photos used for the reconstruction"
    covered = float(shape.area[of_faces >= 2].sum()) / area if area > 0 else None
    checks = [Check("image.covered_share", covered, "1", note=note)]
    if not len(of_texels):
        why = "the mesh has no UV map"
        return [*checks, Check("uv.unseen_share", None, "1", note=why)]
    note = f"of {len(of_texels)} texels of a grid of {_GRID} x {_GRID}"
    unseen = float((of_texels == 0).mean())
    return [*checks, Check("uv.unseen_share", unseen, "1", note=note)]


def _face_normals(mesh: Mesh) -> NDArray[np.float64]:
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(np.float64) for i in range(3))
    cross = np.cross(b - a, c - a)
    lengths = np.linalg.norm(cross, axis=1, keepdims=True)
    units: NDArray[np.float64] = cross / np.maximum(lengths, 1e-300)
    return units


def _texel_places(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Where the texels in use lie on the surface (n, 3), and on which face (n,)."""
    if mesh.uvs is None or mesh.uv_faces is None:
        return np.zeros((0, 3)), np.zeros(0, np.int64)
    corners = mesh.uvs.astype(np.float64)[mesh.uv_faces] * _GRID
    texel, face = covered_texels(corners, (_GRID, _GRID))
    bary = texel_weights(corners[face], texel, _GRID)
    points = np.einsum("ni,nic->nc", bary, mesh.vertices[mesh.faces[face]].astype(np.float64))
    return points, face


@torch.no_grad()
def _shown(
    item: Drawable,
    photos: Sequence[Photo],
    places: NDArray[np.float64],
    normals: NDArray[np.float64],
) -> NDArray[np.int64]:
    """How many photos show each place (n,)."""
    device = item.faces.device
    points, outward = (torch.from_numpy(array).float().to(device) for array in (places, normals))
    vertices = torch.tensor(item.mesh.vertices, device=device)
    counts = torch.zeros(len(places), dtype=torch.int64, device=device)
    for photo in photos:
        counts += _shown_by(item, photo, points, outward, vertices)
    return counts.cpu().numpy()


def _shown_by(
    item: Drawable, photo: Photo, points: Tensor, outward: Tensor, vertices: Tensor
) -> Tensor:
    camera = photo.camera
    pose = torch.tensor(camera.camera_from_world, dtype=torch.float32, device=points.device)
    local = points @ pose[:3, :3].T + pose[:3, 3]
    cosine = -((outward @ pose[:3, :3].T) * torch.nn.functional.normalize(local, dim=1)).sum(dim=1)
    ahead = local[:, 2].clamp(min=1e-12)
    column = (local[:, 0] / ahead * camera.fx + camera.cx).floor()
    row = (local[:, 1] / ahead * camera.fy + camera.cy).floor()
    seen = (local[:, 2] > 0) & (cosine > _FLATTEST)
    seen &= (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    at = row.clamp(0, camera.height - 1).long(), column.clamp(0, camera.width - 1).long()
    raster = draw_raster(item, camera)
    along = (vertices @ pose[2, :3] + pose[2, 3])[:, None]
    nearest = interpolate(along, raster, item.faces)[0, ..., 0][at]
    empty = raster.face[0][at] < 0
    # Within a pixel a surface this steep spans that much depth.
    span = ahead / min(camera.fx, camera.fy) * (1 + 2 / cosine.clamp(min=_FLATTEST))
    seen &= empty | (local[:, 2] <= nearest + span)
    if photo.mask is not None:
        seen &= torch.tensor(photo.mask, device=points.device)[at] >= 128
    return seen
