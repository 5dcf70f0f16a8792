# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Find the hollows that outlines cannot show: a soft density first, a surface from it.

A hull fills every hollow, and a surface only moves where rays meet it: too slow to dig a bucket.
A density that starts thin lets rays see through the whole hull at once, so colours that do not
agree between photos thin out, wherever they lie. Where enough of some ray arrives and little is
met, there is nothing; everything else inside the hull stays solid.
Source of the idea: Sun et al., Direct voxel grid optimization, 2022, section 3 (coarse stage).
"""

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from photocast.config import CarveConfig
from photocast.deadline import walk
from photocast.geometry.redistance import redistance
from photocast.ops.volume import Adam, LossTerms, VolumeGrid
from photocast.progress import Progress
from photocast.stages.pixel_bank import contrast
from photocast.stages.rays import Rays

__all__ = ["carve_hollows"]

_SOFT_BAND = 7.0
"""Densities are kept between exp(-band) and exp(band) per voxel."""
_LEAST_WALK = 0.5
"""Share of the steps before which a density is still thin where it should be solid."""
_MEMORY = 0.02  # share of the newest step in the running mean of the error
_PROBE = 20  # steps after which we look whether the time will be enough
_FOCUS = 0.5  # voxels around the hull that rays sample


def carve_hollows(
    hull: Float32[Tensor, "nx ny nz"],
    rays: Rays,
    config: CarveConfig,
    band: float,
    progress: Progress,
) -> tuple[Float32[Tensor, "nx ny nz 4"], float | None]:
    """Dig what the photos see through out of a hull.

    Args:
        hull: Signed distance [voxel].
        rays: The photos, resampled for this grid.
        config: Steps and thresholds.
        band: Distances are kept within it [voxel].
        progress: Told every few steps.

    Returns:
        sRGB colour and signed distance [voxel] on the same grid. The hull's own distance, if the
        photos are too plain, or agree too little with each other, to trust the result. And the
        mean squared error per colour; None if time was up before there was one.
    """
    inside = hull < _FOCUS
    values = torch.full((*hull.shape, 4), 0.5, device=hull.device)
    values[..., 3] = torch.where(inside, config.thin, _SOFT_BAND)
    grid = VolumeGrid(values, soft=True, step=config.stride, shiny=config.shiny)
    grid.focus_on(inside)
    error = _fit(grid, rays, config, progress)
    if error is None or contrast(rays.bank) < config.clear * error:
        return torch.cat([grid.values[..., :3], hull.clamp(-band, band)[..., None]], -1), error
    arriving = grid.arriving(rays.bank, rays.draw(config.seen_rays))
    level = grid.values[..., 3] + config.solid  # zero at the density that counts as surface
    free = _opened(inside & (arriving > config.arrives) & (level > 0))
    field = torch.where(free, level.clamp(min=0.05), level.clamp(max=-0.05))
    field = torch.where(inside, field, hull.clamp(min=0.05))
    distance = torch.maximum(redistance(field, band), hull.clamp(-band, band))
    return torch.cat([grid.values[..., :3], distance[..., None]], -1), error


def _opened(free: Bool[Tensor, "nx ny nz"]) -> Bool[Tensor, "nx ny nz"]:
    """Without parts less than three voxels thick: pits in plain paint, and the hull's skin."""
    part = free.float()[None, None]
    kept = -torch.nn.functional.max_pool3d(-part, 3, stride=1, padding=1)
    return torch.nn.functional.max_pool3d(kept, 3, stride=1, padding=1)[0, 0] > 0.5


def _fit(grid: VolumeGrid, rays: Rays, config: CarveConfig, progress: Progress) -> float | None:
    """Train the density.

    Returns:
        Mean squared error per colour, of the later steps the more; None if time was up so early
        that it is better to dig nothing than holes.
    """
    error = torch.zeros((), device=grid.device)
    step = 0
    for step, share in walk(progress, "carve", config.steps):
        if step == _PROBE and share * _LEAST_WALK > step / config.steps:
            break
        cool = config.cool ** max(0.0, 2 * share - 1)
        adam = Adam(
            rate_color=config.rate_color * cool,
            rate_distance=config.rate_density * cool,
            rate_shine=config.rate_shine * cool,
            epsilon=config.epsilon,
            eikonal=0.0,
            smooth=config.smooth,
            band=_SOFT_BAND,
        )
        errors = grid.train(
            rays.bank,
            rays.draw(config.rays_per_step),
            sharpness=1.0,
            loss=LossTerms(),
            adam=adam,
            seed=config.seed + step,
        )
        error.lerp_(errors.mean(), 1.0 if step == 0 else _MEMORY)
        if (step + 1) % 50 == 0 or step + 1 == config.steps:
            progress("carve", step + 1, config.steps)
    if step + 1 < _LEAST_WALK * config.steps:
        progress("carve", config.steps, config.steps)
        return None
    return float(error) / 3
