# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Wavefront OBJ: positions, UVs with V up, and colours after the position as many tools have them.

Colours are 8-bit sRGB over 255. The material is in ``mtl``. Read: polygons as fans around their
first corner, faces of fewer than three corners and all other statements passed over, negative
indices, lines continued with a backslash. UVs are kept if every corner has one, colours if every
vertex has one. The maps of several materials are laid side by side.
"""

import io
from array import array
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.errors import MeshError
from photocast.formats.limits import check_counts, shown
from photocast.formats.mtl import mtl_files, read_mtl, read_sheets
from photocast.formats.polygons import fan_corners
from photocast.formats.several_materials import MAX_SHEETS, lay_out
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear

__all__ = ["read_obj", "write_obj"]


def write_obj(mesh: Mesh, *, stem: str) -> dict[str, bytes]:
    """Encode a mesh as the files it needs, by file name.

    Args:
        mesh: Vertices in the capture's frame.
        stem: Name of all files before their suffix.
    """
    files = {} if mesh.uvs is None else mtl_files(mesh.material, stem=stem)
    lines = ["# photocast", *([f"mtllib {stem}.mtl"] if files else [])]
    rows = [_rows("v", _positions(mesh))]
    one_based = mesh.faces.astype(np.int64) + 1
    if mesh.uvs is not None and mesh.uv_faces is not None:
        rows.append(_rows("vt", _flip_v(mesh.uvs)))
        pairs = np.stack([one_based, mesh.uv_faces.astype(np.int64) + 1], axis=2).reshape(-1, 6)
        faces = "f %d/%d %d/%d %d/%d\n" * len(pairs) % tuple(pairs.ravel().tolist())
    else:
        faces = "f %d %d %d\n" * len(one_based) % tuple(one_based.ravel().tolist())
    use = "usemtl surface\n" if files else ""
    text = "\n".join(lines) + "\n" + "".join(rows) + use + faces
    return {f"{stem}.obj": text.encode(), **files}


def _positions(mesh: Mesh) -> NDArray[np.floating]:
    if mesh.colors is None:
        return mesh.vertices
    return np.column_stack([mesh.vertices, srgb_from_linear(mesh.colors) / 255.0])


def _rows(keyword: str, numbers: NDArray[np.floating]) -> str:
    # Nine digits bring every float32 back exactly.
    line = " ".join([keyword, *["%.9g"] * numbers.shape[1]]) + "\n"
    return line * len(numbers) % tuple(numbers.ravel().tolist())


def read_obj(data: bytes, folder: Path) -> Mesh:
    """Decode an OBJ, looking for its material and textures in ``folder``.

    Raises:
        MeshError: A line is damaged, or a named file is missing or outside the folder.
    """
    lines, line = _Lines(), b""
    try:
        for line in _statements(data):
            lines.read(line.split())
    except (ValueError, IndexError, OverflowError) as error:
        raise MeshError(
            f"the OBJ has a damaged line, number {lines.read_count + 1:,}: "
            f"{shown(line.strip()[:80])}. Export it again.",
            code="mesh.damaged",
        ) from error
    corners = fan_corners(np.array(lines.counts, dtype=np.int64))
    vertices = _float32(lines.positions, 3)
    check_counts(vertices=len(vertices), faces=len(corners))
    uv_corners = np.array(lines.uv_corners, dtype=np.int64)
    textured = bool(lines.uvs) and bool(len(uv_corners)) and bool((uv_corners >= 0).all())
    mesh = Mesh(
        vertices=vertices,
        faces=_indices(np.array(lines.corners, dtype=np.int64), corners, len(vertices)),
        uvs=_flip_v(_float32(lines.uvs, 2)) if textured else None,
        uv_faces=_indices(uv_corners, corners, len(lines.uvs) // 2) if textured else None,
        colors=_colors(lines),
    )
    if not textured or not lines.library:
        return mesh
    if len(lines.used) > MAX_SHEETS:
        return replace(mesh, material=Material(sources=len(lines.used)))
    return _dressed(mesh, lines, folder)


def _statements(data: bytes) -> Iterable[bytes]:
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    if b"\\" in data:
        data = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    return io.BytesIO(data)


class _Lines:
    """The statements of an OBJ that describe a surface, as packed numbers."""

    def __init__(self) -> None:
        self.positions = array("d")
        self.colors = array("d")
        self.uvs = array("d")
        self.corners = array("q")  # vertices, zero-based
        self.uv_corners = array("q")  # UVs, zero-based, or -1
        self.counts = array("q")
        self.library = ""
        self.material = ""
        self.used: dict[str, int] = {}  # materials of faces, with their numbers
        self.materials = array("q")  # number of each face's material
        self.read_count = 0

    def read(self, words: list[bytes]) -> None:
        keyword = words[0] if words else b""
        if keyword == b"v":
            x, y, z = words[1:4]
            self.positions.extend((float(x), float(y), float(z)))
            if len(words) >= 7:
                self.colors.extend(map(float, words[4:7]))
        elif keyword == b"vt":
            self.uvs.extend((float(words[1]), float(words[2]) if len(words) > 2 else 0.0))
        elif keyword == b"f":
            for word in words[1:]:
                self._corner(word)
            self.counts.append(len(words) - 1)
            self.materials.append(self.used.setdefault(self.material, len(self.used)))
        elif keyword == b"usemtl":
            self.material = _name(words)
        elif keyword == b"mtllib":
            self.library = _name(words)
        self.read_count += 1

    def _corner(self, word: bytes) -> None:
        parts = word.split(b"/")
        self.corners.append(_zero_based(int(parts[0]), len(self.positions) // 3))
        uv = parts[1] if len(parts) > 1 else b""
        self.uv_corners.append(_zero_based(int(uv), len(self.uvs) // 2) if uv else -1)


def _name(words: list[bytes]) -> str:
    return b" ".join(words[1:]).decode("utf-8", "replace")


def _zero_based(index: int, count: int) -> int:
    # Negative counts back from the latest entry.
    found = index - 1 if index > 0 else count + index
    if index == 0 or found < 0:
        raise ValueError(index)
    return found


def _float32(numbers: "array[float]", columns: int) -> NDArray[np.float32]:
    return np.array(numbers, dtype=np.float64).reshape(-1, columns).astype(np.float32)


def _indices(
    listed: NDArray[np.int64], corners: NDArray[np.int64], count: int
) -> NDArray[np.int32]:
    if listed.size and listed.max() >= count:  # before 32 bits make it something else
        raise MeshError(
            f"a face points at entry {listed.max() + 1:,} of {count:,}. Export the mesh again.",
            code="mesh.index",
        )
    return listed[corners].astype(np.int32)


def _flip_v(uvs: NDArray[np.float32]) -> NDArray[np.float32]:
    # Our v = 0 is the first row of the map; in an OBJ it is the last.
    return np.stack([uvs[:, 0], np.float32(1.0) - uvs[:, 1]], axis=1)


def _colors(lines: _Lines) -> NDArray[np.float32] | None:
    if not lines.colors or len(lines.colors) != len(lines.positions):
        return None
    codes = np.nan_to_num(np.array(lines.colors, dtype=np.float64))
    return linear_from_srgb(np.rint(np.clip(codes, 0, 1) * 255).astype(np.uint8).reshape(-1, 3))


def _dressed(mesh: Mesh, lines: _Lines, folder: Path) -> Mesh:
    names = list(lines.used)
    if len(names) == 1:
        return replace(mesh, material=read_mtl(lines.library, names[0], folder))
    sheets = read_sheets(lines.library, names, folder)
    if all(sheet.size == (1, 1) for sheet in sheets):
        return mesh
    triangles = np.maximum(np.array(lines.counts, dtype=np.int64) - 2, 0)
    return lay_out(mesh, sheets, np.repeat(np.array(lines.materials), triangles))
