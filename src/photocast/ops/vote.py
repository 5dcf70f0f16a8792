# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Ask labelled photos which points belong to the object. No gradient."""

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Bool, Float64, Int32, UInt8
from torch import Tensor

from photocast.kernels import vote as kernels
from photocast.ops._launch import launch_parts, part_count, split

__all__ = ["Witnesses", "vote", "vote_twin"]


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """Photos whose pixels are background (0), unknown (1) or object (2)."""

    pixel_from_world: Float64[Tensor, "view 3 4"]
    sizes: Int32[Tensor, "view 2"]
    """Width and height [px]."""
    first: Int32[Tensor, "view"]
    """Where each photo's labels begin."""
    labels: UInt8[Tensor, "pixel"]
    """Of all photos, row by row."""


def vote(
    points: Float64[Tensor, "pt 3"], witnesses: Witnesses, allowed: int, support: float
) -> Bool[Tensor, "pt"]:
    """Find the points that belong to the object.

    Args:
        points: In the world.
        witnesses: The photos; one that does not see a point says nothing about it.
        allowed: Photos that may call a point background.
        support: Least share of the photos that see a point, and at least two, that must call it
            object.
    """
    found = torch.zeros(len(points), dtype=torch.uint8, device=points.device)
    rows = (witnesses.pixel_from_world, wp.vec4d)
    given = [rows, witnesses.sizes, witnesses.first, witnesses.labels, allowed, support, found]
    parts = split(len(points), 4 * part_count(points.device))
    launch_parts(kernels.vote, [(b - a, [a, points, *given]) for a, b in parts], points.device)
    return found.bool()


def vote_twin(
    points: Float64[Tensor, "pt 3"], witnesses: Witnesses, allowed: int, support: float
) -> Bool[Tensor, "pt"]:
    """The specification: ask every photo about every point."""
    against, sure, seen = torch.zeros(3, len(points), dtype=torch.int64)
    for view, matrix in enumerate(witnesses.pixel_from_world):
        x, y, depth = matrix[:, :3] @ points.T + matrix[:, 3:]
        width, height = witnesses.sizes[view].tolist()
        column, row = (x / depth).floor(), (y / depth).floor()
        there = (depth > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        pixel = torch.where(there, row * width + column, 0).long()
        label = witnesses.labels[int(witnesses.first[view]) + pixel]
        seen += there
        sure += there & (label == 2)
        against += there & (label == 0)
    kept: Tensor = (against <= allowed) & (sure >= 2) & (sure >= support * seen)
    return kept
