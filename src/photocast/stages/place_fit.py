# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Move cameras until the model looks like the photos.

First by pictures: the model is drawn, and outlines and colours pull at the cameras through the
renderer. Then photos are matched with each other on the surface (:mod:`pose_fit`).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional as F

from photocast.config import PoseConfig
from photocast.data import Mesh, Photo
from photocast.geometry.pose_steps import OWN, SHARED, Cameras, stepped
from photocast.progress import Progress
from photocast.stages.place_targets import CUT, Model
from photocast.stages.pose_fit import Free, fit_cameras, measure_scales, unmoved
from photocast.stages.pose_samples import gather, pictures

__all__ = ["at_size", "by_photos", "by_pictures"]

_SAMPLES = (4096, 256)
_EACH = PoseConfig(iterations=5, blurs=(1.2,), prior_pose=1.0, prior_mask=0.3)
_STRAY = 6.0  # px: how far cameras are expected to stray from each other, at size CUT
_LENS = 4.0  # px: how far the focal length moves what lies at the rim of the object
_LEAST_VIEWS = 3
_GAIN = (0.75, 1.33)


def at_size(cameras: Cameras, size: int, now: int = CUT) -> Cameras:
    """Cameras of squares for another size of the squares [px]."""
    return replace(cameras, intrinsics=cameras.intrinsics * (size / now))


def by_photos(mesh: Mesh, cameras: Cameras, cuts: Sequence[Photo], size: int) -> Cameras:
    """Move each camera a little, so that photos agree on the surface; needs three of them."""
    if len(cuts) < _LEAST_VIEWS:
        return cameras
    shown = pictures(cuts, size, _EACH.blurs, cameras.middle.device)
    small = at_size(cameras, size)
    samples = gather(mesh, small, shown, _SAMPLES)
    scales = measure_scales(small, samples, shown)
    fitted = fit_cameras(unmoved(small), samples, shown, scales, _EACH, Free(poses=True))
    return at_size(fitted.cameras, CUT, size)


def by_pictures(
    model: Model,
    cameras: Cameras,
    wanted: Float32[Tensor, "view h w 4"],
    steps: int,
    progress: Progress,
) -> Cameras:
    """Move cameras down the difference between drawn pictures and photos.

    Args:
        model: The object.
        cameras: Of the squares at :data:`CUT`.
        wanted: The squares, at any size.
        steps: Of Adam.
        progress: Called as ``place``; may raise ``Cancelled``.
    """
    size = wanted.shape[1]
    start = at_size(cameras, size)
    views, device = len(start.middle), wanted.device
    own = torch.zeros((views, OWN), device=device, requires_grad=True)
    common = torch.zeros(SHARED, device=device, requires_grad=True)
    free = torch.ones(SHARED, device=device)
    free[1:3] = 0  # the principal point
    adam = torch.optim.Adam([own, common], betas=(0.8, 0.95))
    for step in range(steps):
        adam.param_groups[0]["lr"] = 0.4 * (1 - step / steps) + 0.01
        moved = stepped(start, own, common * free)
        loss = _difference(model.drawn(moved, size), wanted)
        stray = own.square().sum() / (_STRAY * size / CUT) ** 2 / views
        lens = (common[0] / (_LENS * size / CUT)).square()
        adam.zero_grad()
        (loss + 1e-3 * (stray + lens)).backward()
        adam.step()
        progress("place", 1, 2, loss=float(loss.detach()))
    with torch.no_grad():
        return at_size(stepped(start, own, common * free), CUT, size)


def _difference(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference at two sizes; photos may be lighter or darker per channel."""
    with torch.no_grad():
        inside = ((drawn[..., 3] > 0.9) & (wanted[..., 3] > 0.9)).float()[..., None]
        ours, theirs = drawn[..., :3] * inside, wanted[..., :3] * inside
        gain = (ours * theirs).sum((1, 2)) / ours.square().sum((1, 2)).clamp(min=1e-6)
        gain = gain.clamp(*_GAIN)
        scale = torch.cat([gain, torch.ones_like(gain[:, :1])], 1)[:, None, None]
    away = (drawn * scale - wanted).permute(0, 3, 1, 2)
    return away.abs().mean() + F.avg_pool2d(away, 4).abs().mean()
