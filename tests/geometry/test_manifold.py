# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Closed surfaces that touch are taken apart, whatever way they touch."""

import numpy as np
import pytest
import trimesh

from photocast.geometry.manifold import face_areas, face_parts, separate_touching

CUBE = trimesh.creation.box()


def joined(*meshes):
    """One mesh with vertices at equal places merged, as a decimator leaves them."""
    whole = trimesh.util.concatenate(meshes)
    vertices, inverse = np.unique(np.round(whole.vertices, 6), axis=0, return_inverse=True)
    return vertices.astype(np.float32), inverse[whole.faces].reshape(-1, 3).astype(np.int32)


def moved(x, y, z):
    cube = CUBE.copy()
    cube.apply_translation([x, y, z])
    return cube


def edge_uses(faces):
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


@pytest.mark.parametrize(
    "cubes",
    [
        [moved(0, 0, 0), moved(1, 1, 0)],  # an edge
        [moved(0, 0, 0), moved(1, 1, 1)],  # a corner
        [moved(0, 0, 0), moved(1, 1, 0), moved(2, 0, 0), moved(1, -1, 0)],  # a ring of edges
    ],
    ids=["edge", "corner", "ring"],
)
def test_touching_solids_become_closed_surfaces_of_their_own(cubes):
    vertices, faces = separate_touching(*joined(*cubes))
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert (edge_uses(faces) == 2).all()
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(len(cubes), rel=5e-3)
    welded = trimesh.Trimesh(vertices, faces, process=True)
    assert welded.is_watertight, "welding equal positions must not join them again"


def test_a_sheet_pinched_along_an_edge_with_both_ends_shared_is_opened():
    # Two tetrahedra share an edge and are bridged elsewhere, so no vertex can be split in two.
    first = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0.5], [1, -1, 0.5]], float)
    second = first * [-1, 1, 1]
    solid = trimesh.util.concatenate(
        [trimesh.Trimesh(p, [[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]) for p in (first, second)]
    )
    for part in (solid,):
        vertices, faces = joined(part)
        assert (edge_uses(faces) > 2).any()
        vertices, faces = separate_touching(vertices, faces)
        assert (edge_uses(faces) == 2).all()


def test_a_manifold_mesh_is_left_as_it_is():
    sphere = trimesh.creation.icosphere(2)
    vertices, faces = separate_touching(
        sphere.vertices.astype(np.float32), sphere.faces.astype(np.int32)
    )
    assert len(vertices) == len(sphere.vertices)
    np.testing.assert_allclose(
        np.sort(vertices[faces].reshape(-1, 9), axis=0),
        np.sort(sphere.vertices[sphere.faces].reshape(-1, 9), axis=0),
        atol=1e-6,
    )


def test_parts_and_areas_match_trimesh():
    whole = trimesh.util.concatenate([CUBE, moved(3, 0, 0)])
    parts = face_parts(whole.faces, len(whole.vertices))
    assert len(np.unique(parts)) == 2
    assert (np.bincount(parts)[np.bincount(parts) > 0] == 12).all()
    np.testing.assert_allclose(face_areas(whole.vertices, whole.faces), whole.area_faces)
