# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces of known functions, and the worst grids one can think of."""

import numpy as np
import pytest
import trimesh

from photocast.geometry.level_set import level_set


def nodes(count: int, lower: float, cell: float) -> np.ndarray:
    axis = lower + cell * np.arange(count)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def surface(values: np.ndarray, lower: float, cell: float) -> trimesh.Trimesh:
    vertices, faces = level_set(values, lower=np.full(3, lower), cell=cell)
    return trimesh.Trimesh(vertices, faces, process=False)


def test_a_ball_has_its_volume_and_faces_outwards():
    points = nodes(41, -1.0, 0.05)
    mesh = surface(np.linalg.norm(points, axis=-1) - 0.8, -1.0, 0.05)
    assert mesh.is_watertight
    assert (mesh.euler_number, mesh.body_count) == (2, 1)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.8**3, rel=0.005)
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 0.8, atol=0.003)


def test_a_plane_is_met_exactly():
    # The slab |x.n| < 0.3 with its ends cut off; its sides are planes, so interpolation is exact.
    points, normal = nodes(21, -1.0, 0.1), np.array([0.61, -0.35, 0.71])
    normal /= np.linalg.norm(normal)
    values = np.maximum(np.abs(points @ normal) - 0.3, np.abs(points).max(axis=-1) - 0.85)
    mesh = surface(values, -1.0, 0.1)
    middle = mesh.vertices[np.abs(mesh.vertices).max(axis=1) < 0.6]
    # Crossings nearer than 5 % to a node are moved away from it.
    assert np.percentile(np.abs(np.abs(middle @ normal) - 0.3), 80) < 1e-9
    assert np.abs(np.abs(middle @ normal) - 0.3).max() < 0.05 * 0.1 * np.sqrt(3)


@pytest.mark.parametrize("seed", range(5))
def test_noise_still_gives_closed_manifolds_facing_outwards(seed):
    # Every pattern of signs occurs; zeros and huge values too.
    rng = np.random.default_rng(seed)
    values = np.ones((12, 12, 12))
    values[1:-1, 1:-1, 1:-1] = rng.choice([-1e6, -1.0, -1e-9, 0.0, 1e-9, 1.0], size=(10, 10, 10))
    mesh = surface(values, 0.0, 1.0)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    assert (mesh.area_faces > 0).all()
