# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fit a signed-distance grid to the photos by volume rendering, coarse to fine.

The grid starts from the visual hull, or from fused depth, so it only has to learn what silhouettes
cannot tell: concavities and detail. Sources: NeuS (Wang et al. 2021) for opacity; direct grids
instead of networks as in Plenoxels (Fridovich-Keil et al. 2022).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from photocast.config import VolumeConfig
from photocast.data import Photo
from photocast.data.grid_frame import GridFrame
from photocast.deadline import part, walk
from photocast.ops.volume import Adam, LossTerms, VolumeGrid, upsample
from photocast.progress import Progress
from photocast.stages.carve import carve_hollows
from photocast.stages.depth_fusion import BAND, measure_depth
from photocast.stages.hull import hull_distance
from photocast.stages.pixel_bank import contrast, shrink_factor
from photocast.stages.rays import Rays

__all__ = ["BAND", "Volume", "fit_volume"]

_FREE = 3  # layers of the coarsest grid's margin that hold nothing
_FOCUS_EVERY = 25  # steps between looking where the surface has moved
_CLEAR = 2.0  # contrast over error, both squared, from which photos speak clearly about the shape
_SHINY = 1.5  # doubt from which colours may depend on the view
_CARVE_TIME, _EARLY_TIME = 0.3, 0.33  # of what is left: carving; each level but the last
_COOL_FROM = 0.6  # share of a level's steps after which step sizes fall


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A fitted grid in the world."""

    values: Float32[Tensor, "nx ny nz 4"]
    """sRGB colour and signed distance [voxel], positive outside."""
    frame: GridFrame


def fit_volume(
    photos: Sequence[Photo],
    box: NDArray[np.floating],
    config: VolumeConfig,
    *,
    device: torch.device,
    progress: Progress,
) -> Volume:
    """Find the surface that explains the photos.

    Args:
        photos: With masks.
        box: Contains the object, (2, 3).
        config: Resolution, steps, weights.
        device: Where to compute.
        progress: Told every few steps; gets ``psnr`` of the training rays [dB].
    """
    depth = measure_depth(photos, box, config.depth, device=device, progress=progress)
    plan = _plan(photos, box, config)
    rays = Rays(photos, config.seed, device)
    total, done = sum(steps for _, steps in plan), 0
    grid: VolumeGrid | None = None
    doubt: float | None = None  # what was fitted first tells best: fine levels meet more noise
    for frame, steps in plan:
        if grid is None or depth is not None:
            outliers = config.mask_outliers
            hull = hull_distance(photos, frame, device=device, outliers=outliers, enough=BAND)
        fused = None if depth is None else depth.fuse(frame)
        measured = None if fused is None else fused.anchor(hull)
        rays.focus(frame)
        if grid is not None:
            values = _finer(grid)
        else:
            values = _start(hull if fused is None else fused.over(hull))
            if config.carve.steps and fused is None and len(photos) >= config.carve.least_photos:
                carving = part(progress, _CARVE_TIME)
                values, error = carve_hollows(values[..., 3], rays, config.carve, BAND, carving)
                doubt = None if error is None else _doubt(error, contrast(rays.bank), config)
        shiny = config.shiny == "on" or (config.shiny == "auto" and (doubt or 1.0) > _SHINY)
        grid = VolumeGrid(values, measured=measured, shiny=shiny)
        time = part(progress, 1.0 if done + steps == total else _EARLY_TIME)
        left = _fit_level(grid, rays, config, (done, steps, total), time)
        doubt = left if doubt is None else doubt
        done += steps
    assert grid is not None
    return Volume(grid.values, frame)


def _plan(
    photos: Sequence[Photo], box: NDArray[np.floating], config: VolumeConfig
) -> list[tuple[GridFrame, int]]:
    """The grid and the number of steps of each level."""
    frame = GridFrame.around(box, _start_resolution(photos, box, config))
    covered = sum(
        photo.rgb[..., 0].size if photo.mask is None else int(np.count_nonzero(photo.mask))
        for photo in photos
    )
    plan = []
    for level, most in enumerate(config.steps):
        frame = frame.refined if level else frame
        pixels = covered * shrink_factor(photos, frame) ** 2
        steps = int(config.epochs * pixels / config.rays_per_step)
        plan.append((frame, min(most, max(steps, config.min_steps))))
    return plan


def _finer(grid: VolumeGrid) -> Tensor:
    values = upsample(grid.values)
    values[..., 3] = (2 * values[..., 3]).clamp(-BAND, BAND)
    return values


def _start_resolution(
    photos: Sequence[Photo], box: NDArray[np.floating], config: VolumeConfig
) -> int:
    """Grid vertices of the coarsest level along the longest side."""
    finest = GridFrame.around(box, config.resolution)
    pixels = shrink_factor(photos, finest, limit=False) * config.pixels_per_voxel
    resolution = config.resolution * min(1.0, 1.0 / pixels)
    coarsening: int = 2 ** (config.levels - 1)
    return max(24, -(-int(resolution) // coarsening))


def _fit_level(
    grid: VolumeGrid,
    rays: Rays,
    config: VolumeConfig,
    span: tuple[int, int, int],
    progress: Progress,
) -> float:
    """Train the grid.

    Returns:
        How little of the photos' contrast is explained, 1 for well enough.
    """
    first, steps, total = span
    error = torch.zeros((), device=grid.device)
    texture, doubt = contrast(rays.bank), 1.0
    after = total - first - steps
    for step, here in walk(progress, "volume", steps, before=first, after=after):
        if step % _FOCUS_EVERY == 0:
            grid.focus(BAND - 0.01)
        overall = (first + here * steps) / total
        errors = grid.train(
            rays.bank,
            rays.draw(config.rays_per_step),
            sharpness=_between(config.sharpness, here),
            loss=LossTerms(),
            adam=_adam(config, here, overall, doubt),
            seed=config.seed + first + step,
        )
        error = error + errors.mean()
        if (step + 1) % _FOCUS_EVERY == 0 or step + 1 == steps:
            mean = float(error) / (step % _FOCUS_EVERY + 1) / 3
            progress("volume", first + step + 1, total, psnr=-10 * math.log10(max(mean, 1e-9)))
            error.zero_()
            doubt = _doubt(mean, texture, config)
    return doubt


def _doubt(error: float, texture: float, config: VolumeConfig) -> float:
    # What is left of the photos' own contrast is highlights, exposure and noise: the less clearly
    # photos speak about the shape, the smoother it is held.
    return min(max(_CLEAR * error / max(texture, 1e-9), 1.0), config.most_smooth)


def _adam(config: VolumeConfig, here: float, overall: float, doubt: float) -> Adam:
    late = max(0.0, (here - _COOL_FROM) / (1 - _COOL_FROM))
    cool = 1.0 - (1.0 - config.cool) * late
    return Adam(
        rate_color=config.rate_color * cool,
        rate_distance=config.rate_distance * cool,
        rate_shine=config.rate_shine * cool,
        epsilon=config.epsilon,
        eikonal=config.eikonal,
        smooth=_between(config.smooth, overall) * doubt,
        smooth_plain=max(
            _between(config.smooth_plain, overall), _between(config.smooth, overall) * doubt
        ),
        plain=config.plain,
        anchor=_between(config.depth.weight, overall),
        band=BAND,
    )


def _between(ends: tuple[float, float], share: float) -> float:
    """Geometric interpolation, the natural one for scales and weights."""
    return float(ends[0] * (ends[1] / ends[0]) ** share)


def _start(distance: Tensor) -> Tensor:
    values = torch.full((*distance.shape, 4), 0.5, device=distance.device)
    values[..., 3] = distance.clamp(-BAND, BAND)
    # The margin stays empty, so that the surface closes, and so that places beyond the box that few
    # photos see, all of them within the mask, do not start as solid.
    for axis in range(3):
        for layer in range(_FREE):
            for end in (layer, -1 - layer):
                values.select(axis, end)[..., 3] = BAND
    return values
