# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth normals that carry gradient to the vertices."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["smooth_normals"]


def smooth_normals(
    vertices: Float[Tensor, "vert 3"], faces: Int[Tensor, "face 3"]
) -> Float[Tensor, "vert 3"]:
    """Average the normals of the faces around each vertex, weighted by their area.

    Unit length; the same as ``geometry.vertex_normals`` but for vertices without any area around
    them, which get zero.
    """
    index = faces.long()
    a, b, c = (vertices[index[:, k]] for k in range(3))
    cross = torch.linalg.cross(b - a, c - a)
    sums = torch.zeros_like(vertices)
    for k in range(3):
        sums = sums.index_add(0, index[:, k], cross)
    return torch.nn.functional.normalize(sums, dim=1, eps=1e-20)
