# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which faces of a mesh pass through or lie on others. No gradients."""

import torch
import warp as wp
from torch import Tensor

from photocast.kernels.self_intersections import self_intersections_kernel
from photocast.ops._launch import launch_parts, part_count, split
from photocast.ops.pathtrace import RayMesh

__all__ = ["self_intersections", "self_intersections_twin"]


def self_intersections(vertices: Tensor, faces: Tensor, mesh: RayMesh | None = None) -> Tensor:
    """Mark the faces that meet another one beyond the corners that both have.

    Touching counts: faces that lie on each other, or a corner of one that lies on another. Faces
    without area and exact duplicates do not; neighbours do only where one is folded onto the other.

    Args:
        vertices: (v, 3) float32; equal positions must be one vertex.
        faces: (f, 3) int32.
        mesh: The same surface made ready for rays, if it is at hand.

    Returns:
        (f,) bool.
    """
    device = vertices.device
    meets = torch.zeros(len(faces), dtype=torch.uint8, device=device)
    if not len(faces):
        return meets.bool()
    mesh = mesh or RayMesh(vertices, faces)
    surface = [mesh.id, (vertices.contiguous(), wp.vec3), (faces.contiguous(), wp.vec3i)]
    # More parts than cores: where surfaces meet, faces take longer than elsewhere.
    parts = split(len(faces), 8 * part_count(device))
    launch_parts(
        self_intersections_kernel, [(b - a, [*surface, a, meets]) for a, b in parts], device
    )
    return meets.bool()


def self_intersections_twin(vertices: Tensor, faces: Tensor) -> Tensor:
    """The specification for meshes in general position: every edge against every triangle.

    An edge meets a triangle if its ends lie on both sides of the plane, and the line through them
    passes all edges of the triangle on one side. Corners that both have do not count.
    """
    corners = vertices.double()[faces.long()]  # face 3 3
    starts, ends = faces.long(), faces.long().roll(-1, dims=1)
    p, q = corners.flatten(0, 1), corners.roll(-1, dims=1).flatten(0, 1)  # edge 3
    a, b, c = (corners[:, i] for i in range(3))
    above, below = _side(a, b, c, p[:, None]), _side(a, b, c, q[:, None])  # edge face
    p, q = p[:, None], q[:, None]
    turns = torch.stack([_side(p, q, a, b), _side(p, q, b, c), _side(p, q, c, a)])
    hits = (above * below < 0) & ((turns > 0).all(dim=0) | (turns < 0).all(dim=0))
    ends_of = torch.stack([starts, ends], dim=-1).flatten(0, 1)  # edge 2
    shared = (ends_of[:, None, :, None] == faces.long()[None, :, None, :]).any(dim=-1).any(dim=-1)
    hits = (hits & ~shared).unflatten(0, (len(faces), 3)).any(dim=1)  # face face
    marks: Tensor = hits.any(dim=0) | hits.any(dim=1)
    return marks


def _side(a: Tensor, b: Tensor, c: Tensor, p: Tensor) -> Tensor:
    """Sign of the volume of a, b, c, p."""
    a, b, c, p = torch.broadcast_tensors(a, b, c, p)
    signs: Tensor = torch.linalg.cross(b - a, c - a).mul(p - a).sum(dim=-1).sign()
    return signs
