# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Triangulating a grid: closed, wound outward, where the level really is."""

import numpy as np
import pytest
import torch

from photocast.geometry.manifold import face_parts
from photocast.ops.isosurface import marching_cubes


def ball(size=(20, 22, 24), radius=7.3, shift=(0.2, -0.4, 0.1)):
    axes = [
        torch.arange(n, dtype=torch.float32) - (n - 1) / 2 - s
        for n, s in zip(size, shift, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).norm(dim=-1) - radius


def edge_uses(faces):
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(directed, 1), axis=0, return_counts=True)[1], directed


def volume(vertices, faces):
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    return np.einsum("ij,ij->", a, np.cross(b, c)) / 6


def test_a_ball_is_closed_wound_outward_and_of_its_size(device):
    # Warnings are errors in this suite, so this also shows that Warp warns of nothing.
    vertices, faces = (part.cpu().numpy() for part in marching_cubes(ball().to(device), border=3.0))
    uses, directed = edge_uses(faces)
    assert (uses == 2).all()
    assert len(np.unique(directed, axis=0)) == len(directed)
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * 7.3**3, rel=0.02)
    center = np.array([19, 21, 23]) / 2 + [0.2, -0.4, 0.1]
    np.testing.assert_allclose(np.linalg.norm(vertices - center, axis=1), 7.3, atol=0.05)


def test_a_surface_that_leaves_the_grid_is_closed_at_its_border():
    vertices, faces = marching_cubes(ball((12, 12, 12), 7.0, (0, 0, 0)), border=3.0)
    uses, _ = edge_uses(faces.numpy())
    assert (uses == 2).all()
    assert vertices.min() > -1
    assert vertices.max() < 12


def test_a_level_exactly_on_grid_vertices_makes_no_degenerate_topology():
    values = torch.ones(9, 9, 9)
    values[3:6, 3:6, 3:6] = -1.0
    values[2, 3:6, 3:6] = 0.0
    _, faces = marching_cubes(values, border=1.0)
    uses, _ = edge_uses(faces.numpy())
    assert (uses == 2).all()
    assert len(set(face_parts(faces.numpy(), int(faces.max()) + 1))) == 1


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_nothing_inside_gives_no_triangles(value):
    vertices, faces = marching_cubes(torch.full((6, 7, 8), value), border=3.0)
    assert vertices.shape == (0, 3)
    assert faces.shape == (0, 3)
    assert faces.dtype == torch.int32
