# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""glTF 2.0, binary or text, to a mesh: ours, and the common part of everybody else's.

All triangle primitives of the scene become one mesh with every node's transform applied, except
the root rotation of our own files (see ``gltf_document``). Strips and fans become triangles,
points and lines are passed over. The maps of several materials are laid side by side.
Not read: compressed geometry, sparse accessors, skins, animation.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.errors import MeshError
from photocast.formats.gltf_container import GltfFile, entry, open_glb, open_gltf, whole
from photocast.formats.gltf_document import FRAME_MARK
from photocast.formats.limits import check_counts, shown
from photocast.formats.several_materials import MAX_SHEETS, Sheet, lay_out
from photocast.formats.textures import (
    base_color_from_png,
    decode_image,
    image_size,
    normal_from_pixels,
)
from photocast.geometry.upright import matrix_of

__all__ = ["read_glb", "read_gltf"]

_UNDERSTOOD = {"KHR_materials_unlit", "KHR_mesh_quantization"}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_MAX_PIECES = 100_000  # nodes, and primitives in them


def read_glb(data: bytes, folder: Path | None = None) -> Mesh:
    """Decode a GLB.

    Args:
        data: The file.
        folder: Where files that it names may lie; none are read without.

    Raises:
        MeshError: Not a GLB, damaged, or compressed.
    """
    return _mesh(open_glb(data, folder))


def read_gltf(data: bytes, folder: Path) -> Mesh:
    """Decode a ``.gltf`` with its buffers and textures, embedded or in ``folder``.

    Raises:
        MeshError: Not a glTF, damaged, or compressed.
    """
    return _mesh(open_gltf(data, folder))


def _mesh(file: GltfFile) -> Mesh:
    try:
        if unknown := {str(n) for n in file.document.get("extensionsRequired", [])} - _UNDERSTOOD:
            raise MeshError(
                f"the glTF needs {shown(', '.join(sorted(unknown)))}, which is not read. "
                "Export it without compression.",
                code="mesh.glb_extension",
            )
        return _Gltf(file).mesh()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise MeshError(
            f"the glTF's contents do not fit together ({type(error).__name__}: {error}). "
            "Export it again.",
            code="mesh.damaged",
        ) from error


@dataclass(frozen=True)
class _Piece:
    positions: NDArray[np.float32]
    faces: NDArray[np.int64]
    uvs: NDArray[np.float32] | None
    colors: NDArray[np.float32] | None
    material: Any


