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


def solved(stiffness, b):
    """The specification, dense: each edge of the mesh pulls its ends together."""
    matrix = torch.eye(COUNT, dtype=torch.float64)
    for i, j in SPHERE.edges_unique.tolist():
        matrix[[i, j], [i, j]] += stiffness
        matrix[[i, j], [j, i]] -= stiffness
    return torch.linalg.solve(matrix, b.double()).float()


@pytest.mark.parametrize("stiffness", [0.0, 1.0, 30.0])
def test_solving_undoes_applying(stiffness):
    operator = Diffusion(FACES, COUNT, stiffness)
    x = torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0))
    back = solved(stiffness, operator.apply(x))
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
    spread = operator.smooth(spike, steps=100)
    assert (spread > 0).float().mean() > 0.5
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize(("stiffness", "left"), [(0.5, 1e-4), (3.0, 1e-2), (10.0, 0.1)])
def test_smoothing_comes_close_to_the_exact_solution(stiffness, left):
    operator = Diffusion(FACES, COUNT, stiffness)
    b = torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0))
    exact = solved(stiffness, b)
    assert (operator.smooth(b) - exact).norm() < left * exact.norm()
