# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.testing import assert_close

from photocast.geometry.redistance import redistance

BAND = 3.0


def grid(*size):
    axes = [torch.arange(n, dtype=torch.float64) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def ball(size=(21, 20, 19), radius=6.3):
    center = (torch.tensor(size, dtype=torch.float64) - 1) / 2
    return (grid(*size) - center).norm(dim=-1) - radius


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_along_an_axis_is_exact(axis):
    exact = grid(12, 13, 14)[..., axis] - 5.3
    found = redistance(7 * exact, BAND)
    assert_close(found, exact.clamp(-BAND, BAND))


def test_a_ball_is_found_to_a_tenth_of_the_distance_from_any_function_with_its_zero():
    exact = ball()
    for field in (exact, exact * (1.5 + exact.sin()), exact.sinh()):
        found = redistance(field, BAND)
        error = (found - exact.clamp(-BAND, BAND)).abs()
        assert (error <= 0.12 * exact.abs() + 0.25).all()
        assert error.mean() < 0.08
        near = exact.abs() < 0.5
        assert error[near].mean() < 0.15


def test_signs_stay_and_the_band_holds():
    random = torch.Generator().manual_seed(0)
    field = torch.randn(9, 10, 11, generator=random)
    field = torch.nn.functional.avg_pool3d(field[None, None], 3, 1, 1)[0, 0]
    found = redistance(field, 2.0)
    assert torch.isfinite(found).all()
    assert found.abs().max() <= 2
    assert torch.equal(found < 0, field < 0)


def test_the_surface_stays_where_the_function_crosses_zero():
    field = ball() * 5
    found = redistance(field, BAND)
    for axis in range(3):
        count = field.shape[axis]
        low, high = (found.narrow(axis, k, count - 1) for k in (0, 1))
        low0, high0 = (field.narrow(axis, k, count - 1) for k in (0, 1))
        crossed = (low0 < 0) != (high0 < 0)
        was, now = low0 / (low0 - high0), low / (low - high)
        assert (was - now)[crossed].abs().max() < 0.25
        assert (was - now)[crossed].abs().mean() < 0.08


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_without_a_surface_all_is_as_far_as_the_band(value):
    found = redistance(torch.full((5, 6, 7), value), BAND)
    assert_close(found, torch.full((5, 6, 7), value * BAND))


def test_a_value_of_zero_is_outside_and_makes_no_nan():
    field = torch.ones(5, 5, 5)
    field[2, 2, 2] = -1.0
    field[2, 2, 3] = 0.0
    found = redistance(field, BAND)
    assert torch.isfinite(found).all()
    assert found[2, 2, 2] < 0
    assert found[2, 2, 3] == 0
