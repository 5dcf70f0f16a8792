# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What no photo saw takes the colours around it, over the surface and between charts."""

import numpy as np
import pytest
import trimesh

from photocast.config import UnwrapConfig
from photocast.data import Mesh
from photocast.stages.texture_fill import fill_gutters, surface_texels, vertex_spread
from photocast.stages.unwrap import unwrap


def blob() -> Mesh:
    """A sphere with bumps: charts, curvature, no symmetry."""
    sphere = trimesh.creation.icosphere(4)
    v = sphere.vertices
    radius = 0.85 + 0.12 * np.sin(3 * v[:, 0] + 1) * np.cos(4 * v[:, 1]) * np.cos(2 * v[:, 2])
    return Mesh((v * radius[:, None]).astype(np.float32), sphere.faces.astype(np.int32))


def waves(place):
    return 0.5 + 0.35 * np.sin(9 * place + [0, 1, 2])


@pytest.fixture(scope="module")
def bare() -> Mesh:
    return unwrap(blob(), UnwrapConfig(size=256))


def test_a_texel_knows_its_place_on_the_surface(bare):
    texels = surface_texels(bare, 256)
    assert len(np.unique(texels.index)) == len(texels.index)
    np.testing.assert_allclose(texels.bary.sum(axis=1), 1, atol=1e-5)
    # UVs per vertex are unique inside a chart: find the one of the corner that is nearest.
    center = np.stack([texels.index % 256, texels.index // 256], axis=1) + 0.5
    corner_uv = {}
    for face, uv_face in zip(bare.faces, bare.uv_faces, strict=True):
        corner_uv[tuple(face)] = bare.uvs[uv_face]
    uv = np.array([corner_uv[tuple(v)] for v in texels.vertex])
    np.testing.assert_allclose((uv * texels.bary[..., None]).sum(axis=1) * 256, center, atol=1e-3)


def test_colours_spread_over_the_surface_within_their_range(bare):
    texels = surface_texels(bare, 256)
    place = (bare.vertices[texels.vertex] * texels.bary[..., None]).sum(axis=1)
    color = waves(place).astype(np.float32)
    trust = (bare.vertices[texels.vertex[:, 0], 2] > 0.3).astype(np.float32)
    spread = vertex_spread(bare, texels, color, trust)
    seen = color[trust > 0]
    assert (spread >= seen.min(axis=0) - 2e-3).all()
    assert (spread <= seen.max(axis=0) + 2e-3).all()
    high = bare.vertices[:, 2] > 0.5
    assert np.abs(spread - waves(bare.vertices))[high].mean() < 0.03


def test_gutters_keep_what_is_known_and_invent_no_new_colour():
    rng = np.random.default_rng(0)
    image = rng.random((37, 50, 3)).astype(np.float32)
    known = rng.random((37, 50)) < 0.05
    filled = fill_gutters(image, known)
    np.testing.assert_array_equal(filled[known], image[known])
    assert (filled >= image[known].min(axis=0) - 1e-6).all()
    assert (filled <= image[known].max(axis=0) + 1e-6).all()
