# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotations that are spread evenly and projections that carry gradient."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from photocast.geometry.pose_clip import clip_from_object
from photocast.geometry.pose_steps import Cameras, jacobian
from photocast.geometry.rotations import angles_between, spread_rotations, turned


def test_every_rotation_has_a_neighbour_in_the_spread():
    spread = torch.from_numpy(spread_rotations(600))
    any_of = torch.from_numpy(Rotation.random(500, random_state=0).as_matrix())
    nearest = angles_between(any_of[:, None], spread[None]).amin(1)
    assert np.degrees(float(nearest.max())) < 26
    torch.testing.assert_close(spread @ spread.mT, torch.eye(3).double().expand(600, 3, 3))
    assert bool((torch.linalg.det(spread) > 0).all())


def test_turns_are_six_and_of_the_angle():
    start = torch.from_numpy(spread_rotations(4))
    tries = turned(start, 0.3)
    assert tries.shape == (4, 6, 3, 3)
    torch.testing.assert_close(
        angles_between(start[:, None], tries), torch.full((4, 6), 0.3).double()
    )


def test_clip_space_agrees_with_projected_pixels_and_carries_gradient_to_the_focal_length():
    random = torch.Generator().manual_seed(0)
    turns = torch.from_numpy(Rotation.random(3, random_state=1).as_matrix()).float()
    lens = torch.tensor([[80.0, 90.0, 33.0, 30.0]] * 3, requires_grad=True)
    middle = torch.tensor([[0.1, -0.2, 4.0]] * 3)
    cameras = Cameras(turns, middle, lens, 1.0)
    points = torch.rand(7, 3, generator=random) - 0.5
    pixels, _ = jacobian(cameras, points.expand(3, -1, -1))
    clip = clip_from_object(cameras, (60, 64), 0.9) @ torch.cat([points, torch.ones(7, 1)], 1).mT
    place = clip[:, :2] / clip[:, 3:]
    ours = (place.mT + 1) / 2 * torch.tensor([64.0, 60.0])
    torch.testing.assert_close(ours, pixels, atol=1e-3, rtol=1e-4)
    depth = (clip[:, 2] / clip[:, 3]).detach()
    assert bool((depth.abs() < 1).all())
    weight = torch.rand(3, 7, 2, generator=random)
    (wanted,) = torch.autograd.grad((pixels * weight).sum(), lens, retain_graph=True)
    (found,) = torch.autograd.grad((ours * weight).sum(), lens)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)
