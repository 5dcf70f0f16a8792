# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Mesh files that lie, climb or explode are refused by one sentence, at little cost."""

import base64
import gzip
import io
import json
import os
import resource
import struct
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from photocast.errors import MeshError
from photocast.formats import limits
from photocast.formats.meshes import load_mesh

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4").tobytes()
OBJ = "mtllib {}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"


def glb(document: dict, binary: bytes = TRIANGLE) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def document(**changes) -> dict:
    """One triangle as a glTF, with some top-level entries replaced."""
    return {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": len(TRIANGLE)}],
        "buffers": [{"byteLength": len(TRIANGLE)}],
        **changes,
    }


def positions(**changes) -> list[dict]:
    return [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", **changes}]


def ply(counts: str, body: bytes = b"", order: str = "binary_little_endian") -> bytes:
    return f"ply\nformat {order} 1.0\n{counts}\nend_header\n".encode() + body


XYZ = "property float x\nproperty float y\nproperty float z"
LIST = "property list uchar int vertex_indices"
PLY_CLAIM = f"element vertex {{}}\n{XYZ}\nelement face {{}}\n{LIST}"


def png(width: int, height: int) -> bytes:
    """A header that claims a size, and nearly nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("mesh.glb", glb(document()))
    elif kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w") as file:
            file.addfile(tarfile.TarInfo("mesh.glb"))
    else:
        buffer.write(gzip.compress(glb(document())))
    return buffer.getvalue()


MANY_NODES = [{"children": [1] * 1000} for _ in range(2000)]
CASES = {
    # Claims of counts
    "faces.ply": (ply(PLY_CLAIM.format(3, 100_000_000)), "mesh.too_large", "100,000,000"),
    "text_faces.ply": (
        ply(PLY_CLAIM.format(3, 100_000_000), b"0 0 0\n" * 3, "ascii"),
        "mesh.too_large",
        "100,000,000",
    ),
    "rows.ply": (ply(PLY_CLAIM.format(15_000_000, 1), bytes(12)), "mesh.truncated", "15,000,000"),
    "below_zero.ply": (ply(PLY_CLAIM.format(-3, 1), bytes(36)), "mesh.damaged", "-3"),
    "bare_rows.ply": (ply("element vertex 9000000"), "mesh.damaged", "no properties"),
    "long_list.ply": (
        ply(PLY_CLAIM.format(0, 1).replace("uchar", "uint"), b"\xff" * 8),
        "mesh.truncated",
        "4,294,967,295",
    ),
    "negative_list.ply": (
        ply(
            PLY_CLAIM.format(3, 2).replace("uchar", "int"),
            TRIANGLE + struct.pack("<iiiii", 3, 0, 1, 2, -3),
        ),
        "mesh.truncated",
        "negative",
    ),
    "long_word.ply": (
        ply(
            f"element vertex 1\n{XYZ}\nelement face 1\n{LIST}",
            b"0 0 0\n3 0 " + b"0" * 10_000_000 + b" x\n",
            "ascii",
        ),
        "mesh.truncated",
        "bad number",
    ),
    "faces.stl": (
        b"x".ljust(80) + struct.pack("<I", 100_000_000) + bytes(500),
        "mesh.truncated",
        "100,000,000",
    ),
    "count.glb": (
        glb(document(accessors=positions(count=300_000_000))),
        "mesh.damaged",
        "300000000",
    ),
    "long.glb": (
        glb(document(accessors=positions(count=50_000_000))),
        "mesh.truncated",
        "50,000,000",
    ),
    "no_stride.glb": (
        glb(
            document(
                accessors=positions(count=50_000_000),
                bufferViews=[{"buffer": 0, "byteLength": len(TRIANGLE), "byteStride": 1}],
            )
        ),
        "mesh.damaged",
        "byteStride",
    ),
    "negative.glb": (glb(document(accessors=positions(count=-3))), "mesh.damaged", "-3"),
    "chunk.glb": (
        glb(document())[:12] + struct.pack("<I", 4_000_000_000) + glb(document())[16:],
        "mesh.truncated",
        "4,000,000,000",
    ),
    # Nested and repeated structures
    "deep.glb": (
        b"glTF" + struct.pack("<IIII", 2, 20 + 200_000, 200_000, 0x4E4F534A) + b"[" * 200_000,
        "mesh.damaged",
        "JSON",
    ),
    "many_children.glb": (glb(document(nodes=MANY_NODES)), "mesh.damaged", "cycle"),
    "instances.glb": (
        glb(document(nodes=[{"mesh": 0}] * 100_001, scenes=[])),
        "mesh.too_large",
        "100,001",
    ),
    "values.gltf": (b"[" + b"0," * 5_000_000 + b"0]", "mesh.too_large", "5,000,00"),
    # Names that lead out of the folder
    "climb.obj": (OBJ.format("../secret.mtl").encode(), "mesh.path_outside", "../secret.mtl"),
    "absolute.obj": (OBJ.format("/etc/passwd").encode(), "mesh.path_outside", "/etc/passwd"),
    "drive.obj": (OBJ.format("C:\\x.mtl").encode(), "mesh.path_outside", "C:"),
    "backslash.obj": (OBJ.format("a\\..\\..\\x.mtl").encode(), "mesh.path_outside", "x.mtl"),
    "link.obj": (OBJ.format("link.mtl").encode(), "mesh.path_outside", "link.mtl"),
    "linked_folder.obj": (OBJ.format("out/secret.mtl").encode(), "mesh.path_outside", "out"),
    "texture.obj": (OBJ.format("climb.mtl").encode(), "mesh.path_outside", "secret.png"),
    "climb.gltf": (
        json.dumps(document(buffers=[{"uri": "%2e%2e/secret.bin", "byteLength": 36}])).encode(),
        "mesh.path_outside",
        "secret.bin",
    ),
    "web.gltf": (
        json.dumps(document(buffers=[{"uri": "http://a.b/c.bin", "byteLength": 36}])).encode(),
        "mesh.path_outside",
        "http://a.b",
    ),
    "pipe.gltf": (
        json.dumps(document(buffers=[{"uri": "pipe", "byteLength": 36}])).encode(),
        "mesh.texture",
        "pipe",
    ),
    # Not what the name says
    "zip.glb": (archive("zip"), "mesh.archive", "a ZIP"),
    "tar.stl": (archive("tar"), "mesh.archive", "a tar"),
    "gzip.ply": (archive("gzip"), "mesh.archive", "a gzip"),
    # Indices
    "zero.obj": (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "mesh.damaged", "number 4"),
    "before.obj": (b"v 0 0 0\nv 1 0 0\nf -3 -2 -1\nv 0 1 0\n", "mesh.damaged", "number 3"),
    "huge.obj": (b"v 0 0 0\nv 1 0 0\nf 1 2 4294967297\n", "mesh.index", "4,294,967,297"),
    "endless.obj": (b"v 0 0 0\nf 1 1 " + b"9" * 4000 + b"\n", "mesh.damaged", "number 2"),
    # Numbers
    "infinite.obj": (b"v 1e39 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "mesh.not_finite", "1 of 3"),
    "nan.ply": (
        ply(PLY_CLAIM.format(3, 1), TRIANGLE[:32] + struct.pack("<f", np.nan) + b"\3" + bytes(12)),
        "mesh.not_finite",
        "1 of 3",
    ),
    "nan.stl": (
        bytes(80) + struct.pack("<I", 1) + struct.pack("<f", np.nan) * 12 + b"\0\0",
        "mesh.not_finite",
        "3 of 3",
    ),
    "nan.glb": (
        glb(document(), TRIANGLE[:-4] + struct.pack("<f", np.inf)),
        "mesh.not_finite",
        "1 of 3",
    ),
    "far.ply": (
        ply(PLY_CLAIM.format(3, 1), TRIANGLE + struct.pack("<Biii", 3, 0, 1, 3)),
        "mesh.index",
        "3",
    ),
    "escape.obj": (b"v \x1b[31m<script> 0 0\n", "mesh.damaged", "x1b[31m"),
}


def lay_traps(folder: Path) -> None:
    """Put files outside the folder that a mesh lies in, and links to them inside."""
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.mtl").write_text("newmtl a\n", encoding="utf-8")
    (folder.parent / "secret.mtl").write_text("newmtl a\n", encoding="utf-8")
    (folder / "link.mtl").symlink_to(outside / "secret.mtl")
    (folder / "out").symlink_to(outside)
    (folder / "climb.mtl").write_text("newmtl a\nmap_Kd ../secret.png\n", encoding="utf-8")
    os.mkfifo(folder / "pipe")


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_mesh_is_refused_with_its_numbers(tmp_path, name):
    data, code, words = CASES[name]
    folder = tmp_path / "upload"
    folder.mkdir()
    lay_traps(folder)
    (folder / name).write_bytes(data)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(MeshError) as caught:
        load_mesh(folder / name)
    text = str(caught.value)
    assert (caught.value.code, name in text, words in text) == (code, True, True), text
    assert text.isascii() or "…" in text
    assert text.isprintable()
    assert len(text.removeprefix(str(folder))) < 500
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_an_endless_file_is_refused_by_its_size(tmp_path):
    path = tmp_path / "sparse.stl"
    with path.open("wb") as file:
        file.truncate(limits.MAX_FILE_BYTES + 1)
    with pytest.raises(MeshError, match=r"2,147,483,649 bytes") as caught:
        load_mesh(path)
    assert caught.value.code == "mesh.too_large"


@pytest.mark.parametrize("make", [lambda p: os.mkfifo(p), lambda p: p.mkdir()])
def test_a_pipe_or_folder_is_not_opened(tmp_path, make):
    make(tmp_path / "mesh.glb")
    with pytest.raises(MeshError, match="not a file") as caught:
        load_mesh(tmp_path / "mesh.glb")
    assert caught.value.code == "mesh.missing"


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_000, 9), (200_000, 200_000)])
def test_a_texture_bomb_is_refused_before_decoding(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(png(*size))
    (tmp_path / "a.mtl").write_text("newmtl a\nmap_Kd bomb.png\n", encoding="utf-8")
    (tmp_path / "mesh.obj").write_text(OBJ.format("a.mtl"), encoding="utf-8")
    with pytest.raises(MeshError, match="8192 px") as caught:
        load_mesh(tmp_path / "mesh.obj")
    assert caught.value.code == "mesh.too_large"


def test_other_image_decoders_are_never_started(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    (tmp_path / "a.mtl").write_text("newmtl a\nmap_Kd x.png\n", encoding="utf-8")
    (tmp_path / "mesh.obj").write_text(OBJ.format("a.mtl"), encoding="utf-8")
    with pytest.raises(MeshError, match="neither PNG, JPEG nor WebP"):
        load_mesh(tmp_path / "mesh.obj")


def test_a_missing_texture_or_buffer_is_named(tmp_path):
    (tmp_path / "a.mtl").write_text(
        "newmtl a\nmap_Kd <script>alert(1)</script>.png\n", encoding="utf-8"
    )
    (tmp_path / "mesh.obj").write_text(OBJ.format("a.mtl"), encoding="utf-8")
    with pytest.raises(MeshError, match="alert") as caught:
        load_mesh(tmp_path / "mesh.obj")
    assert caught.value.code == "mesh.texture"


def test_names_in_a_file_go_nowhere(tmp_path):
    evil = "<script>alert(1)</script>"
    named = document(
        nodes=[{"mesh": 0, "name": evil, "extras": {"x": evil}}],
        materials=[{"name": evil}],
        scenes=[{"nodes": [0], "name": evil}],
    )
    named["asset"]["generator"] = evil
    (tmp_path / "a.glb").write_bytes(glb(named))
    from photocast.formats.meshes import MESH_SUFFIXES, mesh_files

    mesh = load_mesh(tmp_path / "a.glb")
    for suffix in MESH_SUFFIXES:
        assert all(b"script" not in data for data in mesh_files(mesh, suffix).values())


def test_a_gltf_finds_its_parts_embedded_or_in_its_folder(tmp_path):
    uri = "data:application/octet-stream;base64," + base64.b64encode(TRIANGLE).decode()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a b.bin").write_bytes(TRIANGLE)
    for source in (uri, "sub/a%20b.bin", "./sub/a b.bin"):
        described = document(buffers=[{"uri": source, "byteLength": len(TRIANGLE)}])
        (tmp_path / "mesh.gltf").write_text(json.dumps(described), encoding="utf-8")
        assert load_mesh(tmp_path / "mesh.gltf").vertices.tolist() == [
            [0, 0, 0],
            [1, 0, 0],
            [0, 1, 0],
        ]


@pytest.mark.parametrize(
    ("mode", "faces"),
    [(4, [[0, 1, 2], [0, 2, 3]]), (5, [[0, 1, 2], [1, 3, 2]]), (6, [[1, 2, 0], [2, 3, 0]])],
)
def test_strips_and_fans_become_triangles(tmp_path, mode, faces):
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype="<f4").tobytes()
    listed = [0, 1, 2, 0, 2, 3] if mode == 4 else [0, 1, 2, 3]
    binary = points + bytes(listed)
    described = document(
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}]}],
        accessors=[
            *positions(count=4),
            {"bufferView": 1, "componentType": 5121, "count": len(listed), "type": "SCALAR"},
        ],
        bufferViews=[
            {"buffer": 0, "byteLength": 48},
            {"buffer": 0, "byteOffset": 48, "byteLength": len(listed)},
        ],
        buffers=[{"byteLength": len(binary)}],
    )
    (tmp_path / "mesh.glb").write_bytes(glb(described, binary))
    assert load_mesh(tmp_path / "mesh.glb").faces.tolist() == faces


def test_faces_get_the_maps_of_their_own_materials(tmp_path):
    from PIL import Image

    for name, shade in (("a", 0), ("b", 255)):
        Image.new("RGB", (2, 2), (shade,) * 3).save(tmp_path / f"{name}.png")
    (tmp_path / "m.mtl").write_text(
        "newmtl a\nmap_Kd a.png\nnewmtl b\nmap_Kd b.png\n", encoding="utf-8"
    )
    one = OBJ.format("m.mtl").replace("f ", "usemtl b\nf ")
    (tmp_path / "one.obj").write_text(one, encoding="utf-8")
    assert load_mesh(tmp_path / "one.obj").material.base_color.min() == 1
    (tmp_path / "two.obj").write_text(one + "usemtl a\nf 3/3 2/2 1/1\n", encoding="utf-8")
    both = load_mesh(tmp_path / "two.obj").material
    assert both.sources == 2
    assert set(np.unique(both.base_color)) == {0, 1}


def test_a_text_stl_may_be_called_anything_and_have_quads(tmp_path):
    corners = "vertex 0 0 0\nvertex 1 0 0\nvertex 1 1 0\nvertex 0 1 0\n"
    (tmp_path / "quad.stl").write_text(
        f"solid my vertex of endsolid\nfacet normal 0 0 1\nouter loop\n{corners}endloop\n"
        "endfacet\nendsolid\n",
        encoding="utf-8",
    )
    assert load_mesh(tmp_path / "quad.stl").faces.tolist() == [[0, 1, 2], [0, 2, 3]]
