# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every reader of files from outside, with a few small good files each to start from."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photocast.data import Camera, Material, Mesh
from photocast.formats.cameras_json import cameras_json, load_cameras
from photocast.formats.colmap import read_colmap
from photocast.formats.depth_maps import read_confidence, read_depth
from photocast.formats.environment import environment_exr, read_radiance
from photocast.formats.idr import read_idr
from photocast.formats.images import read_mask, read_photo
from photocast.formats.llff import read_llff
from photocast.formats.meshes import MESH_SUFFIXES, load_mesh, mesh_files
from photocast.formats.middlebury import read_middlebury
from photocast.formats.transforms_json import read_transforms

__all__ = ["Target", "targets"]

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """A reader and what it is given."""

    name: str
    folders: list[Files]
    """Good inputs: all files of a folder, the main one first."""
    read: Callable[[Path], object]
    """Takes the path of the main file."""


def targets(scratch: Path) -> list[Target]:
    """List all readers.

    Args:
        scratch: A folder to make the files in.
    """
    return [*_meshes(), *_cameras(), *_pictures(scratch)]


def _meshes() -> list[Target]:
    found = []
    for suffix in MESH_SUFFIXES:
        folders = [mesh_files(mesh, suffix, stem="m") for mesh in (_plain(), _textured())]
        folders += [{f"m{suffix}": text} for text in _FOREIGN.get(suffix, [])]
        folders += _of_two_materials(suffix)
        main = f"m{suffix}"
        folders = [{main: files[main], **files} for files in folders]
        found.append(Target(suffix[1:], folders, load_mesh))
    return found


def _of_two_materials(suffix: str) -> list[Files]:
    files = mesh_files(_textured(), suffix, stem="m")
    if suffix == ".obj":
        last = files["m.obj"].rindex(b"f ")
        files["m.obj"] = files["m.obj"][:last] + b"usemtl b\n" + files["m.obj"][last:]
        files["m.mtl"] += b"newmtl b\nKd 0.2 0.4 1\nmap_Kd m.png\n"
        return [files]
    if suffix == ".gltf":
        document = json.loads(files["m.gltf"])
        (primitive,) = document["meshes"][0]["primitives"]
        document["meshes"][0]["primitives"].append({**primitive, "material": 1})
        plain = {"pbrMetallicRoughness": {"baseColorFactor": [0.2, 0.4, 1, 1]}}
        document["materials"].append(plain)
        return [{**files, "m.gltf": json.dumps(document).encode()}]
    return []


def _plain() -> Mesh:
    return Mesh(
        vertices=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32),
        faces=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype=np.int32),
        colors=np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3),
    )


def _textured() -> Mesh:
    corners = np.arange(12, dtype=np.int32).reshape(4, 3)
    grey = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    normal = np.tile(np.float32([0, 0, 1]), (4, 4, 1))
    material = Material(np.dstack([grey] * 3), grey, grey, normal, unlit=False)
    plain = _plain()
    uvs = np.linspace(0, 1, 24, dtype=np.float32).reshape(12, 2)
    return Mesh(plain.vertices, plain.faces, uvs=uvs, uv_faces=corners, material=material)


_PLY = b"""ply
format %s 1.0
comment made by hand
element vertex 5
property float x
property double y
property float z
property uchar red
property uchar green
property uchar blue
element face 2
property uchar flags
property list uchar int vertex_indices
element edge 1
property int a
end_header
"""
_POINTS = [(0, 0, 0, 1, 2, 3), (1, 0, 0, 4, 5, 6), (1, 1, 0, 7, 8, 9), (0, 1, 0, 9, 9, 9)]
_POINTS += [(-1, 0.5, 0, 0, 0, 0)]
_STL = b"""solid thing
facet normal 0 0 1
outer loop
vertex 0 0 0
vertex 1 0 0
vertex 0 1 0
endloop
endfacet
endsolid thing
"""


def _big_endian() -> bytes:
    row = np.dtype([("x", ">f4"), ("y", ">f8"), ("z", ">f4"), ("rgb", "u1", 3)])
    points = np.array([(x, y, z, rgb) for x, y, z, *rgb in _POINTS], row).tobytes()
    faces = b"".join(
        bytes([0, len(face)]) + np.array(face, ">i4").tobytes()
        for face in ([0, 1, 2], [0, 2, 3, 4])
    )
    return _PLY % b"binary_big_endian" + points + faces + bytes(4)


def _text_ply() -> bytes:
    rows = [" ".join(map(str, point)) for point in _POINTS] + ["0 3 0 1 2", "7 4 0 2 3 4", "1"]
    return _PLY % b"ascii" + "\n".join(rows).encode() + b"\n"


_FOREIGN: dict[str, list[bytes]] = {
    ".ply": [_text_ply(), _big_endian()],
    ".stl": [_STL],
    ".obj": [
        b"# quads\nmtllib none.mtl\nv 0 0 0 1\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1\nvn 0 0 1\n"
        b"usemtl a\ns off\nf -4/1/1 -3//1 3 \\\n4/2\nl 1 2\n"
    ],
}


