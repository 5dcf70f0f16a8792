# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The zero level of a grid as triangles. Not differentiable."""

import torch
import warp as wp
from jaxtyping import Float32, Int32
from torch import Tensor

from photocast.ops._launch import as_array

__all__ = ["marching_cubes"]


def marching_cubes(
    values: Float32[Tensor, "nx ny nz"], *, border: float
) -> tuple[Float32[Tensor, "vert 3"], Int32[Tensor, "face 3"]]:
    """Triangulate where ``values`` is zero, as if the grid were surrounded by ``border``.

    Source: Lorensen & Cline 1987, in Warp's implementation.

    Args:
        values: Negative inside.
        border: Value all around the grid; positive closes the surface.

    Returns:
        Welded vertices in the grid frame, and faces counter-clockwise seen from outside.
    """
    padded = torch.nn.functional.pad(values[None, None], (1,) * 6, value=border)[0, 0].contiguous()
    padded = torch.where(padded == 0, torch.full_like(padded, 1e-6), padded)  # no slivers at zero
    with wp.ScopedDevice(wp.device_from_torch(values.device)):
        surface = wp.MarchingCubes(*padded.shape)
        surface.surface(as_array(padded), 0.0)
        if surface.verts is None or surface.indices is None or len(surface.verts) == 0:
            empty = torch.zeros(0, 3, device=values.device)
            return empty, empty.to(torch.int32)
        vertices = wp.to_torch(surface.verts).clone() - 1.0
        faces = wp.to_torch(surface.indices).view(-1, 3).clone()
    return vertices, faces
