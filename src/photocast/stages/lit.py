# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A finished mesh under a light: what a camera sees of it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Camera, Light, Mesh
from photocast.geometry.environment import resize_map
from photocast.geometry.tangents import vertex_tangents
from photocast.geometry.vertex_normals import vertex_normals
from photocast.ops.rasterize import Raster
from photocast.ops.shade import LOBES, Layout, Points, filter_lobes, seen_points, shade
from photocast.ops.texture import MipPyramid, mip_pyramid
from photocast.stages.transport import Transport

__all__ = ["LitMesh", "face_points", "layout_of"]

_BOUNCES = 2


def layout_of(mesh: Mesh, device: torch.device) -> tuple[Tensor, Tensor, Layout]:
    """Upload a mesh with UVs: vertices, unit normals per vertex, and the rest."""
    assert mesh.uvs is not None
    assert mesh.uv_faces is not None
    normals = vertex_normals(mesh.vertices, mesh.faces)
    tangents = vertex_tangents(mesh.vertices, mesh.faces, mesh.uvs, mesh.uv_faces, normals)

    def put(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.array(array, order="C")).to(device)

    layout = Layout(put(mesh.faces), put(mesh.uv_faces), put(mesh.uvs), put(tangents))
    return put(mesh.vertices), put(normals), layout


def face_points(layout: Layout, normals: Tensor) -> Points:
    """The middle of each face, seen from straight above."""
    count, device = len(layout.faces), normals.device
    corners = layout.uvs[layout.uv_faces.long()]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).abs().clamp(min=1e-12)
    up = torch.nn.functional.normalize(normals[layout.faces.long()].sum(1), dim=1)
    return Points(
        torch.arange(count, dtype=torch.int32, device=device),
        torch.full((count, 2), 1 / 3, device=device),
        0.5 * area.log2(),
        up,
    )


class LitMesh:
    """Material, light and what the shape does to the light, on one device."""

    def __init__(self, mesh: Mesh, light: Light, device: str | torch.device) -> None:
        """Trace which vertex sees which part of the sky.

        Args:
            mesh: With UVs and maps.
            light: In the mesh's frame.
            device: Where to draw.
        """
        where = torch.device(device)
        self._vertices, self._normals, self._layout = layout_of(mesh, where)
        self._material = _material(mesh, where)
        environment = torch.from_numpy(np.array(light.environment, np.float32)).to(where)
        environment = resize_map(environment, *LOBES[0][1])
        self._lobes = filter_lobes(environment)
        transport = Transport(self._vertices, self._normals, self._layout)
        self._incident = transport.incident(environment)
        for _ in range(_BOUNCES):
            radiance = self._shaded(face_points(self._layout, self._normals))
            transport.bounce(radiance, self._vertices, self._layout)
            self._incident = transport.incident(environment)

    def seen(self, raster: Raster, camera: Camera) -> Tensor:
        """Linear radiance (1, h, w, 3) of what one camera's raster sees."""
        center = torch.tensor(camera.center[None], dtype=torch.float32, device=raster.face.device)
        points = seen_points(raster, self._vertices, center, self._layout)
        return self._shaded(points).view(*raster.face.shape, 3)

    def _shaded(self, points: Points) -> Tensor:
        return shade(
            self._layout, self._normals, self._incident, self._lobes, self._material, points
        )


def _material(mesh: Mesh, device: torch.device) -> tuple[MipPyramid, MipPyramid]:
    maps = mesh.material
    assert maps.base_color is not None
    base = _put(np.dstack([maps.base_color, np.zeros(maps.base_color.shape[:2], np.float32)]))
    given = [m for m in (maps.roughness, maps.metallic, maps.normal) if m is not None]
    height, width = given[0].shape[:2] if given else (1, 1)
    gloss = np.zeros((height, width, 4), np.float32)
    gloss[..., 0] = 1.0 if maps.roughness is None else _fit(maps.roughness, height, width)
    if maps.metallic is not None:
        gloss[..., 1] = _fit(maps.metallic, height, width)
    if maps.normal is not None:
        gloss[..., 2:] = _fit(maps.normal, height, width)[..., :2]
    return mip_pyramid(base.to(device)), mip_pyramid(_put(gloss).to(device))


def _fit(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    if image.shape[:2] == (height, width):
        return image
    import cv2

    fitted: NDArray[np.float32] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return fitted


def _put(array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
