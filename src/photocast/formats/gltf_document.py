# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh as a glTF 2.0 document and its binary part, for a GLB or for separate files.

One root node turns the world's up to +Y; below it the vertices keep the capture's frame. UV seams
split vertices here because glTF has one index per corner. With a normal map go the tangents that
it was made for, so that no viewer has to guess them.
Source: Khronos, glTF 2.0 specification, sections 3 and 4; KHR_materials_unlit.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

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

__all__ = ["FRAME_MARK", "GltfDocument", "gltf_document"]

FRAME_MARK = "photocast_capture_frame"
"""Key in the root node's extras: what lies below is in the capture's frame."""

_FLOAT, _UINT32 = 5126, 5125
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963


@dataclass(frozen=True, slots=True, eq=False)
class GltfDocument:
    """What the two kinds of glTF have in common."""

    json: dict[str, Any]
    binary: bytes
    """Its length is a multiple of four."""
    images: dict[str, bytes]
    """Textures by file name, if they are not in ``binary``."""


def gltf_document(
    mesh: Mesh, *, up: NDArray[np.floating] | None = None, image_stem: str | None = None
) -> GltfDocument:
    """Describe a mesh with its textures.

    Args:
        mesh: Vertices in the capture's frame.
        up: The world's up direction; +Y if absent.
        image_stem: How the names of texture files begin; without, they go into the binary part.
    """
    parts = _Parts(image_stem)
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
    return GltfDocument(document, bytes(parts.binary), parts.files)


class _Parts:
    """The binary chunk as it grows, and the JSON that describes it."""

    def __init__(self, image_stem: str | None) -> None:
        self.image_stem = image_stem
        self.files: dict[str, bytes] = {}
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
        if self.image_stem is None:
            view = self.add_bytes(png)
            self.images.append({"bufferView": view, "mimeType": "image/png", "name": name})
        else:
            file = f"{self.image_stem}_{name}.png"
            self.files[file] = png
            self.images.append({"uri": quote(file), "name": name})
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
        if mesh.material.normal is not None:
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
