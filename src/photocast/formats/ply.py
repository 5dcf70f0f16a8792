# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""PLY: welded geometry, with UVs per corner and colours per vertex.

Written binary little-endian. Colours are 8-bit sRGB, and ``texcoord`` has V up, both as MeshLab
and Blender have them. Read: text and both byte orders, polygons as fans, extra properties.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.errors import MeshError
from photocast.formats.limits import check_counts
from photocast.formats.ply_tables import PlyList, PlyTable, read_ply_tables
from photocast.formats.polygons import fan_corners
from photocast.formats.seams import distinct_rows
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear

__all__ = ["read_ply", "write_ply"]

_VERTEX_UVS = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))


def write_ply(mesh: Mesh) -> bytes:
    """Encode geometry, UVs and colours; textures stay out."""
    vertex: list[tuple[str, str, Any]] = [("xyz", "<f4", 3)]
    face: list[tuple[str, str, Any]] = [("count", "u1", 1), ("vertex_indices", "<i4", 3)]
    lines = ["ply", "format binary_little_endian 1.0", "comment photocast"]
    lines += [f"element vertex {len(mesh.vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    if mesh.colors is not None:
        vertex.append(("rgb", "u1", 3))
        lines += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    lines += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices"]
    if mesh.uvs is not None:
        face += [("uv_count", "u1", 1), ("texcoord", "<f4", (3, 2))]
        lines.append("property list uchar float texcoord")
    vertices, faces = np.zeros(len(mesh.vertices), vertex), np.zeros(len(mesh.faces), face)
    vertices["xyz"] = mesh.vertices
    faces["count"], faces["vertex_indices"] = 3, mesh.faces
    if mesh.colors is not None:
        vertices["rgb"] = srgb_from_linear(mesh.colors)
    if mesh.uvs is not None and mesh.uv_faces is not None:
        faces["uv_count"], faces["texcoord"] = 6, _flip_v(mesh.uvs)[mesh.uv_faces]
    header = "\n".join([*lines, "end_header", ""]).encode()
    return header + vertices.tobytes() + faces.tobytes()


def read_ply(data: bytes) -> Mesh:
    """Decode a PLY.

    Raises:
        MeshError: Not a PLY, damaged, or it ends early.
    """
    tables = read_ply_tables(data)
    vertex, face = tables.get("vertex", PlyTable()), tables.get("face", PlyTable())
    if missing := {"x", "y", "z"} - set(vertex.scalars):
        raise MeshError(
            f"the PLY's vertices lack {', '.join(sorted(missing))}.", code="mesh.damaged"
        )
    vertices = np.stack([vertex.scalars[axis] for axis in "xyz"], axis=1).astype(np.float32)
    indices = face.lists.get("vertex_indices", face.lists.get("vertex_index"))
    if indices is None:
        raise MeshError(
            f"the PLY has {len(vertices)} vertices but no faces. A surface is needed, "
            "not a point cloud.",
            code="mesh.no_faces",
        )
    if indices.values.dtype.kind == "f":
        raise MeshError(
            "the PLY's faces point at fractions of vertices. Export it again.", code="mesh.damaged"
        )
    corners = fan_corners(indices.counts)
    check_counts(faces=len(corners))
    faces = indices.values.astype(np.int32)[corners]
    colors = _colors(vertex)
    if st := next((names for names in _VERTEX_UVS if set(names) <= set(vertex.scalars)), None):
        uvs = np.stack([vertex.scalars[name] for name in st], axis=1).astype(np.float32)
        return Mesh(vertices, faces, uvs=_flip_v(uvs), uv_faces=faces, colors=colors)
    corner_uvs, uv_faces = _corner_uvs(face.lists.get("texcoord"), indices.counts, corners)
    return Mesh(vertices, faces, uvs=corner_uvs, uv_faces=uv_faces, colors=colors)


def _corner_uvs(
    texcoord: PlyList | None, polygon_counts: NDArray[np.int64], corners: NDArray[np.int64]
) -> tuple[NDArray[np.float32] | None, NDArray[np.int32] | None]:
    if texcoord is None or not len(texcoord.values):
        return None, None
    if not np.array_equal(texcoord.counts, 2 * polygon_counts):
        raise MeshError(
            "the PLY's texcoord needs two numbers for each corner of each face.",
            code="mesh.damaged",
        )
    uvs = _flip_v(texcoord.values.astype(np.float32).reshape(-1, 2))
    first, inverse = distinct_rows(uvs)
    return uvs[first], inverse[corners].astype(np.int32)


def _colors(vertex: PlyTable) -> NDArray[np.float32] | None:
    channels = [vertex.scalars.get(name) for name in ("red", "green", "blue")]
    found = [channel for channel in channels if channel is not None]
    if len(found) < 3:
        return None
    return linear_from_srgb(np.stack([_codes(channel) for channel in found], axis=1))


def _codes(channel: NDArray[Any]) -> NDArray[np.uint8]:
    # Fractions are of one, 16 bits of 65535; other integers mean 0..255.
    if channel.dtype.kind == "f":
        channel = np.rint(np.clip(np.nan_to_num(channel), 0, 1) * 255)
    elif channel.dtype.itemsize == 2:
        channel = channel // 257
    codes: NDArray[np.uint8] = np.clip(channel, 0, 255).astype(np.uint8)
    return codes


def _flip_v(uvs: NDArray[np.float32]) -> NDArray[np.float32]:
    # Our v = 0 is the first row of the map; PLY viewers have v = 0 at the last.
    return np.stack([uvs[:, 0], np.float32(1.0) - uvs[:, 1]], axis=1)
