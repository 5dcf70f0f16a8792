# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Small changes of cameras: derivatives, normal equations of an arrow's shape, the gauge.

A camera is changed by turning and shifting the object in its frame, about the object's middle:
X' = exp(w) R x + t + v, with x relative to that middle. So turning and shifting hardly disturb each
other. Every unknown is measured in pixels: by how much it moves what lies one object radius away.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["OWN", "SHARED", "Cameras", "jacobian", "similarity_gauge", "solve_arrow", "stepped"]

OWN = 7
"""Unknowns of one view: 3 turn, 3 shift, 1 offset of its mask."""
SHARED = 10
"""Shared unknowns: focal length, principal point x and y; and 7 of the shape: turn, shift, size.

The shape was fitted with the cameras as they were, so it has already given way to what is wrong
with the lens; here it may come back. It is fitted again afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class Cameras:
    """Cameras that look at an object."""

    rotation: Tensor
    """(view, 3, 3), camera from world."""
    middle: Tensor
    """(view, 3): the object's middle in each camera's frame."""
    intrinsics: Tensor
    """(view, 4): fx fy cx cy, continuous pixels."""
    radius: float
    """Of the object [world unit]."""

    @property
    def units(self) -> Tensor:
        """What one pixel is worth for w and v, (view, 6)."""
        depth = self.middle[:, 2]
        focal = self.intrinsics[:, :2].mean(1)
        turn = depth / (focal * self.radius)
        aside, along = depth / focal, depth.square() / (focal * self.radius)
        return torch.stack([turn, turn, turn, aside, aside, along], 1)

    @property
    def shared_units(self) -> Tensor:
        """The same for the shared unknowns, (10,)."""
        own = self.units.mean(0)
        one = torch.ones_like(own[:2])
        return torch.cat([own[:1], one, own[:3], own[3:4].expand(3), own[:1]])


def jacobian(cameras: Cameras, points: Tensor) -> tuple[Tensor, Tensor]:
    """Project points and differentiate.

    Args:
        cameras: V of them.
        points: Relative to the object's middle, (view, n, 3).

    Returns:
        Continuous pixels (view, n, 2), and their derivatives by the unknowns in pixels
        (view, n, 2, 16): 3 turn, 3 shift, then the 10 shared ones.
    """
    turned = points @ cameras.rotation.mT
    local = turned + cameras.middle[:, None]
    z = local[..., 2].clamp(min=1e-6 * cameras.radius)
    focal, principal = cameras.intrinsics[:, None, :2], cameras.intrinsics[:, None, 2:]
    flat = local[..., :2] / z[..., None] * focal
    fx, fy = focal[..., 0] / z, focal[..., 1] / z
    u, v, zero, one = flat[..., 0], flat[..., 1], torch.zeros_like(z), torch.ones_like(z)
    by_x, by_y = torch.stack([fx, zero, -u / z], -1), torch.stack([zero, fy, -v / z], -1)
    scale, shared = cameras.units[:, None], cameras.shared_units
    rows = []
    for axis, by in enumerate((by_x, by_y)):
        spin = torch.linalg.cross(turned, by)  # g . (w x X) = w . (X x g)
        lens = [(u, v)[axis], *((one, zero) if axis == 0 else (zero, one))]
        world = [spin @ cameras.rotation, by @ cameras.rotation, (turned * by).sum(-1, True)]
        own = torch.cat([spin, by], -1) * scale
        rows.append(torch.cat([own, torch.cat([torch.stack(lens, -1), *world], -1) * shared], -1))
    return flat + principal, torch.stack(rows, 2)


def solve_arrow(
    hessian: Tensor, gradient: Tensor, own_prior: Tensor, shared_prior: Tensor
) -> tuple[Tensor, Tensor]:
    """Solve normal equations whose views only meet in the shared unknowns.

    Args:
        hessian: (view, 17, 17), each view's sum of J^T J; own unknowns first.
        gradient: (view, 17), each view's sum of J^T r.
        own_prior: (7,) or (view, 7), added to the diagonal.
        shared_prior: (10,), added once to the diagonal of the shared unknowns.

    Returns:
        Steps that lower the residual: own (view, 7) and shared (10,).
    """
    own = hessian[:, :OWN, :OWN] + torch.diag_embed(own_prior.expand(len(hessian), OWN))
    mixed, shared = hessian[:, :OWN, OWN:], hessian[:, OWN:, OWN:].sum(0)
    right = torch.cat([mixed, gradient[:, :OWN, None]], 2)
    solved = torch.linalg.solve(own, right)
    reduced = shared + torch.diag(shared_prior) - (mixed.mT @ solved[..., :SHARED]).sum(0)
    force = gradient[:, OWN:].sum(0) - (mixed.mT @ solved[..., SHARED:]).sum(0)[:, 0]
    common = -torch.linalg.solve(reduced, force)
    return -solved[..., SHARED] - solved[..., :SHARED] @ common, common


def stepped(cameras: Cameras, own: Tensor, common: Tensor) -> Cameras:
    """Apply steps in pixels: own (view, 7), of which the mask's is ignored, and shared (10,)."""
    units, change = cameras.units, common * cameras.shared_units
    k = cameras.intrinsics
    moved = replace(
        cameras,
        rotation=torch.linalg.matrix_exp(_cross_matrix(own[:, :3] * units[:, :3]))
        @ cameras.rotation,
        middle=cameras.middle + own[:, 3:6] * units[:, 3:6],
        intrinsics=torch.cat([k[:, :2] * torch.exp(change[0]), k[:, 2:] + change[1:3]], 1),
    )
    return _similarly(moved, change[3:])


def _cross_matrix(w: Tensor) -> Tensor:
    zero = torch.zeros_like(w[:, 0])
    x, y, z = w.unbind(1)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)


def similarity_gauge(changed: Cameras, given: Cameras, points: Tensor) -> Cameras:
    """Move all cameras together until the object stays where it was, averaged over the photos.

    Photos cannot tell a change of all cameras and the object together; without this rule the
    object would drift away from cameras that are not refined, such as held-out ones. The average
    is over places in the photos, not over camera positions: far cameras that look the same way
    leave their positions much less sure than what they show.

    Args:
        changed: After the refinement.
        given: Before it.
        points: Of the object, relative to its middle, (n, 3).

    Returns:
        ``changed`` with the common turn, shift and scale of the world taken out.
    """
    moved = changed
    steady = replace(given, intrinsics=changed.intrinsics)
    everywhere = points.expand(len(given.middle), -1, -1)
    wanted, _ = jacobian(steady, everywhere)
    for _ in range(4):
        seen, by = jacobian(moved, everywhere)
        rows = by[..., -7:].flatten(0, 2)
        square = rows.mT @ rows
        still = 1e-9 * square.diagonal().mean() * torch.eye(7).to(square)
        step = torch.linalg.solve(square + still, rows.mT @ (wanted - seen).flatten())
        moved = _similarly(moved, step * moved.shared_units[3:])
    return moved


def _similarly(cameras: Cameras, step: Tensor) -> Cameras:
    """The cameras with the world turned, shifted and scaled before them: w, d, log s."""
    turn = torch.linalg.matrix_exp(_cross_matrix(step[None, :3]))[0]
    middle = (cameras.middle + cameras.rotation @ step[3:6]) / torch.exp(step[6])
    return replace(cameras, rotation=cameras.rotation @ turn, middle=middle)
