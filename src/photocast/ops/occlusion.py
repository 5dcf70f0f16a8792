# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands between each vertex and the sky. No gradients."""

import torch
import warp as wp
from jaxtyping import Float32, Int32
from torch import Tensor

from photocast.kernels.occlusion import hits_kernel
from photocast.ops._launch import launch_parts, part_count, split
from photocast.ops.pathtrace import RayMesh

__all__ = ["BELOW", "OPEN", "first_hits"]

OPEN, BELOW = -1, -2


def first_hits(
    mesh: RayMesh,
    positions: Float32[Tensor, "vert 3"],
    normals: Float32[Tensor, "vert 3"],
    directions: Float32[Tensor, "way 3"],
    *,
    lift: float,
) -> Int32[Tensor, "vert way"]:
    """The nearest face from each vertex in each direction.

    Args:
        mesh: What may occlude; usually the mesh of the vertices.
        positions: Where rays start.
        normals: Unit; rays start ``lift`` above the surface.
        directions: Unit.
        lift: Distance [world unit] that keeps a vertex from hitting its own faces.

    Returns:
        Face index, :data:`OPEN` where nothing is hit, :data:`BELOW` for directions that point
        under the surface.
    """
    hits = torch.empty((len(positions), len(directions)), dtype=torch.int32, device=mesh.device)
    start = [mesh.id, (positions.contiguous(), wp.vec3), (normals.contiguous(), wp.vec3)]
    start += [(directions.contiguous(), wp.vec3), float(lift)]
    # more parts than cores: rays of some vertices take much longer than those of others
    parts = split(len(positions), 8 * part_count(mesh.device))
    launch_parts(
        hits_kernel, [((b - a, len(directions)), [*start, a, hits]) for a, b in parts], mesh.device
    )
    return hits
