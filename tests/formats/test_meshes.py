# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every mesh format promises: saved, then loaded, is the same surface."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.data import Material, Mesh
from photocast.errors import MeshError
from photocast.formats.meshes import MESH_SUFFIXES, load_mesh, save_mesh
from photocast.formats.seams import distinct_rows, weld
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear

TETRAHEDRON = Mesh(
    vertices=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32),
    faces=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype=np.int32),
)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_saved_then_loaded_is_the_same_surface(tmp_path, textured_sphere, suffix):
    path = tmp_path / f"mesh{suffix}"
    save_mesh(path, textured_sphere, up=np.array([0.3, -0.2, 0.9]))
    back = load_mesh(path)
    np.testing.assert_array_equal(back.vertices, textured_sphere.vertices)
    np.testing.assert_array_equal(back.faces, textured_sphere.faces)
    np.testing.assert_allclose(
        back.uvs[back.uv_faces], textured_sphere.uvs[textured_sphere.uv_faces], atol=1e-6
    )


def test_stl_keeps_the_surface_and_nothing_else(tmp_path, textured_sphere):
    save_mesh(tmp_path / "mesh.stl", textured_sphere)
    back = load_mesh(tmp_path / "mesh.stl")
    np.testing.assert_array_equal(
        back.vertices[back.faces], textured_sphere.vertices[textured_sphere.faces]
    )
    assert len(back.vertices) == len(textured_sphere.vertices)
    assert back.uvs is None


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_a_texture_survives_to_the_last_bit(tmp_path, textured_sphere, suffix):
    save_mesh(tmp_path / f"mesh{suffix}", textured_sphere)
    back = load_mesh(tmp_path / f"mesh{suffix}").material
    np.testing.assert_allclose(
        back.base_color, textured_sphere.material.base_color, rtol=1e-5, atol=1e-6
    )
    assert back.unlit


def test_a_glb_keeps_every_material_map(tmp_path, textured_sphere):
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 256, (8, 8, 5)).astype(np.uint8)
    material = Material(
        base_color=textured_sphere.material.base_color,
        roughness=codes[..., 0] / np.float32(255),
        metallic=codes[..., 1] / np.float32(255),
        normal=codes[..., 2:] / np.float32(127.5) - np.float32(1),
        unlit=False,
    )
    save_mesh(tmp_path / "mesh.glb", replace(textured_sphere, material=material))
    back = load_mesh(tmp_path / "mesh.glb").material
    np.testing.assert_array_equal(back.roughness, material.roughness)
    np.testing.assert_array_equal(back.metallic, material.metallic)
    np.testing.assert_allclose(back.normal, material.normal, atol=1e-6)
    assert not back.unlit


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_vertex_colours_survive(tmp_path, suffix):
    codes = np.arange(12, dtype=np.uint8).reshape(4, 3) * 20
    colored = replace(TETRAHEDRON, colors=linear_from_srgb(codes))
    save_mesh(tmp_path / f"mesh{suffix}", colored)
    np.testing.assert_allclose(
        load_mesh(tmp_path / f"mesh{suffix}").colors, colored.colors, atol=1e-7
    )


