# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Tangents of surfaces whose tangents are known."""

import numpy as np
import pytest

from photocast.geometry.tangents import vertex_tangents
from photocast.geometry.vertex_normals import vertex_normals


def tangents_of(mesh) -> np.ndarray:
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return vertex_tangents(mesh.vertices, mesh.faces, mesh.uvs, mesh.uv_faces, normals)


# A square in the plane z = 0, seen from +Z: corners left-bottom, right-bottom, right-top, left-top.
CORNERS = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]], dtype=np.float32)
FACES = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
UPRIGHT = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype=np.float32)  # v downwards
NORMALS = np.tile(np.array([0, 0, 1], dtype=np.float32), (4, 1))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_an_upright_or_turned_texture_has_u_along_the_tangent_and_is_right_handed(quarters):
    uvs = np.roll(UPRIGHT, quarters, axis=0)
    tangents = vertex_tangents(CORNERS, FACES, uvs, FACES, NORMALS)
    wanted = [(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)][quarters]
    np.testing.assert_allclose(tangents, np.tile([*wanted, 1], (4, 1)), atol=1e-6)


def test_a_mirrored_texture_is_left_handed():
    uvs = UPRIGHT * [-1, 1]
    tangents = vertex_tangents(CORNERS, FACES, uvs.astype(np.float32), FACES, NORMALS)
    np.testing.assert_allclose(tangents, np.tile([-1, 0, 0, -1], (4, 1)), atol=1e-6)


def test_the_bitangent_points_up_in_the_picture():
    tangents = vertex_tangents(CORNERS, FACES, UPRIGHT, FACES, NORMALS).astype(float)
    bitangent = np.cross(NORMALS, tangents[:, :3]) * tangents[:, 3:]
    np.testing.assert_allclose(bitangent, np.tile([0, 1, 0], (4, 1)), atol=1e-6)


def test_on_a_sphere_tangents_run_along_the_parallels(textured_sphere):
    tangents = tangents_of(textured_sphere)
    where = np.zeros((len(textured_sphere.uvs), 3))
    where[textured_sphere.uv_faces.ravel()] = textured_sphere.vertices[
        textured_sphere.faces.ravel()
    ]
    used = np.unique(textured_sphere.uv_faces)
    away = used[np.abs(where[used, 1]) < 0.95]
    # u grows with the angle from +X to +Z, which is leftwards seen from outside: mirrored.
    along = np.stack([-where[:, 2], np.zeros(len(where)), where[:, 0]], axis=1)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    assert ((tangents[away, :3] * along[away]).sum(axis=1) > 0.99).all()
    assert len(set(tangents[away, 3].tolist())) == 1


def test_tangents_are_unit_and_perpendicular_to_the_smooth_normals(textured_sphere):
    tangents = tangents_of(textured_sphere)
    normals = vertex_normals(textured_sphere.vertices, textured_sphere.faces)
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1, atol=1e-6)
    corner = (tangents[textured_sphere.uv_faces, :3] * normals[textured_sphere.faces]).sum(axis=-1)
    shared_by_one_vertex = (textured_sphere.uvs[textured_sphere.uv_faces][..., 1] % 1) != 0
    assert np.abs(corner[shared_by_one_vertex]).max() < 1e-6


@pytest.mark.parametrize("uvs", [np.zeros((4, 2), np.float32), UPRIGHT * np.float32([1, 0])])
def test_a_map_without_area_still_gives_perpendicular_unit_vectors(uvs):
    tangents = vertex_tangents(CORNERS, FACES, uvs.astype(np.float32), FACES, NORMALS)
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(tangents[:, 2], 0, atol=1e-6)
    assert set(np.abs(tangents[:, 3])) == {1.0}