def _cameras() -> list[Target]:
    pose = np.eye(4)
    pose[2, 3] = 4
    photos = {f"images/{n}.png": _png(8, 6) for n in "abc"}
    camera = Camera(8, 6, 9.0, 9.0, 4.0, 3.0, pose)
    frames = [{"file_path": f"images/{n}.png", "transform_matrix": pose.tolist()} for n in "abc"]
    shared = {"w": 8, "h": 6, "fl_x": 9.0, "fl_y": 9.0, "cx": 4.0, "cy": 3.0, "k1": 0.01}
    ngp = json.dumps({**shared, "aabb_scale": 1, "frames": frames}).encode()
    blender = json.dumps({"camera_angle_x": 0.8, "frames": frames}).encode()
    numbers = [9, 0, 4, 0, 9, 3, 0, 0, 1, *np.eye(3).ravel(), 0, 0, 4]
    rows = [f"images/{n}.png {' '.join(f'{x:g}' for x in numbers)}" for n in "abc"]
    cameras = b"# lenses\n1 OPENCV 8 6 9 9 4 3 0.01 0 0 0\n2 PINHOLE 8 6 9 9 4 3\n"
    images = b"".join(
        b"%d 1 0 0 0 0 0 4 1 %s.png\n1 2 -1\n" % (n, b"abc"[n : n + 1]) for n in range(3)
    )
    return [
        Target(
            "transforms",
            [{"transforms.json": t, **photos} for t in (ngp, blender)],
            read_transforms,
        ),
        Target(
            "cameras_json",
            [{"cameras.json": cameras_json({"a": camera}, np.array([0.0, 1.0, 0.0]))}],
            load_cameras,
        ),
        Target(
            "middlebury",
            [{"x_par.txt": "\n".join(["3", *rows]).encode(), **photos}],
            read_middlebury,
        ),
        Target(
            "colmap_text",
            [{"sparse/0/cameras.txt": cameras, "sparse/0/images.txt": images, **photos}],
            _read_colmap,
        ),
        Target("colmap_binary", [{**_colmap_binary(), **photos}], _read_colmap),
        Target("llff", [{"poses_bounds.npy": _npy(_llff_rows()), **photos}], read_llff),
        Target("idr", [{"cameras.npz": _npz(), **photos}], read_idr),
    ]


def _read_colmap(path: Path) -> object:
    return read_colmap(path.parents[2], path.parent)


def _colmap_binary() -> Files:
    import struct

    cameras = struct.pack("<QiiQQ4d", 1, 1, 1, 8, 6, 9, 9, 4, 3)
    images = struct.pack("<Q", 3)
    for number, name in enumerate("abc"):
        images += struct.pack("<i7di", number, 1, 0, 0, 0, 0, 0, 4, 1)
        images += f"{name}.png\0".encode() + struct.pack("<Q2dq", 1, 1, 2, -1)
    points = struct.pack("<Q", 1) + struct.pack("<Q3d3BdQ2i", 1, 0, 0, 1, 9, 9, 9, 0.5, 1, 1, 0)
    names = ("cameras", "images", "points3D")
    return {f"sparse/0/{n}.bin": d for n, d in zip(names, (cameras, images, points), strict=True)}


def _llff_rows() -> np.ndarray:
    matrix = np.column_stack([[0, 1, 0], [1, 0, 0], [0, 0, -1], [0, 0, 4], [6, 8, 9]])
    return np.tile([*matrix.ravel(), 0.1, 9.0], (3, 1)).astype(np.float64)


def _npy(array: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz() -> bytes:
    import io

    projection = np.array([[9.0, 0, 4, 0], [0, 9, 3, 0], [0, 0, 1, 4], [0, 0, 0, 1]])
    arrays = {f"world_mat_{n}": projection for n in range(3)}
    arrays |= {f"scale_mat_{n}": np.eye(4) for n in range(3)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _pictures(scratch: Path) -> list[Target]:
    from PIL import Image

    pixels = (np.arange(8 * 6 * 3).reshape(6, 8, 3) * 1.7).astype(np.uint8)
    photos = []
    for suffix in ("png", "jpg", "webp", "tif", "bmp"):
        Image.fromarray(pixels).save(scratch / f"p.{suffix}")
        photos.append({f"p.{suffix}": (scratch / f"p.{suffix}").read_bytes()})
    deep = Image.fromarray((pixels[..., 0].astype(np.uint16)) * 257)
    deep.save(scratch / "deep.png")
    depth = (scratch / "deep.png").read_bytes()
    light = environment_exr(np.ones((16, 32, 3), dtype=np.float32))
    return [
        Target("photo", photos, read_photo),
        Target("mask", [{"p.png": depth}, photos[0]], read_mask),
        Target("depth", [{"d.png": depth}, {"d.npy": _npy(pixels[..., 0] / 9.0)}], read_depth),
        Target("depth_pfm", [{"d.pfm": b"Pf\n2 1\n-1.0\n" + bytes(8)}], read_depth),
        Target("confidence", [{"c.png": depth}], read_confidence),
        Target("light_exr", [{"l.exr": light}], read_radiance),
        Target("light_hdr", [{"l.hdr": _hdr()}], read_radiance),
    ]


def _hdr() -> bytes:
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 16 +X 32\n"
    return head + bytes([128, 128, 128, 128]) * (16 * 32)


def _png(width: int, height: int) -> bytes:
    from photocast.formats.png_write import encode_png

    return encode_png(np.full((height, width, 3), 128, dtype=np.uint8))
