# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which way round is the object? Try rotations of a set of cameras about it.

The cameras are right relative to each other, more or less, in a frame and a scale of their own.
For each rotation of the object in that frame, its place and size follow from the boxes around the
masks; then each camera is aimed so that the object fills its own box.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float32
from torch import Tensor

from photocast.geometry.pose_steps import Cameras
from photocast.geometry.rotations import angles_between, turned
from photocast.progress import Progress
from photocast.stages.place_targets import Model, likeness, overlap

__all__ = ["Search", "best_apart"]

_ROUNDS = 4
_POINTS = 400
_NEAREST = 0.3
"""In reaches of the object: cameras come no nearer to its middle."""
_STILL = 1e-3
_AT_ONCE = 64
"""Rotations that are drawn together."""


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What is compared, while rotations are tried."""

    model: Model
    given: Cameras
    """Of the squares, in their own frame, at the size of ``wanted``."""
    wanted: Float32[Tensor, "view h w 4"]
    start: Float32[Tensor, " 3"]
    """About where the object is, in the cameras' frame."""

    def rates(self, rotations: Float32[Tensor, "way 3 3"], progress: Progress) -> Tensor:
        """Rate rotations of the object: mean overlap plus half the mean likeness of colours."""
        rates = []
        for part in rotations.split(_AT_ONCE):
            progress("place", 0, 1)
            drawn = self.model.drawn(self.cameras(part), self.wanted.shape[1], smooth=False)
            drawn = drawn.view(len(part), *self.wanted.shape)
            alike = likeness(drawn, self.wanted).clamp(min=-1)
            rates.append((overlap(drawn, self.wanted) + 0.5 * alike).mean(1))
        return torch.cat(rates)

    def improved(
        self, rotations: Tensor, rates: Tensor, angle: float, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """Turn each by an angle [rad] about six axes, and keep what rates best."""
        tries = turned(rotations, angle)  # way 6 3 3
        found = self.rates(tries.flatten(0, 1), progress).view(len(rotations), -1)
        most, which = found.max(1)
        better = tries[torch.arange(len(which), device=which.device), which]
        gained = most > rates
        return torch.where(gained[:, None, None], better, rotations), torch.maximum(most, rates)

    def cameras(self, rotations: Tensor) -> Cameras:
        """The cameras as the object sees them, one rotation after the other."""
        ways, views = len(rotations), len(self.given.middle)
        points = self.model.points[:: max(1, len(self.model.points) // _POINTS)]
        masks = _mask_boxes(self.wanted[..., 3])
        away = (self.given.rotation @ self.start + self.given.middle).norm(dim=1).mean()
        scale = (away / (4 * self.model.reach)).expand(ways).clone()
        shift = self.start.expand(ways, 3)
        rotation = (self.given.rotation[None] @ rotations[:, None]).flatten(0, 1)
        cameras = self._placed(rotation, scale, shift)
        for _ in range(_ROUNDS):
            wish, ratio = self._misfit(cameras, points, masks)
            scale = scale * ratio.view(ways, views).median(1).values
            rows = self.given.rotation[:, :2].reshape(-1, 3)
            square = rows.mT @ rows + _STILL * torch.eye(3, device=rows.device)
            right = (wish.view(ways, -1) @ rows) * scale[:, None]
            shift = shift + torch.linalg.solve(square, right.mT).mT
            cameras = self._placed(rotation, scale, shift)
        for _ in range(_ROUNDS):
            wish, ratio = self._misfit(cameras, points, masks)
            middle = cameras.middle + torch.cat([wish, torch.zeros_like(wish[:, :1])], 1)
            cameras = replace(cameras, middle=middle / ratio[:, None])
        return cameras

    def _placed(self, rotation: Tensor, scale: Tensor, shift: Tensor) -> Cameras:
        """Cameras of an object that is scaled and shifted in their frame."""
        given = self.given
        moved = given.rotation @ shift[:, None, :, None]
        middle = (moved[..., 0] + given.middle) / scale[:, None, None]
        lens = given.intrinsics.repeat(len(scale), 1)
        return replace(given, rotation=rotation, middle=middle.flatten(0, 1), intrinsics=lens)

    def _misfit(
        self, cameras: Cameras, points: Tensor, masks: Tensor
    ) -> tuple[Float32[Tensor, "view 2"], Float32[Tensor, " view"]]:
        """Shift aside that centres the object in its mask's box, and what it is too small by."""
        local = points @ cameras.rotation.mT + cameras.middle[:, None]
        nearest = _NEAREST * self.model.reach
        flat = local[..., :2] / local[..., 2:].clamp(min=nearest)
        pixels = flat * cameras.intrinsics[:, None, :2] + cameras.intrinsics[:, None, 2:]
        low, high = pixels.amin(1), pixels.amax(1)
        masks = masks.repeat(1, len(low) // masks.shape[1], 1)
        ratio = (masks[1] - masks[0]).norm(dim=1) / (high - low).norm(dim=1)
        away = (masks[0] + masks[1] - low - high) / 2
        depth = cameras.middle[:, 2:].clamp(min=nearest)
        return away * depth / cameras.intrinsics[:, :2], ratio.clamp(0.5, 2.0)


def _mask_boxes(masks: Tensor) -> Float32[Tensor, "2 view 2"]:
    """Smallest and largest x and y of each mask [px]."""
    low, high = [], []
    for mask in masks > 0.5 * masks.amax((1, 2), keepdim=True):
        y, x = mask.nonzero().unbind(1)
        low.append(torch.stack([x.min(), y.min()]))
        high.append(torch.stack([x.max(), y.max()]) + 1)
    return torch.stack([torch.stack(low), torch.stack(high)]).float()


def best_apart(rotations: Tensor, rates: Tensor, count: int, apart: float) -> Tensor:
    """Indices of the best, none within an angle [rad] of a better one."""
    chosen: list[int] = []
    for index in rates.argsort(descending=True, stable=True).tolist():
        others = rotations[chosen]
        if not chosen or float(angles_between(others, rotations[index]).min()) > apart:
            chosen.append(index)
        if len(chosen) == count:
            break
    return torch.tensor(chosen, device=rates.device)
