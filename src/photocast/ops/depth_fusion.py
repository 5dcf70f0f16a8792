# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fuse depth maps into one truncated signed distance, robust against views that are wrong.

Truncated distances follow Curless & Levoy (1996); that a median resists outliers where their mean
does not, Zach et al. (2007), "A globally optimal algorithm for robust TV-L1 range image
integration". Not differentiable: it starts and anchors a reconstruction. Twin:
:func:`fuse_depth_twin`.
"""

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from photocast.kernels import depth_fusion as kernels
from photocast.ops._launch import as_array, launch_parts, part_count, split

__all__ = ["DepthViews", "depth_votes", "fuse_depth", "fuse_depth_twin", "robust_location"]

_BINS = 16
_ROUNDS = 4


@dataclass(frozen=True, slots=True, eq=False)
class DepthViews:
    """Depth maps of any size, flat, one after another."""

    samples: Float32[Tensor, "pixel 3"]
    """Depth along the viewing axis [voxel]; distance to the surface per gap in depth, 0..1; and
    weight, 0..1. Weight 0 is unknown."""
    first: Int64[Tensor, " view"]
    width: Int32[Tensor, " view"]
    height: Int32[Tensor, " view"]
    camera_from_grid: Float32[Tensor, "view 4 4"]
    """A rigid transform; camera space is measured in voxels too."""
    intrinsics: Float32[Tensor, "view 4"]
    """fx fy cx cy [px of the map]."""

    def struct(self) -> Any:
        """The kernel's view of the same memory."""
        s = kernels.DepthViews()
        s.samples = as_array(self.samples, wp.vec3)
        s.first, s.width, s.height = map(as_array, (self.first, self.width, self.height))
        s.camera_from_grid = as_array(self.camera_from_grid, wp.mat44)
        s.intrinsics = as_array(self.intrinsics, wp.vec4)
        return s


def fuse_depth(
    views: DepthViews,
    size: tuple[int, int, int],
    *,
    truncation: float = 3.0,
    scale: float = 1.0,
    min_support: float = 1.0,
) -> tuple[Float32[Tensor, "nx ny nz"], Float32[Tensor, "nx ny nz"]]:
    """Signed distance [voxel] of each grid vertex, and how much weight stands behind it.

    A vertex that views see through is ``truncation`` in front of the surface. One that no view
    sees, or that lies more than ``truncation`` behind what they see, has weight 0.

    Args:
        views: What was measured.
        size: Grid vertices along x, y, z.
        truncation: Distances beyond it are not told apart [voxel].
        scale: Residuals well above it count for little [voxel].
        min_support: Below this sum of agreeing weights nothing is known; a pixel seen frontally and
            surely has weight 1.

    Returns:
        Distance, positive outside; and weight, 0 where unknown.
    """
    device = views.samples.device
    distance, weight = torch.empty(size, device=device), torch.empty(size, device=device)
    known = [views.struct(), size[1], size[2]]
    limits = [truncation, scale, min_support, distance.view(-1), weight.view(-1)]
    ranges = split(distance.numel(), part_count(device))
    launch_parts(kernels.fuse, [(b - a, [*known, a, *limits]) for a, b in ranges], device)
    return distance, weight


def depth_votes(
    views: DepthViews, points: Float32[Tensor, "pt 3"]
) -> tuple[Float32[Tensor, "view pt"], Float32[Tensor, "view pt"], Float32[Tensor, "view pt"]]:
    """What each view says about points of the grid frame, in plain torch.

    Returns:
        Depth measured along each point's ray minus the point's own [voxel]; slope factor; weight.
    """
    gaps, slopes, weights = [], [], []
    for v in range(len(views.first)):
        pose = views.camera_from_grid[v].to(points)
        q = points @ pose[:3, :3].T + pose[:3, 3]
        ahead = q[:, 2].clamp(min=1e-3)
        fx, fy, cx, cy = views.intrinsics[v].to(points)
        x, y = q[:, 0] / ahead * fx + cx - 0.5, q[:, 1] / ahead * fy + cy - 0.5
        sample = _read_map(views, v, x, y)
        seen = (q[:, 2] > 1e-3) & (sample[:, 2] > 0)
        gaps.append(sample[:, 0] - q[:, 2])
        slopes.append(sample[:, 1])
        weights.append(torch.where(seen, sample[:, 2], 0))
    return torch.stack(gaps), torch.stack(slopes), torch.stack(weights)


def _read_map(views: DepthViews, v: int, x: Tensor, y: Tensor) -> Tensor:
    # x, y count from the first pixel's centre
    w, h, start = int(views.width[v]), int(views.height[v]), int(views.first[v])
    image = views.samples[start : start + w * h].view(h, w, 3).to(x)
    inside = (x >= 0) & (y >= 0) & (x < w - 1) & (y < h - 1)
    x0, y0 = x.floor().clamp(0, max(w - 2, 0)).long(), y.floor().clamp(0, max(h - 2, 0)).long()
    x1, y1 = (x0 + 1).clamp(max=w - 1), (y0 + 1).clamp(max=h - 1)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    a, b, c, d = image[y0, x0], image[y0, x1], image[y1, x0], image[y1, x1]
    known = torch.stack([a, b, c, d])[..., 2].amin(0) > 0
    mixed = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy
    return torch.where((inside & known)[:, None], mixed, 0)


def robust_location(
    values: Float32[Tensor, "view pt"],
    weights: Float32[Tensor, "view pt"],
    *,
    truncation: float,
    scale: float,
) -> tuple[Float32[Tensor, " pt"], Float32[Tensor, " pt"]]:
    """Where most of the votes about each point agree, and the weight behind it; as the kernel."""
    share = (values + truncation) / (2 * truncation) * _BINS
    bins = share.long().clamp(0, _BINS - 1)
    shape = (_BINS, values.shape[1])
    table = values.new_zeros(shape).scatter_add(0, bins, weights)
    sums = values.new_zeros(shape).scatter_add(0, bins, weights * values)
    means = sums / table.clamp(min=1e-30)
    total = table.sum(0)
    reached = 2 * table.cumsum(0) >= total
    middle = means.gather(0, reached.float().argmax(0)[None])[0]
    support = torch.zeros_like(total)
    for _ in range(_ROUNDS):
        agree = table / (1 + ((means - middle) / scale) ** 2) ** 2
        support = agree.sum(0)
        middle = (agree * means).sum(0) / support.clamp(min=1e-30)
    return torch.where(total > 0, middle, 0), support


def fuse_depth_twin(
    views: DepthViews,
    size: tuple[int, int, int],
    *,
    truncation: float = 3.0,
    scale: float = 1.0,
    min_support: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The specification: plain torch."""
    axes = [torch.arange(n, dtype=views.samples.dtype) for n in size]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).view(-1, 3)
    gap, slope, weight = depth_votes(views, points)
    vote = (gap * slope).clamp(max=truncation)
    weight = torch.where(vote > -truncation, weight * (1 + vote / truncation).clamp(max=1), 0)
    distance, support = robust_location(
        vote.clamp(min=-truncation), weight, truncation=truncation, scale=scale
    )
    support = torch.where(support < min_support, 0, support)
    return distance.view(size), support.view(size)
