# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Wavefront OBJ with its MTL and texture.

Written: positions, UVs with V up, one material whose base colour is a PNG, colours after the
position as many tools have them (8-bit sRGB over 255). Roughness, metallic and normal maps are
left out: OBJ has no agreed place for them. Read: polygons, negative indices, missing UVs.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.errors import MeshError
from photocast.formats.polygons import fan_corners
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear
from photocast.formats.textures import base_color_from_png, png_from_base_color

__all__ = ["read_obj", "write_obj"]


def write_obj(mesh: Mesh, *, stem: str) -> dict[str, bytes]:
    """Encode a mesh as the files it needs, by file name.

    Args:
        mesh: Vertices in the capture's frame.
        stem: Name of all files before their suffix.
    """
    files, lines = {}, ["# photocast"]
    if mesh.material.base_color is not None and mesh.uvs is not None:
        files[f"{stem}.png"] = png_from_base_color(mesh.material.base_color)
        files[f"{stem}.mtl"] = _material(mesh.material, f"{stem}.png")
        lines.append(f"mtllib {stem}.mtl")
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


def _material(material: Material, texture: str) -> bytes:
    shading = 0 if material.unlit else 2
    return (
        f"newmtl surface\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum {shading}\nmap_Kd {texture}\n"
    ).encode()


def read_obj(data: bytes, folder: Path) -> Mesh:
    """Decode an OBJ, looking for its material and texture in ``folder``.

    Raises:
        MeshError: A line is damaged, or the named texture is missing.
    """
    try:
        lines = _Lines(data)
        positions = np.array(lines.positions, dtype=np.float64).reshape(len(lines.positions), -1)
    except (ValueError, IndexError) as error:
        raise MeshError(f"the OBJ has a damaged line ({error}).", code="mesh.damaged") from error
    corners = fan_corners(np.array(lines.counts, dtype=np.int64))
    table = np.array(lines.corners, dtype=np.int64).reshape(-1, 2)[corners.ravel()]
    faces = table[:, 0].reshape(-1, 3).astype(np.int32)
    textured = bool(lines.uvs) and bool(len(table)) and bool((table[:, 1] >= 0).all())
    return Mesh(
        vertices=np.ascontiguousarray(positions[:, :3], dtype=np.float32).reshape(-1, 3),
        faces=faces,
        uvs=_flip_v(np.array(lines.uvs, dtype=np.float32)) if textured else None,
        uv_faces=table[:, 1].reshape(-1, 3).astype(np.int32) if textured else None,
        colors=_colors(positions),
        material=_read_material(lines.library, folder) if textured else Material(),
    )


class _Lines:
    """The statements of an OBJ that describe a surface, as lists."""

    def __init__(self, data: bytes) -> None:
        self.positions: list[list[float]] = []
        self.uvs: list[list[float]] = []
        self.corners: list[tuple[int, int]] = []  # vertex, UV or -1; zero-based
        self.counts: list[int] = []
        self.library = ""
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            words = line.split()
            try:
                if words:
                    self._statement(words[0], words[1:])
            except (ValueError, IndexError) as error:
                raise ValueError(f"line {number}: {line.strip()[:60]!r}") from error

    def _statement(self, keyword: str, words: list[str]) -> None:
        if keyword == "v":
            if len(words) < 3:
                raise ValueError(words)
            self.positions.append([float(word) for word in words[: 6 if len(words) >= 6 else 3]])
        elif keyword == "vt":
            self.uvs.append([float(words[0]), float(words[1])])
        elif keyword == "f":
            self.corners.extend(self._corner(word) for word in words)
            self.counts.append(len(words))
        elif keyword == "mtllib" and words:
            self.library = " ".join(words)

    def _corner(self, word: str) -> tuple[int, int]:
        parts = word.split("/")
        uv = parts[1] if len(parts) > 1 else ""
        return _zero_based(int(parts[0]), len(self.positions)), (
            _zero_based(int(uv), len(self.uvs)) if uv else -1
        )


def _zero_based(index: int, count: int) -> int:
    # Negative counts back from the latest entry.
    return index - 1 if index > 0 else count + index


def _flip_v(uvs: NDArray[np.float32]) -> NDArray[np.float32]:
    # Our v = 0 is the first row of the map; in an OBJ it is the last.
    return np.stack([uvs[:, 0], np.float32(1.0) - uvs[:, 1]], axis=1)


def _colors(positions: NDArray[np.float64]) -> NDArray[np.float32] | None:
    if positions.shape[1] < 6:
        return None
    codes = np.rint(np.clip(positions[:, 3:6], 0, 1) * 255).astype(np.uint8)
    return linear_from_srgb(codes)


def _read_material(library: str, folder: Path) -> Material:
    path = folder / library
    if not library or not path.is_file():
        return Material()
    texture, unlit = "", False
    for words in (line.split() for line in path.read_text("utf-8", "replace").splitlines()):
        if words[:1] == ["map_Kd"]:
            # Options such as -s 1 1 1 come before the name.
            options = any(word.startswith("-") for word in words[1:])
            texture = words[-1] if options else " ".join(words[1:])
        elif words[:2] == ["illum", "0"]:
            unlit = True
    if not texture:
        return Material()
    image = folder / texture
    if not image.is_file():
        raise MeshError(
            f"the texture {texture} named in {library} is missing. Put it beside the OBJ.",
            code="mesh.texture",
        )
    return Material(base_color=base_color_from_png(image.read_bytes()), unlit=unlit)