class _Gltf:
    def __init__(self, file: GltfFile) -> None:
        self.file = file
        self.document = file.document

    def mesh(self) -> Mesh:
        pieces: list[_Piece] = []
        vertices = faces = 0
        for primitive, transform in self.placed_primitives():
            piece = self.piece(primitive, transform)
            vertices, faces = vertices + len(piece.positions), faces + len(piece.faces)
            check_counts(vertices=vertices, faces=faces)  # a mesh may be placed many times
            pieces.append(piece)
            _check_pieces(len(pieces), "primitives")
        if not pieces:
            raise MeshError("the glTF has no triangles.", code="mesh.no_faces")
        if any(piece.material != pieces[0].material for piece in pieces):
            return self.patchwork(pieces)
        return self.dressed(_joined(pieces), pieces[0].material)

    def placed_primitives(self) -> Iterator[tuple[dict[str, Any], NDArray[np.float64]]]:
        for index, transform in self.placed_meshes():
            for primitive in entry(self.document, "meshes", index)["primitives"]:
                if primitive.get("mode", _TRIANGLES) in {_TRIANGLES, _STRIP, _FAN}:
                    yield primitive, transform

    def placed_meshes(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield every mesh of the scene with its transform into the file's frame."""
        nodes = self.document.get("nodes", [])
        _check_pieces(len(nodes), "nodes")
        roots: Any = range(len(nodes))
        if self.document.get("scenes"):
            roots = entry(self.document, "scenes", self.document.get("scene", 0))["nodes"]
        stack = [(index, np.eye(4)) for index in reversed(list(roots))]
        seen: set[int] = set()
        while stack:
            index, parent = stack.pop()
            node = entry(self.document, "nodes", index)
            if index in seen:
                raise MeshError(
                    f"node {index} of the glTF hangs below two others, or in a cycle. "
                    "Export it again.",
                    code="mesh.damaged",
                )
            seen.add(index)
            transform = parent if FRAME_MARK in node.get("extras", {}) else parent @ _matrix(node)
            if "mesh" in node:
                yield node["mesh"], transform
            stack.extend((child, transform) for child in reversed(node.get("children", [])))

    def piece(self, primitive: dict[str, Any], transform: NDArray[np.float64]) -> _Piece:
        attributes = primitive["attributes"]
        positions = self.file.accessor(attributes["POSITION"])
        if not np.array_equal(transform, np.eye(4)):  # untouched bits where nothing moves
            positions = positions @ transform[:3, :3].T + transform[:3, 3]
        faces = _triangles(self.corners(primitive, len(positions)), primitive.get("mode"))
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]  # a mirror turns triangles inside out
        uvs = self.attribute(attributes, "TEXCOORD_0", len(positions), 2)
        colors = self.attribute(attributes, "COLOR_0", len(positions), 3)
        return _Piece(positions.astype(np.float32), faces, uvs, colors, primitive.get("material"))

    def corners(self, primitive: dict[str, Any], vertex_count: int) -> NDArray[np.int64]:
        if "indices" not in primitive:
            return np.arange(vertex_count, dtype=np.int64)
        indices = self.file.accessor(primitive["indices"])
        if indices.dtype.kind != "u" or indices.shape[1] != 1:
            raise ValueError(f"indices are {indices.dtype} with {indices.shape[1]} columns")
        corners = indices[:, 0].astype(np.int64)
        if corners.size and corners.max() >= vertex_count:
            raise MeshError(
                f"a triangle points at vertex {corners.max():,} of {vertex_count:,}. "
                "Export the mesh again.",
                code="mesh.index",
            )
        return corners

    def attribute(
        self, attributes: dict[str, Any], name: str, vertex_count: int, columns: int
    ) -> NDArray[np.float32] | None:
        if name not in attributes:
            return None
        array = self.file.accessor(attributes[name])
        if len(array) != vertex_count or array.shape[1] < columns:
            raise ValueError(f"{name} is {array.shape} for {vertex_count} positions")
        return array[:, :columns].astype(np.float32)

    def dressed(self, mesh: Mesh, index: Any) -> Mesh:
        """Add the material: factors times textures; factors alone become 1x1 maps."""
        if index is None:
            return mesh
        material, tint = self.material(index), self.tint(index)
        if material.base_color is None and mesh.colors is None and (tint != 1).any():
            mesh = replace(mesh, colors=np.tile(tint, (len(mesh.vertices), 1)))
        return replace(mesh, material=material)

    def material(self, index: Any) -> Material:
        source = entry(self.document, "materials", index)
        surface = source.get("pbrMetallicRoughness", {})
        base_color = self.file.image(surface.get("baseColorTexture"))
        roughness, metallic = self.metallic_roughness(surface)
        normal = self.file.image(source.get("normalTexture"))
        return Material(
            base_color=None
            if base_color is None
            else base_color_from_png(base_color) * self.tint(index),
            roughness=roughness,
            metallic=metallic,
            normal=None if normal is None else normal_from_pixels(decode_image(normal)),
            unlit="KHR_materials_unlit" in source.get("extensions", {}),
        )

    def patchwork(self, pieces: list[_Piece]) -> Mesh:
        """Join pieces of several materials; if none has a texture, their colours."""
        named = {str(piece.material): piece.material for piece in pieces}
        if len(named) > MAX_SHEETS:
            return replace(_joined(pieces), material=Material(sources=len(named)))
        sheets = [Sheet(self.map_size(i), partial(self.maps, i)) for i in named.values()]
        if all(sheet.size == (1, 1) for sheet in sheets):
            return _joined([self.tinted(piece) for piece in pieces])
        mesh = _joined([_with_uvs(piece) for piece in pieces])
        number = {name: i for i, name in enumerate(named)}
        of_piece = [number[str(piece.material)] for piece in pieces]
        return lay_out(mesh, sheets, np.repeat(of_piece, [len(piece.faces) for piece in pieces]))

    def map_size(self, index: Any) -> tuple[int, int]:
        """Width and height of the largest map of a material; 1 x 1 if it has none."""
        if index is None:
            return 1, 1
        source = entry(self.document, "materials", index)
        surface = source.get("pbrMetallicRoughness", {})
        images = (self.file.image(surface.get("baseColorTexture")),
                  self.file.image(surface.get("metallicRoughnessTexture")),
                  self.file.image(source.get("normalTexture")))  # fmt: skip
        sizes = [(1, 1), *(image_size(image) for image in images if image is not None)]
        return max(width for width, _ in sizes), max(height for _, height in sizes)

    def maps(self, index: Any) -> Material:
        """A material whose colour is a map, if only of one texel."""
        material = Material(unlit=False) if index is None else self.material(index)
        if material.base_color is not None:
            return material
        return replace(material, base_color=self.tint(index).reshape(1, 1, 3))

    def tinted(self, piece: _Piece) -> _Piece:
        if piece.colors is not None:
            return piece
        tint = self.tint(piece.material)
        return replace(piece, colors=np.tile(tint, (len(piece.positions), 1)))

    def tint(self, index: Any) -> NDArray[np.float32]:
        source = {} if index is None else entry(self.document, "materials", index)
        surface = source.get("pbrMetallicRoughness", {})
        return _factors(surface.get("baseColorFactor", [1, 1, 1, 1]), 4)[:3]

    def metallic_roughness(
        self, surface: dict[str, Any]
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        rough, metal = (
            _factors([surface.get(key, 1.0)], 1)[0] for key in ("roughnessFactor", "metallicFactor")
        )
        packed = self.file.image(surface.get("metallicRoughnessTexture"))
        if packed is None:
            pixels = np.full((1, 1, 3), 255, dtype=np.uint8)
            if (rough, metal) == (1.0, 0.0):
                return None, None
        else:
            pixels = decode_image(packed)
        scaled = pixels.astype(np.float32) / np.float32(255)
        return scaled[..., 1] * rough, scaled[..., 2] * metal


def _with_uvs(piece: _Piece) -> _Piece:
    if piece.uvs is not None:
        return piece
    return replace(piece, uvs=np.zeros((len(piece.positions), 2), np.float32))


def _check_pieces(count: int, what: str) -> None:
    if count > _MAX_PIECES:
        raise MeshError(
            f"the glTF has {count:,} or more {what}; at most {_MAX_PIECES:,} are read. "
            "Join its parts first.",
            code="mesh.too_large",
        )


def _factors(values: Any, count: int) -> NDArray[np.float32]:
    factors = np.asarray(values, dtype=np.float32)
    if factors.shape != (count,) or not ((factors >= 0) & (factors <= 1)).all():
        raise ValueError(f"a material factor is {shown(values)}")
    return factors


def _triangles(corners: NDArray[np.int64], mode: Any) -> NDArray[np.int64]:
    if mode in (None, _TRIANGLES):
        return corners.reshape(-1, 3)
    first = np.arange(max(len(corners) - 2, 0))
    if mode == _FAN:
        picks = np.stack([first + 1, first + 2, np.zeros_like(first)], axis=1)
    else:  # every second triangle of a strip runs the other way round
        odd = first % 2
        picks = np.stack([first, first + 1 + odd, first + 2 - odd], axis=1)
    return corners[picks]


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
    quaternion = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    whole(len(quaternion) - 4, "a rotation's surplus numbers", most=0)
    matrix = np.eye(4)
    matrix[:3, :3] = matrix_of(quaternion) * np.asarray(node.get("scale", (1.0, 1.0, 1.0)))
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix
