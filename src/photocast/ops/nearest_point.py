# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How far points are from a triangle mesh, to the triangles themselves. No gradients."""

import torch
import warp as wp
from torch import Tensor

from photocast.kernels.nearest_point import nearest_point_kernel
from photocast.ops._launch import launch_parts, part_count, split
from photocast.ops.pathtrace import RayMesh

__all__ = ["nearest_point", "nearest_point_twin"]

_FAR = 1.0e15  # squared, it still fits a float


def nearest_point(mesh: RayMesh, points: Tensor) -> tuple[Tensor, Tensor]:
    """Find the nearest triangle.

    Args:
        mesh: At least one triangle.
        points: (n, 3) float32, on the mesh's device.

    Returns:
        Distance (n,) and face index (n,) int32; of faces at equal distance, any.
    """
    points = points.contiguous()
    distances = torch.empty(len(points), device=points.device)
    faces = torch.empty(len(points), device=points.device, dtype=torch.int32)
    parts = [
        (stop - start, [mesh.id, (points[start:stop], wp.vec3), _FAR, distances[start:stop],
                        faces[start:stop]])
        for start, stop in split(len(points), part_count(points.device))
    ]  # fmt: skip
    launch_parts(nearest_point_kernel, parts, points.device)
    return distances, faces


def nearest_point_twin(vertices: Tensor, faces: Tensor, points: Tensor) -> Tensor:
    """The specification: distance (n,) of each point to the nearest of all triangles.

    A triangle's nearest point is the foot on its plane if that lies inside, else on an edge.
    """
    corners = vertices[faces.long()]  # face 3 3
    edges = corners.roll(-1, dims=1) - corners
    normal = torch.linalg.cross(edges[:, 0], edges[:, 1])
    normal = normal / normal.norm(dim=-1, keepdim=True)
    from_corner = points[:, None, None] - corners  # pt face 3 3
    t = ((from_corner * edges).sum(-1) / (edges * edges).sum(-1)).clamp(0, 1)
    to_edges = (from_corner - t[..., None] * edges).norm(dim=-1).amin(dim=-1)  # pt face
    height = (from_corner[:, :, 0] * normal).sum(-1).abs()
    inward = torch.linalg.cross(normal[:, None].expand_as(edges), edges)
    inside = ((from_corner * inward).sum(-1) >= 0).all(dim=-1)
    return torch.where(inside, height, to_edges).amin(dim=-1)
