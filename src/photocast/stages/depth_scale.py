# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Scale and shift of each depth map that make all maps agree.

Every point of the measured surface has one true distance, which no view knows; each view's vote is
off by its own scale and shift. Both are found together by robust least squares: the distances are
eliminated point by point (the Schur complement of bundle adjustment), so a small dense system in
the views' corrections remains. A scale that all maps share shows too, because views see a point at
different angles.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from photocast.ops.depth_fusion import DepthViews, depth_votes, robust_location

__all__ = ["Alignment", "corrected", "fit_alignment"]

_POINTS = 20_000  # to compare at, of all views together
_BAND = 4.0  # votes further off are other surfaces [voxel]
_PASSES = 3
_ROUNDS = 4  # of reweighting, in each pass
_LIKELY_SCALE = 0.02  # sensors are calibrated about this well
_LIKELY_SHIFT = 1.0  # [voxel]
_SHARED = 2000.0  # neighbouring votes share their errors: so many count as one


@dataclass(frozen=True, slots=True)
class Alignment:
    """True depth of view i is ``scale[i] * depth + shift[i]``."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    """World units."""
    before: float
    """Typical disagreement of the uncorrected maps [voxel], at points not used for the fit."""
    after: float
    """The same once corrected."""


def corrected(views: DepthViews, alignment: Alignment, voxel: float) -> DepthViews:
    """The maps with their scales and shifts undone; slopes change too little to matter."""
    device = views.samples.device
    owner = _owner(views, torch.arange(len(views.samples), device=device))
    scale = torch.tensor(alignment.scale, device=device)[owner]
    shift = torch.tensor(alignment.shift, device=device)[owner] / voxel
    samples = views.samples.clone()
    samples[:, 0] = (samples[:, 0] * scale + shift).clamp(min=0)
    return replace(views, samples=samples)


def fit_alignment(views: DepthViews, voxel: float, *, shift: bool = False) -> Alignment:
    """Find the corrections.

    Args:
        views: The maps as they are.
        voxel: Their unit in world units.
        shift: Find shifts too.
    """
    count = len(views.first)
    before = _disagreement(views)
    found = Alignment((1.0,) * count, (0.0,) * count, before, before)
    for _ in range(_PASSES):
        found = _improved(views, found, voxel, shift=shift)
    after = _disagreement(corrected(views, found, voxel))
    return replace(found, after=after)


def _improved(views: DepthViews, old: Alignment, voxel: float, *, shift: bool) -> Alignment:
    """One pass: where the maps lie now decides which votes belong together."""
    count = len(views.first)
    maps = corrected(views, old, voxel)
    points = _surface_points(maps, seed=0)
    gap, slope, weight = depth_votes(maps, points)
    depth = gap + _own_depth(maps, points)
    step = _solve(gap * slope, slope, depth, weight, shift=shift).tolist()
    factors = [1 + s for s in step[:count]]
    offsets = [t * voxel for t in step[count:]] if shift else [0.0] * count
    return replace(
        old,
        scale=tuple(s * f for s, f in zip(old.scale, factors, strict=True)),
        shift=tuple(t * f + o for t, f, o in zip(old.shift, factors, offsets, strict=True)),
    )


def _solve(votes: Tensor, slope: Tensor, depth: Tensor, weight: Tensor, *, shift: bool) -> Tensor:
    """Relative scales, then shifts [voxel], of each view."""
    count = len(votes)
    # d vote / d scale and d vote / d shift; each view has its own columns
    blocks = [slope * depth, slope] if shift else [slope * depth]
    likely = [_LIKELY_SCALE, _LIKELY_SHIFT][: len(blocks)]
    prior = torch.cat([votes.new_full((count,), 1 / s**2) for s in likely])
    found = torch.zeros_like(prior)
    for _ in range(_ROUNDS):
        moved = votes + sum(
            block * part[:, None] for block, part in zip(blocks, found.split(count), strict=True)
        )
        trusted = torch.where(moved.abs() < _BAND, weight, 0)
        middle, _ = robust_location(
            moved.clamp(-_BAND, _BAND), trusted, truncation=_BAND, scale=1.0
        )
        agree = trusted / (1 + (moved - middle) ** 2) ** 2  # view pt
        total = agree.sum(0).clamp(min=1e-12)
        rows = torch.cat([agree * block for block in blocks])  # unknown pt
        full = torch.zeros(len(prior), len(prior), device=votes.device)
        for i, left in enumerate(blocks):
            for j, right in enumerate(blocks):
                diagonal = (agree * left * right).sum(1)
                full[i * count : (i + 1) * count, j * count : (j + 1) * count] = diagonal.diag()
        variance = (agree * (moved - middle) ** 2).sum() / agree.sum().clamp(min=1e-12)
        firm = _SHARED * variance.clamp(min=1e-4)
        full = full - (rows / total) @ rows.T + firm * prior.diag()
        mean = (agree * votes).sum(0) / total
        right = (rows * (votes - mean).repeat(len(blocks), 1)).sum(1)
        found = -torch.linalg.solve(full.double(), right.double()).to(votes)
    return found


def _disagreement(views: DepthViews) -> float:
    """Typical distance [voxel] between what a view says and where most agree."""
    points = _surface_points(views, seed=1)  # not those of the fit
    gap, slope, weight = depth_votes(views, points)
    votes = gap * slope
    weight = torch.where(votes.abs() < _BAND, weight, 0)
    votes = votes.clamp(-_BAND, _BAND)
    middle, _ = robust_location(votes, weight, truncation=_BAND, scale=1.0)
    off = (votes - middle).abs()
    order = off.flatten().sort()
    reached = weight.flatten()[order.indices].cumsum(0)
    at = int((reached < 0.5 * reached[-1]).sum())
    return float(order.values[min(at, len(reached) - 1)])


def _own_depth(views: DepthViews, points: Tensor) -> Tensor:
    """Depth of points in each view, (view, pt)."""
    pose = views.camera_from_grid
    return pose[:, 2, :3] @ points.T + pose[:, 2, 3:]


def _owner(views: DepthViews, pixels: Tensor) -> Tensor:
    """The view that each flat pixel belongs to."""
    return torch.bucketize(pixels, views.first, right=True) - 1


def _surface_points(views: DepthViews, *, seed: int) -> Tensor:
    """Points that the maps measured, spread over all views, in the grid frame."""
    random = torch.Generator().manual_seed(seed)
    known = (views.samples[:, 2] > 0.25).nonzero().squeeze(1)
    chosen = known[torch.randperm(len(known), generator=random)[:_POINTS].to(known.device)]
    view = _owner(views, chosen)
    local = chosen - views.first[view]
    width = views.width[view].long()
    lens = views.intrinsics[view]
    depth = views.samples[chosen, 0]
    x = (local % width + 0.5 - lens[:, 2]) / lens[:, 0] * depth
    y = (local // width + 0.5 - lens[:, 3]) / lens[:, 1] * depth
    pose = views.camera_from_grid[view]
    camera = torch.stack([x, y, depth], 1) - pose[:, :3, 3]
    return torch.einsum("nji,nj->ni", pose[:, :3, :3], camera)
