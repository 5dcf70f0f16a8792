# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Signed distance of grid vertices to the visual hull.

Not differentiable: it only starts a reconstruction. Twin: :func:`carve_twin`.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from photocast.kernels import hull as kernels
from photocast.ops._launch import as_array, launch_parts, part_count, split

__all__ = ["OUTSIDE", "Silhouettes", "carve", "carve_twin"]

OUTSIDE = 1.0e6
"""Distance of a grid vertex that too few views see."""


@dataclass(frozen=True, slots=True, eq=False)
class Silhouettes:
    """Masks as signed distance maps, flat, one view after another."""

    distance: Float32[Tensor, " pixel"]
    """To the mask's edge [px], positive outside."""
    first: Int64[Tensor, " view"]
    width: Int32[Tensor, " view"]
    height: Int32[Tensor, " view"]
    camera_from_grid: Float32[Tensor, "view 4 4"]
    """A rigid transform; camera space is measured in voxels too."""
    intrinsics: Float32[Tensor, "view 4"]
    """fx fy cx cy [px]."""


def carve(
    views: Silhouettes,
    size: tuple[int, int, int],
    *,
    outliers: int = 0,
    min_views: int = 1,
    enough: float = math.inf,
) -> Float32[Tensor, "nx ny nz"]:
    """Signed distance [voxel] of each grid vertex, positive outside.

    The hull is where all cones agree, so the largest distance over the views counts. Views in
    which a vertex lies outside the image say nothing.

    Args:
        views: Where the object is in each photo.
        size: Grid vertices along x, y, z.
        outliers: This many views may be wrong at any vertex, at most 3.
        min_views: A vertex seen by fewer views is outside.
        enough: Distances beyond it may be too small, but not less than it [voxel]; most of a box
            lies outside, and few views suffice to see that.
    """
    device = views.distance.device
    out = torch.empty(size, device=device)
    struct = _struct(views)
    parts = [
        (b - a, [struct, size[1], size[2], a, outliers, min_views, enough, out.view(-1)])
        for a, b in split(out.numel(), part_count(device))
    ]
    launch_parts(kernels.carve, parts, device)
    return out


def _struct(views: Silhouettes) -> Any:
    import warp as wp

    s = kernels.Silhouettes()
    s.distance = as_array(views.distance)
    s.first, s.width, s.height = (
        as_array(views.first),
        as_array(views.width),
        as_array(views.height),
    )
    s.camera_from_grid = as_array(views.camera_from_grid, wp.mat44)
    s.intrinsics = as_array(views.intrinsics, wp.vec4)
    return s


def carve_twin(
    views: Silhouettes, size: tuple[int, int, int], *, outliers: int = 0, min_views: int = 1
) -> Float32[Tensor, "nx ny nz"]:
    """The specification: plain torch."""
    axes = [torch.arange(n, dtype=torch.float32) for n in size]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).view(-1, 3)
    points = torch.cat([points, torch.ones(len(points), 1)], 1)
    votes = []
    for v in range(len(views.first)):
        w, h = int(views.width[v]), int(views.height[v])
        start = int(views.first[v])
        image = views.distance[start : start + w * h].view(1, 1, h, w)
        q = points @ views.camera_from_grid[v].T
        fx, fy, cx, cy = views.intrinsics[v]
        x, y = q[:, 0] / q[:, 2] * fx + cx, q[:, 1] / q[:, 2] * fy + cy
        inside = (q[:, 2] > 1e-3) & (x > 0) & (y > 0) & (x < w) & (y < h)
        at = torch.stack([2 * x / w - 1, 2 * y / h - 1], -1).view(1, 1, -1, 2)
        value = torch.nn.functional.grid_sample(
            image, at, align_corners=False, padding_mode="border"
        ).view(-1)
        votes.append(torch.where(inside, value * q[:, 2] / fx, torch.tensor(-OUTSIDE)))
    ranked = torch.stack(votes).sort(dim=0, descending=True).values
    seen = (torch.stack(votes) > -OUTSIDE).sum(0)
    chosen = ranked[min(outliers, len(votes) - 1)]
    return torch.where(seen >= min_views, chosen, torch.tensor(OUTSIDE)).view(size)
