# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Binary glTF 2.0 to a mesh: ours, and the common part of everybody else's.

All triangle primitives of the scene become one mesh with every node's transform applied, except
the root rotation of our own files (see ``glb_write``). Maps are kept if there is one material.
Not read: compressed geometry, sparse accessors, files beside the GLB, skins, animation.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.errors import MeshError
from photocast.formats.glb_write import FRAME_MARK
from photocast.formats.textures import base_color_from_png, decode_image, normal_from_pixels
from photocast.geometry.upright import matrix_of

__all__ = ["read_glb"]

_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_UNDERSTOOD = {"KHR_materials_unlit", "KHR_mesh_quantization"}
_TRIANGLES = 4


def read_glb(data: bytes) -> Mesh:
    """Decode a GLB.

    Raises:
        MeshError: Not a GLB, damaged, or compressed.
    """
    document, binary = _unpack(data)
    if unknown := set(document.get("extensionsRequired", [])) - _UNDERSTOOD:
        raise MeshError(
            f"the GLB needs {', '.join(sorted(unknown))}, which is not read. "
            "Export it without compression.",
            code="mesh.glb_extension",
        )
    try:
        return _Gltf(document, binary).mesh()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise MeshError(
            f"the GLB's contents do not fit together ({type(error).__name__}: {error}). "
            "Export it again.",
            code="mesh.damaged",
        ) from error


def _unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    if data[:4] != b"glTF" or len(data) < 20:
        raise MeshError("this is not a GLB (its first bytes say so).", code="mesh.damaged")
    _, version, total = struct.unpack_from("<4sII", data)
    if version != 2 or total > len(data):
        raise MeshError(
            f"the GLB has version {version} and {len(data)} of {total} bytes; version 2 and all "
            "bytes are needed. Copy or export it again.",
            code="mesh.truncated",
        )
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= total:
        size, kind = struct.unpack_from("<I4s", data, at)
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    try:
        document = json.loads(chunks.get(b"JSON", b""))
    except ValueError as error:
        raise MeshError(f"the GLB's JSON is damaged ({error}).", code="mesh.damaged") from error
    if not isinstance(document, dict):
        raise MeshError("the GLB's JSON is not an object.", code="mesh.damaged")
    return document, chunks.get(b"BIN\0", b"")


@dataclass(frozen=True)
class _Piece:
    positions: NDArray[np.float32]
    faces: NDArray[np.int64]
    uvs: NDArray[np.float32] | None
    colors: NDArray[np.float32] | None
    material: int | None


