# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The material of an OBJ: an MTL with its texture files.

Beside ``map_Kd`` there is no standard for physically based maps; ``map_Pr``, ``map_Pm`` and
``norm`` are what Assimp, Blender and others agreed on. ``illum 0`` is shown as it is, without
light. Roughness and metallic are grey, normals as in glTF (+Y up in the map).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material
from photocast.formats.limits import file_beside, read_beside, read_bytes
from photocast.formats.several_materials import Sheet
from photocast.formats.textures import (
    base_color_from_png,
    decode_image,
    image_size,
    normal_from_pixels,
    png_from_base_color,
    png_from_grey,
    png_from_normal,
)

__all__ = ["mtl_files", "read_mtl", "read_sheets"]

_MAX_MTL_BYTES = 16 << 20
_MAPS = ("map_Kd", "map_Pr", "map_Pm", "norm")


def mtl_files(material: Material, *, stem: str) -> dict[str, bytes]:
    """Encode a material and its textures, by file name; nothing if it has no maps."""
    files: dict[str, bytes] = {}
    lines = ["newmtl surface", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0"]
    lines.append(f"illum {0 if material.unlit else 2}")

    def add(keyword: str, name: str, png: bytes) -> None:
        files[name] = png
        lines.append(f"{keyword} {name}")

    if material.base_color is not None:
        add("map_Kd", f"{stem}.png", png_from_base_color(material.base_color))
    if material.roughness is not None:
        add("map_Pr", f"{stem}_roughness.png", png_from_grey(material.roughness))
    if material.metallic is not None:
        add("map_Pm", f"{stem}_metallic.png", png_from_grey(material.metallic))
    if material.normal is not None:
        add("norm", f"{stem}_normal.png", png_from_normal(material.normal))
    if not files:
        return {}
    return {f"{stem}.mtl": ("\n".join(lines) + "\n").encode(), **files}


def read_mtl(library: str, name: str, folder: Path) -> Material:
    """Read one material with its maps.

    Args:
        library: The MTL file, as the OBJ names it; without it there are no maps.
        name: Of the material; if the MTL has only one, that one.
        folder: Where the OBJ lies.

    Raises:
        MeshError: A texture is missing, damaged or outside the folder.
    """
    found = _library(library, folder)
    chosen = found.get(name) or (next(iter(found.values())) if len(found) == 1 else {})
    return _material(chosen, folder)


def read_sheets(library: str, names: Sequence[str], folder: Path) -> list[Sheet]:
    """Read several materials, each with a base colour, if only ``Kd`` as a map of one texel.

    Args:
        library: As in :func:`read_mtl`.
        names: Of the materials.
        folder: Where the OBJ lies.

    Raises:
        MeshError: A texture is missing, damaged or outside the folder.
    """
    found = _library(library, folder)
    return [_sheet(found.get(name, {}), folder) for name in names]


def _sheet(chosen: dict[str, str], folder: Path) -> Sheet:
    def load() -> Material:
        material = _material(chosen, folder)
        if material.base_color is not None:
            return material
        color = np.clip([float(x) for x in chosen.get("Kd", "1 1 1").split()[:3]], 0, 1)
        return replace(material, base_color=np.broadcast_to(np.float32(color), (1, 1, 3)))

    files = [read_beside(folder, chosen[k], owner="the MTL") for k in _MAPS if k in chosen]
    sizes = [(1, 1), *(image_size(data) for data in files)]
    return Sheet((max(width for width, _ in sizes), max(height for _, height in sizes)), load)


def _library(library: str, folder: Path) -> dict[str, dict[str, str]]:
    path = file_beside(folder, library, owner="the OBJ")
    return {} if path is None else _materials(read_bytes(path, most=_MAX_MTL_BYTES))


def _material(chosen: dict[str, str], folder: Path) -> Material:
    def pixels(keyword: str) -> NDArray[np.uint8] | None:
        if keyword not in chosen:
            return None
        return decode_image(read_beside(folder, chosen[keyword], owner="the MTL"))

    roughness, metallic, normal = (pixels(keyword) for keyword in _MAPS[1:])
    base_color = None
    if "map_Kd" in chosen:
        base_color = base_color_from_png(read_beside(folder, chosen["map_Kd"], owner="the MTL"))
    return Material(
        base_color=base_color,
        roughness=_grey(roughness),
        metallic=_grey(metallic),
        normal=None if normal is None else normal_from_pixels(normal),
        unlit=chosen.get("illum", "" if any(k in chosen for k in _MAPS) else "0") == "0",
    )


def _materials(data: bytes) -> dict[str, dict[str, str]]:
    """File names and the shading model by keyword, for each material by name."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        words = line.split()
        keyword = words[0] if words else ""
        if keyword == "newmtl":
            current = found.setdefault(" ".join(words[1:]), {})
        elif keyword in _MAPS and len(words) > 1:
            # Options such as -s 1 1 1 come before the name.
            options = any(word.startswith("-") for word in words[1:])
            current[keyword] = words[-1] if options else " ".join(words[1:])
        elif keyword == "illum" and len(words) > 1:
            current["illum"] = words[1]
        elif keyword == "Kd" and len(words) > 3 and all(map(_is_number, words[1:4])):
            current["Kd"] = " ".join(words[1:4])
    return found


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _grey(pixels: NDArray[np.uint8] | None) -> NDArray[np.float32] | None:
    return None if pixels is None else pixels[..., 0].astype(np.float32) / np.float32(255)
