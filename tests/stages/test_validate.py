# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Each check against a mesh that is right and one that is wrong in exactly that way."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from photocast.data import Check, Mesh
from photocast.formats.meshes import load_mesh
from photocast.stages.uv_coverage import uv_coverage
from photocast.stages.validate import check_file_size, check_mesh


def checks(mesh: Mesh) -> dict[str, Check]:
    return {check.name: check for check in check_mesh(mesh)}


def flat_square() -> Mesh:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    vertices = np.column_stack([corners, np.zeros(4, np.float32)])
    return Mesh(vertices=vertices, faces=faces, uvs=corners, uv_faces=faces)


def test_a_good_mesh_passes_everything(textured_sphere):
    found = checks(textured_sphere)
    assert [name for name, check in found.items() if check.passed is False] == []
    assert found["mesh.watertight"].value is True
    assert (found["mesh.components"].value, found["mesh.genus"].value) == (1, 0)
    assert found["mesh.volume"].value == pytest.approx(4 / 3 * np.pi, rel=0.05)
    assert found["uv.overlap"].value == 0
    # The triangles at both poles leave half of the first and last row of squares.
    assert found["uv.used"].value == pytest.approx(1 - 1 / 16, abs=0.002)


def test_topology_agrees_with_trimesh_on_many_shapes(textured_sphere):
    torus = trimesh.creation.torus(1.0, 0.3)
    shapes = [
        (torus.vertices, torus.faces),
        (torus.vertices, torus.faces[5:]),
        (textured_sphere.vertices, textured_sphere.faces[::2]),
        (
            np.concatenate([torus.vertices] * 2),
            np.concatenate([torus.faces, torus.faces + len(torus.vertices)]),
        ),
    ]
    for vertices, faces in shapes:
        mesh = Mesh(vertices.astype(np.float32), faces.astype(np.int32))
        other = trimesh.Trimesh(vertices, faces, process=False)
        found = checks(mesh)
        assert found["mesh.watertight"].value == other.is_watertight
        assert found["mesh.euler_number"].value == other.euler_number
        assert found["mesh.area"].value == pytest.approx(other.area, rel=1e-5)
        assert found["mesh.components"].value == len(
            trimesh.graph.connected_components(other.edges, nodes=np.unique(faces))
        )


def test_a_torus_has_one_handle():
    torus = trimesh.creation.torus(1.0, 0.3)
    mesh = Mesh(torus.vertices.astype(np.float32), torus.faces.astype(np.int32))
    assert checks(mesh)["mesh.genus"].value == 1


@pytest.mark.parametrize(
    ("name", "value", "damage"),
    [
        ("mesh.watertight", False, lambda m: m.faces[1:]),
        ("mesh.boundary_edges", 3, lambda m: m.faces[1:]),
        ("mesh.winding_consistent", False, lambda m: np.vstack([m.faces[:1, ::-1], m.faces[1:]])),
        ("mesh.non_manifold_edges", 3, lambda m: np.vstack([m.faces, m.faces[:1]])),
        ("mesh.degenerate_faces", 1, lambda m: np.vstack([m.faces, [[5, 5, 6]]])),
    ],
)
def test_one_wrong_face_fails_its_check(textured_sphere, name, value, damage):
    faces = np.ascontiguousarray(damage(textured_sphere), dtype=np.int32)
    check = checks(Mesh(textured_sphere.vertices, faces))[name]
    assert (check.value, check.passed) == (value, False)


def test_a_surface_turned_inside_out_has_negative_volume(textured_sphere):
    inverted = Mesh(textured_sphere.vertices, np.ascontiguousarray(textured_sphere.faces[:, ::-1]))
    found = checks(inverted)["mesh.volume"]
    assert found.value < 0
    assert found.passed is False


def test_every_texel_of_a_split_square_is_owned_once():
    np.testing.assert_array_equal(uv_coverage(flat_square(), size=37), 1)


def test_a_folded_chart_counts_as_overlap():
    square = flat_square()
    folded = replace(square, uv_faces=square.uv_faces[[0, 0]])
    counts = uv_coverage(folded, size=64)
    assert set(np.unique(counts)) == {0, 2}
    assert checks(folded)["uv.overlap"].value == 1.0
    assert checks(folded)["uv.overlap"].passed is False


def test_random_fans_cover_without_overlap_or_gap():
    # Any triangulation of the square around inner points must own each centre exactly once.
    from scipy.spatial import Delaunay

    rng = np.random.default_rng(3)
    points = np.vstack([rng.random((200, 2)), [[0, 0], [1, 0], [0, 1], [1, 1]]]).astype(np.float32)
    faces = Delaunay(points).simplices.astype(np.int32)
    mesh = Mesh(np.pad(points, ((0, 0), (0, 1))), faces, uvs=points, uv_faces=faces)
    np.testing.assert_array_equal(uv_coverage(mesh, size=128), 1)


def test_uvs_outside_the_map_fail():
    square = flat_square()
    check = checks(replace(square, uvs=square.uvs * np.float32(1.2)))["uv.inside"]
    assert (check.value, check.passed) == (False, False)


def test_a_mesh_without_uvs_says_so_instead_of_passing(textured_sphere):
    check = checks(Mesh(textured_sphere.vertices, textured_sphere.faces))["uv.inside"]
    assert (check.value, check.passed) == (None, None)
    assert check.note


def test_file_sizes_are_exact():
    assert check_file_size("mesh.glb", 2_500_001) == Check("file.mesh.glb", 2_500_001, unit="bytes")


def test_spot_is_sound_but_its_artist_folded_some_uvs(capture_folder):
    found = checks(load_mesh(capture_folder("spot") / "ground_truth.glb"))
    assert found["mesh.watertight"].value is True
    assert found["uv.inside"].value is False
