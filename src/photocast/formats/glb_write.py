# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh as binary glTF 2.0.

One root node turns the world's up to +Y; below it the vertices keep the capture's frame. UV seams
split vertices here because glTF has one index per corner. With a normal map go the tangents that
it was made for, so that no viewer has to guess them.
Source: Khronos, glTF 2.0 specification, sections 3 and 4; KHR_materials_unlit.
"""

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.formats.seams import split_corners
from photocast.formats.textures import (
    png_from_base_color,
    png_from_metallic_roughness,
    png_from_normal,
)
from photocast.geometry.tangents import vertex_tangents
from photocast.geometry.upright import upright_quaternion
from photocast.geometry.vertex_normals import vertex_normals

__all__ = ["FRAME_MARK", "write_glb"]

FRAME_MARK = "photocast_capture_frame"
"""Key in the root node's extras: what lies below is in the capture's frame."""

_FLOAT, _UINT32 = 5126, 5125
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963


def write_glb(mesh: Mesh, *, up: NDArray[np.floating] | None = None) -> bytes:
    """Encode a mesh with its textures.

    Args:
        mesh: Vertices in the capture's frame.
        up: The world's up direction; +Y if absent.
    """
    parts = _Parts()
    material = _material(mesh, parts)
    primitive = {**_geometry(mesh, parts), "mode": 4, "material": 0}
    rotation = list(upright_quaternion(np.array([0.0, 1.0, 0.0]) if up is None else up))
    root = {"name": "photocast", "children": [1], "extras": {FRAME_MARK: True}}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "photocast"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{**root, "rotation": rotation}, {"name": "object", "mesh": 0}],
        "meshes": [{"name": "object", "primitives": [primitive]}],
        "materials": [material],
        "accessors": parts.accessors,
        "bufferViews": parts.views,
        "buffers": [{"byteLength": len(parts.binary)}],
    }
    if mesh.material.unlit:
        document["extensionsUsed"] = ["KHR_materials_unlit"]
    if parts.images:
        document["images"] = parts.images
        document["textures"] = [{"source": i, "sampler": 0} for i in range(len(parts.images))]
        # Linear with mips; the edge is clamped so that no chart bleeds across it.
        document["samplers"] = [
            {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}
        ]
    return _pack(document, bytes(parts.binary))


class _Parts:
    """The binary chunk as it grows, and the JSON that describes it."""

    def __init__(self) -> None:
        self.binary = bytearray()
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []

    def add_bytes(self, data: bytes, target: int | None = None) -> int:
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        self.views.append(view if target is None else {**view, "target": target})
        self.binary += data
        self.binary += bytes(-len(data) % 4)  # accessors must start at multiples of four
        return len(self.views) - 1

    def add_array(self, array: NDArray[Any], *, bounds: bool = False) -> int:
        index = array.dtype == np.uint32
        accessor: dict[str, Any] = {
            "bufferView": self.add_bytes(
                array.tobytes(), _INDEX_BUFFER if index else _VERTEX_BUFFER
            ),
            "componentType": _UINT32 if index else _FLOAT,
            "count": len(array),
            "type": "SCALAR" if array.ndim == 1 else f"VEC{array.shape[1]}",
        }
        if bounds:
            accessor["min"] = array.min(axis=0).tolist()
            accessor["max"] = array.max(axis=0).tolist()
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_image(self, png: bytes, name: str) -> dict[str, int]:
        view = self.add_bytes(png)
        self.images.append({"bufferView": view, "mimeType": "image/png", "name": name})
        return {"index": len(self.images) - 1}


def _geometry(mesh: Mesh, parts: _Parts) -> dict[str, Any]:
    split = split_corners(mesh)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    attributes = {
        "POSITION": parts.add_array(mesh.vertices[split.vertex], bounds=True),
        "NORMAL": parts.add_array(normals[split.vertex]),
    }
    if mesh.uvs is not None and split.uv is not None:
        attributes["TEXCOORD_0"] = parts.add_array(mesh.uvs[split.uv])
        if mesh.material.normal is not None and not mesh.material.unlit:
            assert mesh.uv_faces is not None
            tangents = vertex_tangents(mesh.vertices, mesh.faces, mesh.uvs, mesh.uv_faces, normals)
            attributes["TANGENT"] = parts.add_array(tangents[split.uv])
    if mesh.colors is not None:
        attributes["COLOR_0"] = parts.add_array(np.clip(mesh.colors, 0, 1)[split.vertex])
    return {"attributes": attributes, "indices": parts.add_array(split.faces.ravel())}


def _material(mesh: Mesh, parts: _Parts) -> dict[str, Any]:
    maps: Material = mesh.material
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    material: dict[str, Any] = {"name": "surface", "pbrMetallicRoughness": surface}
    if maps.unlit:
        material["extensions"] = {"KHR_materials_unlit": {}}
    if mesh.uvs is None:
        return material
    if maps.base_color is not None:
        surface["baseColorTexture"] = parts.add_image(
            png_from_base_color(maps.base_color), "base_color"
        )
    if packed := png_from_metallic_roughness(maps):
        surface["metallicRoughnessTexture"] = parts.add_image(packed, "metallic_roughness")
        surface["metallicFactor"] = 0.0 if maps.metallic is None else 1.0
    if maps.normal is not None:
        material["normalTexture"] = parts.add_image(png_from_normal(maps.normal), "normal")
    return material


def _pack(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    header = struct.pack("<4sII", b"glTF", 2, total)
    json_head = struct.pack("<I4s", len(text), b"JSON")
    return header + json_head + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
