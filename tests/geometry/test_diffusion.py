# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The screened Laplacian: symmetric, exact on constants, inverted by its solver."""

import pytest
import torch
import trimesh

from photocast.geometry.diffusion import Diffusion

SPHERE = trimesh.creation.icosphere(3)
FACES = torch.from_numpy(SPHERE.faces)
COUNT = len(SPHERE.vertices)


@pytest.mark.parametrize("stiffness", [0.0, 1.0, 30.0])
def test_solving_undoes_applying(stiffness):
    operator = Diffusion(FACES, COUNT, stiffness)
    x = torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0))
    back = operator.solve(operator.apply(x), tolerance=1e-6, most_steps=400)
    torch.testing.assert_close(back, x, rtol=1e-3, atol=1e-3)


def test_the_operator_is_symmetric():
    operator = Diffusion(FACES, COUNT, 5.0)
    generator = torch.Generator().manual_seed(1)
    u, w = torch.randn(COUNT, 1, generator=generator), torch.randn(COUNT, 1, generator=generator)
    assert float((operator.apply(u) * w).sum()) == pytest.approx(
        float((u * operator.apply(w)).sum()), rel=1e-4
    )


def test_a_constant_passes_unchanged_and_is_not_rough():
    operator = Diffusion(FACES, COUNT, 7.0)
    ones = torch.ones(COUNT, 2)
    torch.testing.assert_close(operator.apply(ones), ones, rtol=1e-4, atol=1e-4)
    assert operator.roughness(ones).abs().max() < 1e-4


def test_a_spike_spreads_over_its_neighbours():
    operator = Diffusion(FACES, COUNT, 10.0)
    spike = torch.zeros(COUNT, 1)
    spike[0] = 1
    spread = operator.solve(spike, tolerance=1e-5, most_steps=200)
    assert (spread > 0).float().mean() > 0.5
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize(("stiffness", "left"), [(0.5, 1e-4), (3.0, 1e-2), (10.0, 0.1)])
def test_smoothing_comes_close_to_the_exact_solution(stiffness, left):
    ball = trimesh.creation.icosphere(3)
    faces = torch.from_numpy(ball.faces.copy()).int()
    operator = Diffusion(faces, len(ball.vertices), stiffness)
    b = torch.randn(len(ball.vertices), 3, generator=torch.Generator().manual_seed(0))
    exact = operator.solve(b, tolerance=1e-7, most_steps=500)
    assert (operator.smooth(b) - exact).norm() < left * exact.norm()
