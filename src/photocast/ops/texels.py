# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Triangles that lie behind another one at some texel centre. No gradient."""

import torch
import warp as wp
from jaxtyping import Bool, Float64, Int32
from torch import Tensor

from photocast.geometry.covered_texels import covered_texels
from photocast.kernels import texels as kernels
from photocast.ops._launch import launch_parts, part_count, split

__all__ = ["hidden_triangles", "hidden_triangles_twin"]


def hidden_triangles(
    corners: Float64[Tensor, "tri 3 2"], rank: Int32[Tensor, "tri"], size: tuple[int, int]
) -> Bool[Tensor, "tri"]:
    """Find the triangles that one of a higher rank covers at some texel centre.

    Args:
        corners: In texels; the first centre is (0.5, 0.5).
        rank: Different for each triangle, from 0; the highest is in front.
        size: Height and width of the map [px]; parts outside are left out.
    """
    device = corners.device
    places = ((corners - 0.5).contiguous(), wp.vec2d)
    height, width = size
    front = torch.full((height * width,), -1, dtype=torch.int32, device=device)
    bands = split(height, part_count(device))
    # Every band has marks of its own, as parts must not write the same memory.
    marks = torch.zeros((len(bands), len(corners)), dtype=torch.uint8, device=device)
    jobs = [
        (len(corners), [places, rank, top, bottom, width, front, mark])
        for (top, bottom), mark in zip(bands, marks, strict=True)
    ]
    launch_parts(kernels.find_hidden, jobs, device)
    return marks.bool().any(dim=0)[rank.long()]


def hidden_triangles_twin(
    corners: Float64[Tensor, "tri 3 2"], rank: Int32[Tensor, "tri"], size: tuple[int, int]
) -> Bool[Tensor, "tri"]:
    """The specification: list all pairs of texel and triangle, then compare."""
    texel, triangle = map(torch.from_numpy, covered_texels(corners.numpy(), size))
    ranks = rank.long()[triangle]
    front = torch.full((size[0] * size[1],), -1).scatter_reduce(0, texel, ranks, "amax")
    hidden = torch.zeros(len(corners), dtype=torch.bool)
    hidden[triangle[front[texel] != ranks]] = True
    return hidden
