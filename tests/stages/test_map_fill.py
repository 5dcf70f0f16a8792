# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What no photo saw takes the colours around it, over the surface and between charts."""

import numpy as np
import pytest
import torch
import trimesh

from photocast.config import UnwrapConfig
from photocast.data import Mesh
from photocast.stages.lit import layout_of
from photocast.stages.map_fill import completed, fill_gaps, surface_texels, vertex_values
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


@pytest.fixture(scope="module")
def layout(bare):
    return layout_of(bare, torch.device("cpu"))[2]


def test_a_texel_knows_its_place_on_the_surface(bare, layout):
    texels = surface_texels(layout, 256)
    index, bary = texels.index.numpy(), texels.bary.numpy()
    assert len(np.unique(index)) == len(index) > 20_000
    np.testing.assert_allclose(bary.sum(axis=1), 1, atol=1e-5)
    # UVs per vertex are unique inside a chart: find the one of the corner that is nearest.
    center = np.stack([index % 256, index // 256], axis=1) + 0.5
    corner_uv = {}
    for face, uv_face in zip(bare.faces, bare.uv_faces, strict=True):
        corner_uv[tuple(face)] = bare.uvs[uv_face]
    uv = np.array([corner_uv[tuple(v)] for v in texels.vertex.numpy()])
    np.testing.assert_allclose((uv * bary[..., None]).sum(axis=1) * 256, center, atol=1e-3)


def test_colours_spread_over_the_surface_within_their_range(bare, layout):
    texels = surface_texels(layout, 256)
    vertex = texels.vertex.numpy()
    place = (bare.vertices[vertex] * texels.bary.numpy()[..., None]).sum(axis=1)
    color = waves(place).astype(np.float32)
    known = (bare.vertices[vertex[:, 0], 2] > 0.3).astype(np.float32)
    spread = vertex_values(layout, texels, torch.from_numpy(color), torch.from_numpy(known)).numpy()
    seen = color[known > 0]
    assert (spread >= seen.min(axis=0) - 2e-3).all()
    assert (spread <= seen.max(axis=0) + 2e-3).all()
    high = bare.vertices[:, 2] > 0.5
    assert np.abs(spread - waves(bare.vertices))[high].mean() < 0.03


def test_nothing_known_is_grey(layout):
    filled = completed(layout, torch.rand(64, 64, 2), torch.zeros(64, 64))
    torch.testing.assert_close(filled, torch.full((64, 64, 2), 0.5))


def test_what_is_known_stays(layout):
    image = torch.rand(256, 256, 3)
    index = surface_texels(layout, 256).index
    filled = completed(layout, image, torch.ones(256, 256))
    torch.testing.assert_close(filled.view(-1, 3)[index], image.view(-1, 3)[index])


@pytest.mark.parametrize("size", [(37, 50), (64, 64), (1, 9)])
def test_gaps_keep_what_is_known_and_invent_no_new_colour(size):
    random = torch.Generator().manual_seed(0)
    image = torch.rand((*size, 3), generator=random)
    known = torch.rand(size, generator=random) < 0.3
    filled = fill_gaps(image, known)
    assert torch.equal(filled[known], image[known])
    if min(size) > 1:
        assert (filled >= image[known].amin(0) - 1e-6).all()
        assert (filled <= image[known].amax(0) + 1e-6).all()