@pytest.mark.parametrize("suffix", [s for s in MESH_SUFFIXES if s != ".3mf"])  # needs lxml there
def test_a_closed_surface_is_still_closed_and_outward_for_others(tmp_path, textured_sphere, suffix):
    save_mesh(tmp_path / f"mesh{suffix}", textured_sphere)
    other = trimesh.load(tmp_path / f"mesh{suffix}", force="mesh")
    other.merge_vertices(merge_tex=True, merge_norm=True)
    assert other.is_watertight
    assert other.is_winding_consistent
    assert 3.9 < other.volume < 4.19


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_every_cut_of_a_file_is_refused_with_its_name(tmp_path, textured_sphere, suffix):
    whole = tmp_path / f"whole{suffix}"
    save_mesh(whole, textured_sphere)
    data = whole.read_bytes()
    for share in (0.0, 0.01, 0.5, 0.98):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(data[: int(len(data) * share)])
        if suffix == ".obj" and share == 0.98:
            continue  # an OBJ that loses whole last lines is a valid, smaller OBJ
        with pytest.raises(MeshError, match=f"cut\\{suffix}"):
            load_mesh(cut)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_escapes_as_another_error(data, tmp_path_factory, textured_sphere):
    suffix = data.draw(st.sampled_from(MESH_SUFFIXES))
    path = tmp_path_factory.mktemp("damage") / f"mesh{suffix}"
    save_mesh(path, TETRAHEDRON)
    content = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with contextlib.suppress(MeshError):
        assert np.isfinite(load_mesh(path).vertices).all()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("gone.ply", None, "mesh.missing"),
        ("empty.glb", b"", "mesh.empty"),
        ("photo.jpg", b"x", "mesh.unknown_format"),
        ("text.glb", b"hello, this is not a GLB", "mesh.damaged"),
        ("points.obj", b"v 0 0 0\nv 1 0 0\n", "mesh.no_faces"),
        ("letters.obj", b"v 0 zero 0\n", "mesh.damaged"),
        ("nan.obj", b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "mesh.not_finite"),
        ("far.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "mesh.index"),
        (
            "points.ply",
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
            b"property float z\nend_header\n0 0 0\n",
            "mesh.no_faces",
        ),
    ],
)
def test_an_unusable_file_names_itself_and_its_problem(tmp_path, name, content, code):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=name) as caught:
        load_mesh(tmp_path / name)
    assert caught.value.code == code


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_a_ply_of_mixed_polygons_becomes_triangles(tmp_path, order):
    rows = [[0, 1, 2], [0, 2, 3, 4]]
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [-1, 0.5, 0]], dtype="f4")
    head = (
        f"ply\nformat {order} 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
        "property float z\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if order == "ascii":
        lines = [" ".join(map(str, p)) for p in points.tolist()]
        lines += [f"{len(r)} {' '.join(map(str, r))}" for r in rows]
        body = "\n".join(lines).encode()
    else:
        code = "<" if "little" in order else ">"
        body = points.astype(f"{code}f4").tobytes()
        body += b"".join(bytes([len(r)]) + np.array(r, dtype=f"{code}i4").tobytes() for r in rows)
    (tmp_path / "mixed.ply").write_bytes(head + body)
    mesh = load_mesh(tmp_path / "mixed.ply")
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4]]


def test_an_obj_of_other_tools_is_understood(tmp_path):
    (tmp_path / "other.obj").write_text(
        "# quads, counted from the end\no thing\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
        "vn 0 0 1\ng part\ns off\nf -4//1 -3//1 -2//1 -1//1\n",
        encoding="utf-8",
    )
    assert load_mesh(tmp_path / "other.obj").faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_text_stl_is_read(tmp_path):
    trimesh.Trimesh(TETRAHEDRON.vertices, TETRAHEDRON.faces).export(
        tmp_path / "t.stl", file_type="stl_ascii"
    )
    assert load_mesh(tmp_path / "t.stl").vertices.shape == (4, 3)


def test_welding_closes_a_mesh_that_was_cut_into_triangles():
    soup = Mesh(
        vertices=TETRAHEDRON.vertices[TETRAHEDRON.faces].reshape(-1, 3),
        faces=np.arange(12, dtype=np.int32).reshape(-1, 3),
    )
    whole = weld(soup)
    assert trimesh.Trimesh(whole.vertices, whole.faces, process=False).is_watertight
    np.testing.assert_array_equal(
        whole.vertices[whole.faces], TETRAHEDRON.vertices[TETRAHEDRON.faces]
    )


def test_distinct_rows_rebuild_all_rows_in_first_seen_order():
    rows = np.random.default_rng(2).integers(0, 3, (200, 2)).astype(np.float32)
    first, inverse = distinct_rows(rows)
    np.testing.assert_array_equal(rows[first][inverse], rows)
    assert (np.diff(first) > 0).all()
    assert len(np.unique(rows[first], axis=0)) == len(first)


def test_all_256_codes_survive_linear_light():
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(srgb_from_linear(linear_from_srgb(codes)), codes)


@pytest.mark.parametrize("name", ["ground_truth.ply", "ground_truth.glb"])
def test_the_ground_truth_of_spot_is_a_closed_surface(capture_folder, name):
    mesh = load_mesh(capture_folder("spot") / name)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert solid.is_watertight
    assert solid.euler_number == 2
    assert (len(mesh.vertices), len(mesh.faces)) == (2930, 5856)
