# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Meshes of others: what is dropped, what is kept, which UVs are good."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from photocast.config import UnwrapConfig
from photocast.data import Mesh
from photocast.errors import MeshError
from photocast.stages.foreign import cleaned, good_uvs, reduced
from photocast.stages.unwrap import unwrap


def ball(level: int = 2) -> Mesh:
    made = trimesh.creation.icosphere(level)
    return Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def test_a_clean_mesh_comes_back_bit_for_bit(textured_sphere):
    for mesh in (ball(), textured_sphere):
        again = cleaned(mesh)
        np.testing.assert_array_equal(again.vertices, mesh.vertices)
        np.testing.assert_array_equal(again.faces, mesh.faces)
    np.testing.assert_array_equal(again.uv_faces, mesh.uv_faces)


def test_what_is_no_surface_goes_and_the_rest_stays_with_its_uvs(textured_sphere):
    mesh = textured_sphere
    count = len(mesh.vertices)
    line = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [9, 9, 9]], np.float32)
    dirt = [[0, 0, 1], [count, count + 1, count + 2], np.roll(mesh.faces[5], 1)]
    folds = [mesh.uv_faces[0], mesh.uv_faces[1], np.roll(mesh.uv_faces[5], 1)]
    dirty = Mesh(
        vertices=np.concatenate([mesh.vertices, line]),
        faces=np.concatenate([np.array(dirt, np.int32), mesh.faces]),
        uvs=mesh.uvs,
        uv_faces=np.concatenate([np.array(folds, np.int32), mesh.uv_faces]),
    )
    found = cleaned(dirty)
    assert len(found.faces) == len(mesh.faces)
    assert len(found.vertices) == count
    seen = np.concatenate([found.vertices[found.faces], found.uvs[found.uv_faces]], axis=-1)
    given = np.concatenate([mesh.vertices[mesh.faces], mesh.uvs[mesh.uv_faces]], axis=-1)
    np.testing.assert_array_equal(seen[0], np.roll(given[5], 1, axis=0))
    np.testing.assert_array_equal(seen[1:], np.delete(given, 5, axis=0))


def test_a_triangle_and_its_back_are_two():
    vertices = np.eye(3, dtype=np.float32)
    both = Mesh(vertices, np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]], np.int32))
    assert cleaned(both).faces.tolist() == [[0, 1, 2], [0, 2, 1]]


def test_a_mesh_without_area_is_refused():
    flat = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    with pytest.raises(MeshError, match="1 triangles") as caught:
        cleaned(flat)
    assert caught.value.code == "mesh.no_faces"


def test_a_large_mesh_is_reduced_and_keeps_its_shape():
    fine = ball(4)
    few = reduced(fine, 800)
    assert 400 < len(few.faces) <= 800
    lengths = np.linalg.norm(few.vertices, axis=1)
    assert np.abs(lengths - 1).max() < 0.03
    assert reduced(fine, len(fine.faces)) is fine


def test_uvs_of_our_own_are_good_and_those_of_nobody_are_not():
    mesh = ball()
    assert not good_uvs(mesh)
    assert good_uvs(unwrap(mesh, UnwrapConfig(size=256)))


@pytest.mark.parametrize("fault", ["outside", "twice", "point", "speck"])
def test_faulty_uvs_are_found(fault):
    mesh = unwrap(ball(), UnwrapConfig(size=256))
    uvs = mesh.uvs.copy()
    if fault == "outside":
        uvs[3, 0] = 1.25
    elif fault == "twice":
        uvs[:, 0] = np.abs(uvs[:, 0] - 0.5)
    elif fault == "point":
        uvs[:] = 0.5
    else:
        uvs = uvs * np.float32(0.1)
    assert not good_uvs(replace(mesh, uvs=uvs.astype(np.float32)))