class _Gltf:
    def __init__(self, document: dict[str, Any], binary: bytes) -> None:
        self.document = document
        self.binary = binary

    def mesh(self) -> Mesh:
        pieces = [
            self.piece(primitive, transform)
            for index, transform in self.placed_meshes()
            for primitive in self.document["meshes"][index]["primitives"]
            if primitive.get("mode", _TRIANGLES) == _TRIANGLES
        ]
        if not pieces:
            raise MeshError("the GLB has no triangles.", code="mesh.no_faces")
        mesh = _joined(pieces)
        materials = {piece.material for piece in pieces}
        if len(materials) != 1:
            return mesh
        return self.dressed(mesh, materials.pop())

    def placed_meshes(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield every mesh of the scene with its transform into the file's frame."""
        nodes = self.document.get("nodes", [])
        scenes = self.document.get("scenes")
        roots = scenes[self.document.get("scene", 0)]["nodes"] if scenes else range(len(nodes))
        stack = [(index, np.eye(4)) for index in reversed(list(roots))]
        for _ in range(len(nodes) + 1):  # a node has one parent, so more steps are a cycle
            if not stack:
                return
            index, parent = stack.pop()
            node = nodes[index]
            transform = parent if FRAME_MARK in node.get("extras", {}) else parent @ _matrix(node)
            if "mesh" in node:
                yield node["mesh"], transform
            stack.extend((child, transform) for child in reversed(node.get("children", [])))
        raise MeshError("the GLB's nodes form a cycle.", code="mesh.damaged")

    def piece(self, primitive: dict[str, Any], transform: NDArray[np.float64]) -> _Piece:
        attributes = primitive["attributes"]
        positions = self.accessor(attributes["POSITION"])
        if not np.array_equal(transform, np.eye(4)):  # untouched bits where nothing moves
            positions = positions @ transform[:3, :3].T + transform[:3, 3]
        if "indices" in primitive:
            faces = self.accessor(primitive["indices"]).astype(np.int64).reshape(-1, 3)
        else:
            faces = np.arange(len(positions), dtype=np.int64).reshape(-1, 3)
        if faces.size and faces.max() >= len(positions):
            raise MeshError(
                f"a triangle points at vertex {faces.max()} of {len(positions)}.",
                code="mesh.index",
            )
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]  # a mirror turns triangles inside out
        uvs, colors = attributes.get("TEXCOORD_0"), attributes.get("COLOR_0")
        return _Piece(
            positions.astype(np.float32),
            faces,
            None if uvs is None else self.accessor(uvs).astype(np.float32),
            None if colors is None else self.accessor(colors)[:, :3].astype(np.float32),
            primitive.get("material"),
        )

    def accessor(self, index: int) -> NDArray[Any]:
        """Read one array (n, columns), normalized integers as floats."""
        accessor = self.document["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise MeshError("the GLB has sparse or empty accessors.", code="mesh.glb_extension")
        view = self.document["bufferViews"][accessor["bufferView"]]
        dtype = np.dtype(_DTYPES[accessor["componentType"]])
        columns, count = _COLUMNS[accessor["type"]], accessor["count"]
        stride = view.get("byteStride", dtype.itemsize * columns)
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        if count and start + stride * (count - 1) + dtype.itemsize * columns > len(self.binary):
            raise MeshError("the GLB's data ends early. Copy it again.", code="mesh.truncated")
        array: NDArray[Any] = np.ndarray(
            (count, columns), dtype, self.binary, start, (stride, dtype.itemsize)
        )
        if accessor.get("normalized") and dtype.kind in "iu":
            array = np.maximum(array / np.float32(np.iinfo(dtype).max), -1.0)
        return array

    def dressed(self, mesh: Mesh, index: int | None) -> Mesh:
        """Add the material: factors times textures; factors alone become 1x1 maps."""
        if index is None:
            return mesh
        source = self.document["materials"][index]
        surface = source.get("pbrMetallicRoughness", {})
        tint = np.asarray(surface.get("baseColorFactor", [1, 1, 1, 1])[:3], dtype=np.float32)
        base_color = self.image_bytes(surface.get("baseColorTexture"))
        if base_color is None and mesh.colors is None and (tint != 1).any():
            mesh = replace(mesh, colors=np.tile(tint, (len(mesh.vertices), 1)))
        roughness, metallic = self.metallic_roughness(surface)
        normal = self.image_bytes(source.get("normalTexture"))
        material = Material(
            base_color=None if base_color is None else base_color_from_png(base_color) * tint,
            roughness=roughness,
            metallic=metallic,
            normal=None if normal is None else normal_from_pixels(decode_image(normal)),
            unlit="KHR_materials_unlit" in source.get("extensions", {}),
        )
        return replace(mesh, material=material)

    def metallic_roughness(
        self, surface: dict[str, Any]
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        rough = float(surface.get("roughnessFactor", 1.0))
        metal = float(surface.get("metallicFactor", 1.0))
        packed = self.image_bytes(surface.get("metallicRoughnessTexture"))
        if packed is None:
            pixels = np.full((1, 1, 3), 255, dtype=np.uint8)
            if (rough, metal) == (1.0, 0.0):
                return None, None
        else:
            pixels = decode_image(packed)
        scaled = pixels.astype(np.float32) / np.float32(255)
        return scaled[..., 1] * np.float32(rough), scaled[..., 2] * np.float32(metal)

    def image_bytes(self, texture: dict[str, Any] | None) -> bytes | None:
        if texture is None:
            return None
        image = self.document["images"][self.document["textures"][texture["index"]]["source"]]
        if "bufferView" not in image:
            raise MeshError(
                "the GLB's texture lies outside the file. Export it with embedded textures.",
                code="mesh.texture",
            )
        view = self.document["bufferViews"][image["bufferView"]]
        start = view.get("byteOffset", 0)
        return self.binary[start : start + view["byteLength"]]


def _joined(pieces: list[_Piece]) -> Mesh:
    offsets = np.cumsum([0, *[len(piece.positions) for piece in pieces]])
    uvs = [piece.uvs for piece in pieces if piece.uvs is not None]
    colors = [piece.colors for piece in pieces if piece.colors is not None]
    faces = np.concatenate([p.faces + start for p, start in zip(pieces, offsets, strict=False)])
    textured = len(uvs) == len(pieces)
    return Mesh(
        vertices=np.concatenate([piece.positions for piece in pieces]),
        faces=faces.astype(np.int32),
        uvs=np.concatenate(uvs) if textured else None,
        uv_faces=faces.astype(np.int32) if textured else None,
        colors=np.concatenate(colors) if len(colors) == len(pieces) else None,
    )


def _matrix(node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return np.asarray(node["matrix"], dtype=np.float64).reshape(4, 4).T  # column-major
    rotation = matrix_of(node.get("rotation", (0.0, 0.0, 0.0, 1.0)))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.asarray(node.get("scale", (1.0, 1.0, 1.0)))
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix
