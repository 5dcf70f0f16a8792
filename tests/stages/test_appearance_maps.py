# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Finished maps keep what is known and are sound everywhere else."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from photocast.config import UnwrapConfig
from photocast.stages.appearance import Appearance
from photocast.stages.appearance_maps import finished_material
from photocast.stages.lit import layout_of
from photocast.stages.map_fill import surface_texels
from photocast.stages.unwrap import unwrap

SIZE = 128


@pytest.fixture(scope="module")
def mesh(textured_sphere):
    return unwrap(textured_sphere, UnwrapConfig(size=SIZE))


@pytest.fixture(scope="module")
def layout(mesh):
    return layout_of(mesh, torch.device("cpu"))[2]


@pytest.fixture(scope="module")
def texels(layout):
    found = surface_texels(layout, SIZE)
    return SimpleNamespace(**{name: getattr(found, name).numpy() for name in found.__slots__})


@pytest.fixture(scope="module")
def height(mesh, texels):
    """World y of each covered texel."""
    corners = mesh.vertices[texels.vertex]
    return (corners * texels.bary[..., None]).sum(axis=1)[:, 1]


def appearance(texels, base=0.5, trust=1.0, gloss=(0.4, 0.7, 0.1, -0.2)):
    """Numbers on the surface, green noise between the charts, where nothing is trusted."""
    whole = np.tile(np.array([0.0, 1.0, 0.0], np.float32), (SIZE * SIZE, 1))
    whole[texels.index] = base
    weight = np.zeros(SIZE * SIZE, np.float32)
    weight[texels.index] = trust
    spoiled = np.array([0.9, 0.9, 0.5, 0.5], np.float32)
    half = np.tile(spoiled, (SIZE // 2, SIZE // 2, 1))
    touched = np.zeros(SIZE * SIZE, bool)
    touched[texels.index] = True
    half[touched.reshape(SIZE // 2, 2, SIZE // 2, 2).any(axis=(1, 3))] = gloss
    return Appearance(
        base=torch.from_numpy(whole).view(SIZE, SIZE, 3),
        gloss=torch.from_numpy(half),
        environment=torch.ones(32, 64, 3),
        trust=torch.from_numpy(weight).view(SIZE, SIZE),
    )


def test_what_photos_know_stays_to_the_last_bit(layout, texels):
    known = np.random.default_rng(0).random((len(texels.index), 3)).astype(np.float32)
    material = finished_material(layout, appearance(texels, known))
    np.testing.assert_array_equal(material.base_color.reshape(-1, 3)[texels.index], known)


def test_between_the_charts_nothing_of_the_noise_is_left(layout, texels):
    material = finished_material(layout, appearance(texels, (0.6, 0.2, 0.1)))
    shape = material.base_color.shape
    np.testing.assert_allclose(
        material.base_color, np.broadcast_to(np.float32([0.6, 0.2, 0.1]), shape), atol=1e-5
    )
    np.testing.assert_allclose(material.roughness, 0.4, atol=1e-3)
    np.testing.assert_allclose(material.metallic, 0.7, atol=1e-3)


def test_unseen_texels_take_the_values_around_them(layout, texels, height):
    """Red above, blue below, and a belt that nobody saw, holding green."""
    color = np.where(height[:, None] > 0, [1.0, 0, 0], [0, 0, 1.0]).astype(np.float32)
    belt = np.abs(height) < 0.35
    color[belt] = (0, 1, 0)
    found = appearance(texels, color, np.where(belt, 0, 1).astype(np.float32))
    result = finished_material(layout, found).base_color.reshape(-1, 3)[texels.index]
    assert result[belt, 1].max() < 0.02
    np.testing.assert_allclose(result[belt].sum(axis=1), 1, atol=0.02)
    order = np.argsort(height[belt])
    red = result[belt][order, 0]
    assert red[:50].mean() < 0.3
    assert red[-50:].mean() > 0.7
    np.testing.assert_array_equal(result[~belt], color[~belt])


def test_hardly_seen_texels_are_mixed_with_their_surroundings(layout, texels, height):
    color = np.full((len(height), 3), 0.2, np.float32)
    trust = np.ones(len(height), np.float32)
    faint = height > 0.8
    color[faint], trust[faint] = 0.9, 0.005  # a fourth of what counts as known
    result = finished_material(layout, appearance(texels, color, trust)).base_color
    middle = result.reshape(-1, 3)[texels.index][faint]
    assert (middle > 0.25).all()
    assert (middle < 0.901).all()
    assert np.median(middle) < 0.75


def test_normals_are_unit_and_lean_as_found(layout, texels):
    normal = finished_material(layout, appearance(texels)).normal
    assert normal.dtype == np.float32
    assert normal.shape == (SIZE // 2, SIZE // 2, 3)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(normal[..., :2], np.full_like(normal[..., :2], 0.1) * [1, -2],
                               atol=1e-3)  # fmt: skip
    steep = finished_material(layout, appearance(texels, gloss=(0.4, 0.0, 0.9, 0.9))).normal
    np.testing.assert_allclose(np.linalg.norm(steep, axis=-1), 1, atol=1e-6)
    assert (steep[..., 2] > 0).all()


def test_without_any_photo_the_maps_are_still_numbers_in_range(layout, texels):
    material = finished_material(layout, appearance(texels, trust=0.0))
    for image in (material.base_color, material.roughness, material.metallic):
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1
    assert np.isfinite(material.normal).all()
    assert material.unlit is False
