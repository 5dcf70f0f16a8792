# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The bytes of a GLB against the glTF 2.0 specification."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from photocast.data import Mesh
from photocast.errors import MeshError
from photocast.formats.glb_read import read_glb
from photocast.formats.glb_write import write_glb
from photocast.formats.meshes import load_mesh

SIZES = {5125: 4, 5126: 4}
COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def unpack(data: bytes) -> tuple[dict, bytes]:
    magic, version, total, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, total, kind) == (b"glTF", 2, len(data), b"JSON")
    assert size % 4 == 0
    binary_size, binary_kind = struct.unpack_from("<I4s", data, 20 + size)
    assert binary_kind == b"BIN\0"
    assert 28 + size + binary_size == total
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def packed(document: dict, binary: bytes = b"") -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def test_accessors_lie_aligned_inside_their_views(textured_sphere):
    document, binary = unpack(write_glb(textured_sphere))
    assert document["buffers"] == [{"byteLength": len(binary)}]
    ends = 0
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] >= ends
        ends = view["byteOffset"] + view["byteLength"]
    assert ends <= len(binary)
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        size = SIZES[accessor["componentType"]] * COLUMNS[accessor["type"]]
        assert accessor["count"] * size == view["byteLength"]
        assert view["target"] == (34963 if accessor["type"] == "SCALAR" else 34962)


def test_positions_carry_exact_bounds_and_normals_unit_length(textured_sphere):
    document, binary = unpack(write_glb(textured_sphere))
    attributes = document["meshes"][0]["primitives"][0]["attributes"]

    def array(name: str) -> np.ndarray:
        accessor = document["accessors"][attributes[name]]
        view = document["bufferViews"][accessor["bufferView"]]
        flat = np.frombuffer(binary, "<f4", view["byteLength"] // 4, view["byteOffset"])
        return flat.reshape(accessor["count"], -1)

    position = document["accessors"][attributes["POSITION"]]
    assert position["min"] == array("POSITION").min(axis=0).tolist()
    assert position["max"] == array("POSITION").max(axis=0).tolist()
    assert len({len(array(name)) for name in attributes}) == 1
    # On a sphere about the origin the normal is the position.
    np.testing.assert_allclose(array("NORMAL"), array("POSITION"), atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(array("NORMAL"), axis=1), 1, atol=1e-6)


def test_a_normal_map_brings_the_tangents_it_was_made_for(textured_sphere):
    flat = np.tile(np.float32([0, 0, 1]), (4, 4, 1))
    material = replace(textured_sphere.material, normal=flat, unlit=False)
    document, binary = unpack(write_glb(replace(textured_sphere, material=material)))
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    accessor = document["accessors"][attributes["TANGENT"]]
    assert (accessor["type"], accessor["componentType"]) == ("VEC4", 5126)

    def array(name: str) -> np.ndarray:
        view = document["bufferViews"][document["accessors"][attributes[name]]["bufferView"]]
        flat = np.frombuffer(binary, "<f4", view["byteLength"] // 4, view["byteOffset"])
        return flat.reshape(accessor["count"], -1)

    tangents, normals, places = array("TANGENT"), array("NORMAL"), array("POSITION")
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1, atol=1e-5)
    assert set(np.abs(tangents[:, 3])) == {1.0}
    away = np.abs(places[:, 1]) < 0.95
    assert np.abs((tangents[:, :3] * normals).sum(axis=1))[away].max() < 1e-5
    # u runs around the axis from +X towards +Z.
    along = np.stack([-places[:, 2], 0 * places[:, 0], places[:, 0]], axis=1)[away]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    assert (tangents[away, :3] * along).sum(axis=1).min() > 0.99


@pytest.mark.parametrize("unlit", [True, False])
def test_without_a_normal_map_there_are_no_tangents(textured_sphere, unlit):
    material = replace(textured_sphere.material, unlit=unlit)
    document, _ = unpack(write_glb(replace(textured_sphere, material=material)))
    assert "TANGENT" not in document["meshes"][0]["primitives"][0]["attributes"]


def test_only_seams_split_vertices(textured_sphere):
    document, _ = unpack(write_glb(textured_sphere))
    corners = np.stack([textured_sphere.faces, textured_sphere.uv_faces], axis=-1).reshape(-1, 2)
    position = document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    assert document["accessors"][position]["count"] == len(np.unique(corners, axis=0))


@pytest.mark.parametrize("unlit", [True, False])
def test_unlit_is_declared_exactly_if_it_is_meant(textured_sphere, unlit):
    material = replace(textured_sphere.material, unlit=unlit)
    document, _ = unpack(write_glb(replace(textured_sphere, material=material)))
    assert ("KHR_materials_unlit" in document.get("extensionsUsed", [])) == unlit
    assert ("extensions" in document["materials"][0]) == unlit


@pytest.mark.parametrize("up", [(0, 1, 0), (0, -1, 0), (0, 0, 1), (1, 2, -3)])
def test_a_viewer_sees_up_as_plus_y_while_we_keep_our_frame(tmp_path, textured_sphere, up):
    direction = np.array(up) / np.linalg.norm(up)
    tip = Mesh(
        vertices=np.stack([2 * direction, [0, 0, 0], [0.1, 0.2, 0.3]]).astype(np.float32),
        faces=np.array([[0, 1, 2]], dtype=np.int32),
    )
    (tmp_path / "tip.glb").write_bytes(write_glb(tip, up=np.array(up)))
    shown = trimesh.load(tmp_path / "tip.glb", force="mesh", process=False)
    np.testing.assert_allclose(shown.vertices[0], [0, 2, 0], atol=1e-6)
    np.testing.assert_array_equal(load_mesh(tmp_path / "tip.glb").vertices, tip.vertices)


def test_nodes_of_other_tools_are_all_applied():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4").tobytes()
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [
            {"translation": [0, 0, 5], "children": [1, 2]},
            {"mesh": 0, "scale": [2, 2, 2]},
            {"mesh": 0, "matrix": [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": len(points)}],
    }
    mesh = read_glb(packed(document, points))
    corners = mesh.vertices[mesh.faces]
    np.testing.assert_allclose(corners[0], [[0, 0, 5], [2, 0, 5], [0, 2, 5]])
    # The mirrored copy turns its triangle so that its normal still points along +Z.
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).all()


def test_compressed_geometry_is_refused_by_name():
    document = {"extensionsRequired": ["KHR_draco_mesh_compression"]}
    with pytest.raises(MeshError, match="KHR_draco_mesh_compression"):
        read_glb(packed(document))


def test_nodes_in_a_circle_are_refused():
    document = {"scenes": [{"nodes": [0]}], "nodes": [{"children": [1]}, {"children": [0]}]}
    with pytest.raises(MeshError, match="cycle"):
        read_glb(packed(document))
