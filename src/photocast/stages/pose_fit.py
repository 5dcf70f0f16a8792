# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Gauss-Newton on the cameras, with the shape held fixed.

Residuals: a vertex's local contrast in one photo against its mean in the others, and the distance
between the outlines of model and mask. Each view also has an offset of its mask, so that a mask
that is too tight or too wide everywhere does not move its camera.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from photocast.config import PoseConfig
from photocast.geometry.pose_steps import OWN, SHARED, Cameras, jacobian, solve_arrow, stepped
from photocast.stages.pose_samples import Pictures, Samples, look_up

__all__ = [
    "Fitted",
    "Free",
    "Scales",
    "costs",
    "fit_cameras",
    "measure_scales",
    "outline_errors",
    "unmoved",
]

_FIXED = 1e9  # prior weight of what must not move
_CORRELATED = 0.1  # samples overlap and share the shape's errors: each counts as a tenth
_LOOSE = 20.0  # the shape may move this much more easily than the lens
_MOST_OUTLINE = 16.0  # px
_CLEAN = 1.0  # px: outlines that scatter less are trusted fully


@dataclass(frozen=True, slots=True)
class Free:
    """What may change."""

    poses: bool = False
    shift: bool = False
    focal: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Changed cameras."""

    cameras: Cameras
    own: Tensor
    """(view, 7): the sum of all steps, in pixels; last the offset of the mask."""
    common: Tensor
    """(10,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Typical sizes of the residuals, from the first look, so that costs can be compared."""

    contrast: Tensor
    outline: Tensor
    """[px]"""
    dead: Tensor
    """Outline residuals well below this say nothing about the camera [px]."""


def unmoved(cameras: Cameras) -> Fitted:
    """Where fitting starts."""
    own = cameras.units.new_zeros(len(cameras.units), OWN)
    return Fitted(cameras, own, own.new_zeros(SHARED))


def fit_cameras(
    start: Fitted,
    samples: Samples,
    shown: Pictures,
    scales: Scales,
    config: PoseConfig,
    free: Free,
    half: bool | None = None,
    views: Tensor | None = None,
) -> Fitted:
    """Change cameras until model and photos agree.

    Args:
        start: Cameras of the reduced photos, and how far they were moved already.
        samples: Places to compare.
        shown: The reduced photos.
        scales: Sizes of the residuals.
        config: Iterations and priors.
        free: What may change.
        half: Use only one half of the places; None uses all.
        views: Trust in each view (view,), 0 leaves it out; None is 1 for all.
    """
    fitted = start
    own_prior, shared_prior = _priors(start.own, config, free)
    used = _used(samples, half, views)
    for blur in range(len(shown.contrast)):
        for _ in range(config.iterations):
            hessian, gradient = _normal_equations(fitted, samples, shown, scales, used, blur)
            # what is fixed stays where it is, it is not pulled back
            pull = [
                torch.where(own_prior < _FIXED, own_prior, 0) * fitted.own,
                _spread(
                    torch.where(shared_prior < _FIXED, shared_prior, 0) * fitted.common,
                    len(hessian),
                ),
            ]
            move, change = solve_arrow(
                hessian, gradient + torch.cat(pull, 1), own_prior, shared_prior
            )
            fitted = Fitted(
                stepped(fitted.cameras, move, change), fitted.own + move, fitted.common + change
            )
    return fitted


def _spread(shared: Tensor, views: int) -> Tensor:
    return (shared / views).expand(views, SHARED)


def _priors(own: Tensor, config: PoseConfig, free: Free) -> tuple[Tensor, Tensor]:
    pose = config.prior_pose**-2 if free.poses else _FIXED
    focal, shift = (
        config.prior_lens**-2 if is_free else _FIXED for is_free in (free.focal, free.shift)
    )
    # beside poses the shape's place is not free: it would only be another name for their mean
    shape = _FIXED if free.poses else (_LOOSE * config.prior_lens) ** -2
    values = own.new_tensor([pose] * (OWN - 1) + [config.prior_mask**-2])
    return values, own.new_tensor([focal, shift, shift] + [shape] * (SHARED - 3))


def _used(samples: Samples, half: bool | None, views: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weights of surface and outline samples, (view, n) and (view, m)."""
    surface, rim = samples.weight, samples.rim_weight
    if half is not None:
        surface = surface * (samples.half(samples.surface) == half)
        rim = rim * (samples.half(samples.rim) == half)
    if views is not None:
        surface, rim = surface * views[:, None], rim * views[:, None]
    return surface, rim


def _normal_equations(
    fitted: Fitted,
    samples: Samples,
    shown: Pictures,
    scales: Scales,
    used: tuple[Tensor, Tensor],
    blur: int,
) -> tuple[Tensor, Tensor]:
    cameras = fitted.cameras
    views = len(cameras.middle)
    # every view that sees a vertex tells its contrast, also one that is not fitted itself
    pixels, by = jacobian(cameras, samples.surface.expand(views, -1, -1))
    value, slope = _values(shown.contrast[blur], pixels)
    residual, known = _against_others(value, samples.weight)
    weight = used[0] * known * _robust(residual / scales.contrast) / scales.contrast.square()
    contrast = _sums(residual, _chain(slope, by, 0.0), weight)

    pixels, by = jacobian(cameras, samples.rim)
    distance, slope = _values(shown.edge, pixels)
    offset = fitted.own[:, OWN - 1 :]
    residual = distance - samples.rim_offset + offset
    near = (distance.abs() < _MOST_OUTLINE).to(distance.dtype)
    weight = used[1] * near * _outline_weight(residual, scales)
    outline = _sums(residual, _chain(slope, by, 1.0), weight)
    return contrast[0] + outline[0], contrast[1] + outline[1]


def _values(stack: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    found = look_up(stack, pixels)
    return found[..., 0], found[..., 1:]


def _against_others(value: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """A view's value minus the mean of the others, and whether at least two others know it."""
    total, summed = weight.sum(0), (weight * value).sum(0)
    rest = total - weight
    mean = (summed - weight * value) / rest.clamp(min=1e-6)
    seen = (weight > 0).sum(0) - (weight > 0).to(torch.int64)
    return value - mean, (seen >= 2).to(value.dtype)


def _robust(relative: Tensor) -> Tensor:
    """Cauchy: what lies far out hardly pulls."""
    return 1 / (1 + (relative / 2).square())


def _outline_weight(residual: Tensor, scales: Scales) -> Tensor:
    relative = residual / scales.outline
    soft = residual.square() / (residual.square() + scales.dead.square()).clamp(min=1e-12)
    return _robust(relative) * soft / scales.outline.square()


def _chain(slope: Tensor, by: Tensor, mask: float) -> Tensor:
    """Derivatives by a view's 7 own and the 10 shared unknowns, (view, n, 17)."""
    rows = slope[..., :1] * by[..., 0, :] + slope[..., 1:] * by[..., 1, :]
    offset = torch.full_like(rows[..., :1], mask)
    return torch.cat([rows[..., : OWN - 1], offset, rows[..., OWN - 1 :]], -1)


def _sums(residual: Tensor, rows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    weighted = rows * (_CORRELATED * weight)[..., None]
    return weighted.mT @ rows, (weighted.mT @ residual[..., None])[..., 0]


def measure_scales(cameras: Cameras, samples: Samples, shown: Pictures) -> Scales:
    """Sizes of the residuals before anything is changed."""
    value, _ = _values(shown.contrast[-1], _project(cameras, samples.surface))
    residual, known = _against_others(value, samples.weight)
    contrast = _median(residual.abs(), samples.weight * known)
    outline, near = _outline_residual(cameras, samples, shown)
    offset = _offsets(outline, near)
    size = _median((outline - offset[:, None]).abs(), near)
    dead = (1.48 * size - _CLEAN).clamp(min=0, max=5)
    return Scales((1.48 * contrast).clamp(min=0.05), (1.48 * size).clamp(min=0.3), dead)


def costs(
    cameras: Cameras,
    samples: Samples,
    shown: Pictures,
    scales: Scales,
    *,
    half: bool | None = None,
) -> Tensor:
    """Robust misfit of contrast and of outline in each view, (2, view): means over its places."""
    surface, rim = _used(samples, half, None)
    value, _ = _values(shown.contrast[-1], _project(cameras, samples.surface))
    residual, known = _against_others(value, samples.weight)
    weight = surface * known
    contrast = (weight * _cauchy(residual / scales.contrast)).sum(1)
    outline, near = _outline_residual(cameras, samples, shown)
    outline = outline - _offsets(outline, near)[:, None]
    edge = (rim * near * _cauchy(outline / scales.outline)).sum(1)
    parts = torch.stack([contrast, edge])
    counts = torch.stack([weight.sum(1), (rim * near).sum(1)])
    return parts / counts.clamp(min=1)


def _cauchy(relative: Tensor) -> Tensor:
    return 2 * torch.log1p((relative / 2).square())


def outline_errors(cameras: Cameras, samples: Samples, shown: Pictures) -> tuple[Tensor, Tensor]:
    """Per view, in pixels of the photo: how far outlines lie apart, and the mask's offset."""
    outline, near = _outline_residual(cameras, samples, shown)
    offset = _offsets(outline, near)
    apart = (near * (outline - offset[:, None]).abs().clamp(max=_MOST_OUTLINE / 2)).sum(1)
    return apart / near.sum(1).clamp(min=1) * shown.scale, -offset * shown.scale


def _offsets(outline: Tensor, near: Tensor) -> Tensor:
    """Typical distance of each view: the mean, with what lies far from the median cut."""
    middle = _view_medians(outline, near)[:, None]
    cut = (outline - middle).clamp(-2, 2) + middle
    return (near * cut).sum(1) / near.sum(1).clamp(min=1)


def _outline_residual(cameras: Cameras, samples: Samples, shown: Pictures) -> tuple[Tensor, Tensor]:
    distance, _ = _values(shown.edge, _project(cameras, samples.rim))
    near = samples.rim_weight * (distance.abs() < _MOST_OUTLINE)
    return distance - samples.rim_offset, near


def _project(cameras: Cameras, points: Tensor) -> Tensor:
    views = len(cameras.middle)
    return jacobian(cameras, points.expand(views, -1, -1) if points.ndim == 2 else points)[0]


def _median(values: Tensor, weight: Tensor) -> Tensor:
    found = torch.where(weight > 0, values, torch.nan).nanmedian()
    return torch.nan_to_num(found)


def _view_medians(values: Tensor, weight: Tensor) -> Tensor:
    found = torch.where(weight > 0, values, torch.nan).nanmedian(dim=1).values
    return torch.nan_to_num(found)
