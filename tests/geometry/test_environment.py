# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Maps, harmonics and lobes against integrals done the slow way."""

import math

import pytest
import torch
from torch.testing import assert_close

from photocast.geometry.environment import (
    COSINE_WEIGHTS,
    VISIBILITY_WEIGHTS,
    harmonics,
    lobe_filter,
    map_directions,
    pool_matrix,
    resize_map,
    split_sum_table,
    texel_solid_angles,
)

FINE = (256, 512)


def power(image):
    angles = texel_solid_angles(*image.shape[:2]).to(image)
    return (image.reshape(-1, image.shape[2]) * angles[:, None]).sum(0)


def random_map(height, width, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.rand(height, width, 3, generator=random, dtype=torch.float64).pow(4)


def smooth_map(seed=0):
    """Light of harmonics up to degree 2 alone, fine."""
    random = torch.Generator().manual_seed(seed)
    weights = torch.randn(9, 3, generator=random, dtype=torch.float64)
    return (harmonics(map_directions(*FINE)) @ weights).view(*FINE, 3)


@pytest.mark.parametrize("size", [(1, 1), (2, 4), (7, 11), (32, 64)])
def test_texels_cover_the_sphere(size):
    angles = texel_solid_angles(*size)
    assert len(angles) == size[0] * size[1]
    assert_close(angles.sum(), torch.tensor(4 * math.pi, dtype=torch.float64))


def test_texels_lie_where_the_layout_says():
    ways = map_directions(4, 8).view(4, 8, 3)
    assert_close(ways.norm(dim=-1), torch.ones(4, 8, dtype=torch.float64))
    assert (ways[0, :, 2] > 0.9).all()  # row 0 looks along +Z
    assert (ways[-1, :, 2] < -0.9).all()
    assert (ways[1, 0, :2] > 0).all()  # column 0 starts at +X and goes towards +Y
    turn = torch.atan2(ways[1, :, 1], ways[1, :, 0]) % (2 * math.pi)
    assert_close(turn.diff(), torch.full((7,), math.pi / 4, dtype=torch.float64))


@pytest.mark.parametrize("size", [(16, 32), (5, 7), (48, 100), (1, 1)])
def test_resizing_keeps_power_and_constants(size):
    image = random_map(24, 40)
    resized = resize_map(image, *size)
    assert resized.shape == (*size, 3)
    assert_close(power(resized), power(image))
    flat = resize_map(torch.full((9, 13, 2), 0.7), *size)
    assert_close(flat, torch.full((*size, 2), 0.7))


def test_resizing_to_the_same_size_changes_nothing_and_doubling_repeats():
    image = random_map(6, 10)
    assert_close(resize_map(image, 6, 10), image)
    twice = image.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert_close(resize_map(image, 12, 20), twice)


def test_pooling_is_resizing():
    image = random_map(12, 24).float()
    pooled = pool_matrix((12, 24), (5, 8)) @ image.view(-1, 3)
    assert_close(pooled.view(5, 8, 3), resize_map(image, 5, 8))


def test_harmonics_are_orthogonal_and_their_weights_undo_their_norms():
    """A sum of polynomials comes back from its projections, whatever the weights."""
    basis = harmonics(map_directions(*FINE))
    angles = texel_solid_angles(*FINE)
    gram = basis.T @ (basis * angles[:, None])
    norms = gram.diagonal()
    assert (gram - norms.diag()).abs().max() < 1e-3 * norms.max()
    cosine = torch.tensor(COSINE_WEIGHTS, dtype=torch.float64) * norms
    assert_close(cosine, torch.tensor([1, *[2 / 3] * 3, *[1 / 4] * 5]).double(), rtol=1e-3, atol=0)
    seen = torch.tensor(VISIBILITY_WEIGHTS, dtype=torch.float64) * norms
    assert_close(seen, torch.tensor([1, *[0.94] * 3, *[0.77] * 5]).double(), rtol=1e-3, atol=0)


def test_irradiance_of_a_smooth_map_is_exact_and_of_any_map_within_two_percent():
    ways, angles = map_directions(*FINE), texel_solid_angles(*FINE)
    random = torch.Generator().manual_seed(1)
    normals = torch.randn(40, 3, generator=random, dtype=torch.float64)
    normals /= normals.norm(dim=1, keepdim=True)
    cosine = (normals @ ways.T).clamp(min=0) * angles / math.pi
    for image, most in [(smooth_map(), 1e-3), (resize_map(random_map(8, 16), *FINE), 0.02)]:
        flat = image.view(-1, 3)
        exact = cosine @ flat
        weights = (harmonics(ways) * angles[:, None]).T @ flat
        weights = weights * torch.tensor(COSINE_WEIGHTS, dtype=torch.float64)[:, None]
        found = harmonics(normals) @ weights
        error = (found - exact).square().mean().sqrt() / exact.square().mean().sqrt()
        assert error < most


@pytest.mark.parametrize("roughness", [0.1, 0.3, 0.6, 1.0])
def test_a_lobe_spreads_light_and_makes_none(roughness):
    matrix = lobe_filter((32, 64), (16, 32), roughness)
    assert matrix.min() >= 0
    assert_close(matrix.sum(1), torch.ones(16 * 32))
    assert_close(matrix @ torch.full((32 * 64, 3), 2.5), torch.full((16 * 32, 3), 2.5))


def test_a_lobe_looks_where_its_mirror_direction_points_and_widens_with_roughness():
    ways, toward = map_directions(32, 64).float(), map_directions(16, 32).float()
    spread = []
    for roughness in (0.2, 0.45, 0.8):
        mean = lobe_filter((32, 64), (16, 32), roughness) @ ways
        unit = torch.nn.functional.normalize(mean, dim=1)
        assert (unit * toward).sum(1).min() > 0.99
        spread.append(1 - mean.norm(dim=1).mean())
    assert spread[0] < spread[1] < spread[2]


def brute_split_sum(roughness, nv, count=1200):
    """The same integral over directions of light, all over the hemisphere."""
    alpha2 = roughness**4
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    nl = u[:, None]
    turn = 2 * math.pi * u[None]
    light = torch.stack(
        torch.broadcast_tensors(
            (1 - nl**2).sqrt() * turn.cos(), (1 - nl**2).sqrt() * turn.sin(), nl
        ),
        -1,
    )
    view = torch.tensor([math.sqrt(1 - nv**2), 0, nv], dtype=torch.float64)
    half = torch.nn.functional.normalize(light + view, dim=-1)
    nh, vh = half[..., 2], half @ view
    density = alpha2 / (math.pi * (nh**2 * (alpha2 - 1) + 1) ** 2)
    lambdas = nl * (nv**2 * (1 - alpha2) + alpha2) ** 0.5
    lambdas = lambdas + nv * (nl**2 * (1 - alpha2) + alpha2).sqrt()
    brdf_cosine = density * 0.5 / lambdas * nl  # D G / (4 nl nv) nl
    weight = brdf_cosine * 2 * math.pi / count**2
    fresnel = (1 - vh) ** 5
    return (weight * (1 - fresnel)).sum(), (weight * fresnel).sum()


@pytest.mark.parametrize(("i", "j"), [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1), (3, 3)])
def test_the_split_sum_table_goes_to_the_integral_and_is_near_it_with_few_samples(i, j):
    exact = torch.stack(brute_split_sum(i / 3, j / 3)).float()
    assert_close(split_sum_table(4, 16384)[i, j], exact, rtol=0, atol=1.5e-3)
    assert_close(split_sum_table(4)[i, j], exact, rtol=0, atol=0.015)


def test_no_surface_reflects_more_than_it_gets():
    table = split_sum_table()
    assert torch.isfinite(table).all()
    assert table.min() >= 0
    assert table.sum(-1).max() <= 1.001
    assert table[0, -1, 0] > 0.99  # a mirror from above returns all
