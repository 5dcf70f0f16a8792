# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How thick the solid is under its faces. No gradients."""

import torch
import warp as wp
from torch import Tensor

from photocast.kernels.thickness import thickness_kernel
from photocast.ops._launch import launch_parts, part_count, split
from photocast.ops.pathtrace import RayMesh

__all__ = ["thickness"]

_LIFT = 1e-6  # of the diagonal: how far a ray starts behind a face that it must not hit again


def thickness(
    vertices: Tensor, faces: Tensor, chosen: Tensor, mesh: RayMesh | None = None
) -> Tensor:
    """Measure from the middle of some faces, against their normal, to the next face.

    Args:
        vertices: (v, 3) float32.
        faces: (f, 3) int32, counter-clockwise from outside, with area where they are chosen.
        chosen: Indices of faces (n,) int32.
        mesh: The same surface made ready for rays, if it is at hand.

    Returns:
        (n,) [unit of the vertices]; negative where nothing is hit.
    """
    distances = torch.empty(len(chosen), device=vertices.device)
    mesh = mesh or RayMesh(vertices, faces)
    surface = [mesh.id, (vertices.contiguous(), wp.vec3), (faces.contiguous(), wp.vec3i), chosen]
    parts = [
        (b - a, [*surface, a, _LIFT * mesh.diagonal, distances])
        for a, b in split(len(chosen), 8 * part_count(vertices.device))
    ]
    launch_parts(thickness_kernel, parts, vertices.device)
    return distances
