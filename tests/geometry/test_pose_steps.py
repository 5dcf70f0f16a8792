# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Derivatives of cameras are exact, the arrow is solved, and the gauge takes out what it must."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from photocast.geometry.pose_steps import (
    OWN,
    SHARED,
    Cameras,
    jacobian,
    similarity_gauge,
    solve_arrow,
    stepped,
)


@pytest.fixture
def cameras():
    torch.manual_seed(0)
    turns = torch.linalg.qr(torch.randn(9, 3, 3, dtype=torch.float64))[0]
    turns = turns * torch.linalg.det(turns).sign()[:, None, None]
    middle = torch.tensor([0.1, -0.2, 4.0], dtype=torch.float64) + 0.2 * torch.randn(9, 3).double()
    numbers = torch.tensor([300.0, 310.0, 160.0, 120.0], dtype=torch.float64).expand(9, 4)
    return Cameras(turns, middle, numbers, radius=0.8)


@pytest.fixture
def points():
    return torch.randn(40, 3, generator=torch.Generator().manual_seed(1)).double() * 0.5


def test_the_derivative_is_what_a_small_step_does(cameras, points):
    torch.manual_seed(2)
    everywhere = points.expand(9, -1, -1)
    before, by = jacobian(cameras, everywhere)
    own, common = torch.randn(9, OWN).double(), torch.randn(SHARED).double()
    small = 1e-5
    after, _ = jacobian(stepped(cameras, small * own, small * common), everywhere)
    unknowns = torch.cat([own[:, : OWN - 1], common.expand(9, -1)], 1)
    told = (by @ unknowns[:, None, :, None])[..., 0]
    assert_close((after - before) / small, told, rtol=1e-3, atol=1e-3)


def test_every_unknown_moves_the_object_by_about_a_pixel(cameras, points):
    _, by = jacobian(cameras, points.expand(9, -1, -1))
    size = by.norm(dim=2).square().mean((0, 1)).sqrt()
    assert (size > 0.2).all(), size
    assert (size < 2.5).all(), size


def test_the_arrow_is_solved_as_the_full_system():
    torch.manual_seed(3)
    rows = torch.randn(4, 60, OWN + SHARED, dtype=torch.float64)
    residual = torch.randn(4, 60, dtype=torch.float64)
    own_prior, shared_prior = torch.rand(OWN).double(), torch.rand(SHARED).double()
    full = torch.zeros(4 * OWN + SHARED, 4 * OWN + SHARED, dtype=torch.float64)
    force = torch.zeros(4 * OWN + SHARED, dtype=torch.float64)
    for view in range(4):
        at = torch.cat([torch.arange(OWN) + view * OWN, torch.arange(SHARED) + 4 * OWN])
        full[at[:, None], at] += rows[view].mT @ rows[view]
        force[at] += rows[view].mT @ residual[view]
    full += torch.diag(torch.cat([own_prior.repeat(4), shared_prior]))
    wanted = -torch.linalg.solve(full, force)
    own, common = solve_arrow(
        rows.mT @ rows, (rows.mT @ residual[..., None])[..., 0], own_prior, shared_prior
    )
    assert_close(torch.cat([own.flatten(), common]), wanted)


def test_the_gauge_undoes_a_change_of_the_world(cameras, points):
    world = torch.tensor([0, 0, 0, 3.0, -2, 4, 1, 2, -3, 5], dtype=torch.float64)
    moved = stepped(cameras, torch.zeros(9, OWN).double(), world)
    back = similarity_gauge(moved, cameras, points)
    assert float((moved.middle - cameras.middle).abs().max()) > 0.01
    assert_close(back.rotation, cameras.rotation, atol=1e-7, rtol=0)
    assert_close(back.middle, cameras.middle, atol=1e-7, rtol=0)


def test_after_the_gauge_the_object_moves_nowhere_on_average(cameras, points):
    torch.manual_seed(4)
    noisy = stepped(cameras, 3 * torch.randn(9, OWN).double(), torch.zeros(SHARED).double())
    still = similarity_gauge(noisy, cameras, points)
    seen, by = jacobian(still, points.expand(9, -1, -1))
    wanted, _ = jacobian(cameras, points.expand(9, -1, -1))
    pull = by[..., -7:].flatten(0, 2).mT @ (seen - wanted).flatten()
    assert float(pull.abs().max()) < 1e-5 * float(by.square().sum())


def test_a_changed_lens_is_not_mistaken_for_a_changed_world(cameras, points):
    lens = replace(cameras, intrinsics=cameras.intrinsics + 5)
    still = similarity_gauge(lens, cameras, points)
    assert_close(still.middle, cameras.middle, atol=1e-9, rtol=0)
