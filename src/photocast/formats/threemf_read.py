# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""3MF to a mesh, in metres: all build items with their transforms, base colour where there is one.

The item transform of our own files is passed over, so that what was saved comes back. Painted with
one texture, a mesh has UVs and a map; painted with colours, it has one colour per vertex. Not read:
models split over several parts, beams, slices, encryption.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.errors import MeshError
from photocast.formats.limits import check_counts
from photocast.formats.srgb import linear_from_srgb
from photocast.formats.textures import base_color_from_png
from photocast.formats.threemf_write import MODEL_RELATION
from photocast.formats.threemf_xml import Model, Object, read_model, read_relations
from photocast.formats.zip_files import ZipParts

__all__ = ["read_3mf"]

_MAX_PLACED = 20_000
_METRES = {"micron": 1e-6, "millimeter": 1e-3, "centimeter": 1e-2, "meter": 1.0}
_METRES |= {"inch": 0.0254, "foot": 0.3048}


def read_3mf(data: bytes) -> Mesh:
    """Decode a 3MF.

    Raises:
        MeshError: Not a 3MF, damaged, beyond the limits, or split over several parts.
    """
    parts = ZipParts(data, what="the 3MF")
    target = read_relations(parts.pieces("_rels/.rels")).get(MODEL_RELATION)
    if target is None:
        raise MeshError("the 3MF names no model. Export it again.", code="mesh.damaged")
    model = read_model(parts.pieces(target.lstrip("/")))
    try:
        return _mesh(model, parts)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise MeshError(
            f"the 3MF's contents do not fit together ({type(error).__name__}: "
            f"{ascii(str(error))[1:-1][:120]}). Export it again.",
            code="mesh.damaged",
        ) from error


@dataclass(slots=True)
class _Joined:
    vertices: list[NDArray[np.float64]] = field(default_factory=list)
    faces: list[NDArray[np.int64]] = field(default_factory=list)
    paint: list[NDArray[np.int64]] = field(default_factory=list)  # resource, three entries of it
    vertex_count: int = 0
    face_count: int = 0


def _mesh(model: Model, parts: ZipParts) -> Mesh:
    joined = _Joined()
    for item, matrix in _placed(model):
        vertices = np.array(item.vertices, dtype=np.float64).reshape(-1, 3)
        faces = np.array(item.triangles, dtype=np.int64).reshape(-1, 3)
        if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
            raise MeshError(
                f"a triangle points at vertex {faces.max():,} of {len(vertices):,}. "
                "Export the mesh again.",
                code="mesh.index",
            )
        if np.linalg.det(matrix[:3, :3]) < 0:
            faces = faces[:, ::-1]  # a mirror turns triangles inside out
        joined.faces.append(faces + joined.vertex_count)
        joined.paint.append(np.array(item.paint, dtype=np.int64).reshape(-1, 4))
        joined.vertices.append(vertices @ matrix[:3, :3] + matrix[3, :3])
        joined.vertex_count += len(vertices)
        joined.face_count += len(faces)
        check_counts(vertices=joined.vertex_count, faces=joined.face_count)
    if not joined.faces:
        raise MeshError("the 3MF has no triangles.", code="mesh.no_faces")
    faces = np.concatenate(joined.faces)
    mesh = Mesh(
        (np.concatenate(joined.vertices) * _METRES[model.unit]).astype(np.float32),
        faces.astype(np.int32),
    )
    return _painted(mesh, np.concatenate(joined.paint), model, parts)


def _placed(model: Model) -> Iterator[tuple[Object, NDArray[np.float64]]]:
    """Yield every object that is built, with its row-vector transform (4, 4)."""
    own = model.capture_frame
    stack = [(n, np.eye(4) if own else _matrix(m)) for n, m in reversed(model.items)]
    for _ in range(_MAX_PLACED):
        if not stack:
            return
        number, matrix = stack.pop()
        item = model.objects[number]
        if item.triangles:
            yield item, matrix
        stack.extend((child, _matrix(m) @ matrix) for child, m in reversed(item.components))
        if len(stack) > _MAX_PLACED:
            break
    raise MeshError(
        f"the 3MF places more than {_MAX_PLACED:,} objects, or components contain each other. "
        "Join its parts first.",
        code="mesh.too_large",
    )


def _matrix(text: str) -> NDArray[np.float64]:
    matrix = np.eye(4)
    if text:
        matrix[:, :3] = np.array([float(word) for word in text.split()]).reshape(4, 3)
    return matrix


def _painted(mesh: Mesh, paint: NDArray[np.int64], model: Model, parts: ZipParts) -> Mesh:
    """Add UVs and a map, or colours, if one resource paints every triangle."""
    resource = int(paint[0, 0])
    if (paint[:, 0] != resource).any():
        return mesh
    corners = paint[:, 1:]
    if resource in model.colors:
        codes = np.array(model.colors[resource], dtype=np.uint8).reshape(-1, 3)
        colors = np.ones((len(mesh.vertices), 3), dtype=np.float32)
        colors[mesh.faces] = linear_from_srgb(codes)[_inside(corners, len(codes))]
        return replace(mesh, colors=colors)
    if resource not in model.uvs:
        return mesh
    texture, listed = model.uvs[resource]
    uvs = np.array(listed, dtype=np.float64).reshape(-1, 2).astype(np.float32)
    uvs[:, 1] = np.float32(1.0) - uvs[:, 1]  # ours grows downwards
    return replace(
        mesh,
        uvs=uvs,
        uv_faces=_inside(corners, len(uvs)).astype(np.int32),
        material=_material(model.textures[texture], parts),
    )


def _inside(corners: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if not 0 <= corners.min() <= corners.max() < count:
        raise MeshError(
            f"a triangle's paint points at entry {corners.max():,} of {count:,}. "
            "Export the mesh again.",
            code="mesh.index",
        )
    return corners


def _material(path: str, parts: ZipParts) -> Material:
    return Material(base_color=base_color_from_png(parts.read(path.lstrip("/"))), unlit=False)
