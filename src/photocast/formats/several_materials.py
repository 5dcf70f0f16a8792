# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Lay the maps of several materials side by side, so that a mesh has one material.

Every material gets a rectangle of the new maps, and the UVs move there. A map that repeats is
repeated as often as its faces need. Maps keep their size as long as all fit into 4096 x 4096; else
all are halved until they do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh

__all__ = ["MAX_SHEETS", "Sheet", "lay_out"]

MAX_SHEETS = 256
"""Materials of which the maps are read."""

_MOST_SIDE = 4096
_MOST_PIXELS = 1 << 26  # of all: as many as one map may have
_MOST_TILES = 16  # to each side
_GUTTER = 4  # around each rectangle, so that smaller copies of the maps do not mix [px]
_BLANK = {"base_color": (1.0, 1.0, 1.0), "roughness": (1.0,), "metallic": (0.0,),
          "normal": (0.0, 0.0, 1.0)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """One of the materials."""

    size: tuple[int, int]
    """Width and height of its largest map [px]."""
    load: Callable[[], Material]
    """Read its maps, of any sizes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    sheet: Sheet
    faces: NDArray[np.intp]
    uvs: NDArray[np.float64]
    """Of the corners of its faces, within the tiles (n, 3, 2)."""
    tiles: NDArray[np.int64]
    """How often the map is needed to the right and down (2,)."""

    def tile(self, scale: float) -> NDArray[np.int64]:
        """Width and height of one tile [px]."""
        return np.maximum(np.ceil(np.array(self.sheet.size) * scale), 1).astype(np.int64)

    def outer(self, scale: float) -> NDArray[np.int64]:
        """Width and height with the gutter [px]."""
        return self.tile(scale) * self.tiles + 2 * _GUTTER


def lay_out(mesh: Mesh, sheets: Sequence[Sheet], sheet: NDArray[np.integer]) -> Mesh:
    """Give a mesh one material instead of several.

    Args:
        mesh: With UVs, each into the maps of its own material.
        sheets: The materials.
        sheet: Which one each face has (f,).

    Returns:
        The mesh with moved UVs; without maps if they are too many or repeat too often.
    """
    assert mesh.uvs is not None
    assert mesh.uv_faces is not None
    count = len(np.unique(sheet))
    if not count:
        return mesh
    corners = mesh.uvs[mesh.uv_faces].astype(np.float64)
    cells = [_cell(sheets[s], corners, np.flatnonzero(sheet == s)) for s in np.unique(sheet)]
    pixels = sum(cell.sheet.size[0] * cell.sheet.size[1] for cell in cells)
    if pixels > _MOST_PIXELS or any(cell.tiles.max() > _MOST_TILES for cell in cells):
        return replace(mesh, material=Material(sources=count))
    scale = 1.0
    while (packed := _packed([cell.outer(scale) for cell in cells])) is None:
        scale /= 2
        if scale < 1 / _MOST_SIDE:
            return replace(mesh, material=Material(sources=count))
    places, size = packed
    maps: dict[str, NDArray[np.float32]] = {}
    unlit = True
    for cell, place in zip(cells, places, strict=True):
        material = cell.sheet.load()
        unlit &= material.unlit
        _paint(maps, material, cell, place, size, scale)
        corners[cell.faces] = (cell.uvs * cell.tile(scale) + place + _GUTTER) / size
    return replace(
        mesh,
        uvs=corners.reshape(-1, 2).astype(np.float32),
        uv_faces=np.arange(corners.shape[0] * 3, dtype=np.int32).reshape(-1, 3),
        material=Material(
            base_color=maps.get("base_color"),
            roughness=_grey(maps.get("roughness")),
            metallic=_grey(maps.get("metallic")),
            normal=maps.get("normal"),
            unlit=unlit,
            sources=count,
        ),
    )


def _cell(sheet: Sheet, corners: NDArray[np.float64], faces: NDArray[np.intp]) -> _Cell:
    uvs = corners[faces]
    if uvs.min() < 0 or uvs.max() > 1:  # a whole number of maps further it looks the same
        uvs = uvs - np.floor(uvs.min(axis=1, keepdims=True))
    most = np.ceil(np.minimum(uvs.max(axis=(0, 1)), 2 * _MOST_TILES))
    return _Cell(sheet, faces, uvs, np.maximum(most, 1).astype(np.int64))


def _packed(
    sizes: list[NDArray[np.int64]],
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]] | None:
    """Put rectangles on shelves, the highest first.

    Returns:
        Where each begins, and the width and height of all; ``None`` if they do not fit.
    """
    order = sorted(range(len(sizes)), key=lambda index: -int(sizes[index][1]))
    width = 1 << (int(max(size[0] for size in sizes)) - 1).bit_length()
    while width <= _MOST_SIDE:
        places = [np.zeros(2, np.int64) for _ in sizes]
        x = y = high = 0
        for index in order:
            if x + sizes[index][0] > width:
                x, y, high = 0, y + high, 0
            places[index] = np.array([x, y])
            x, high = x + int(sizes[index][0]), max(high, int(sizes[index][1]))
        if y + high <= width:
            return places, np.array([width, y + high])
        width *= 2
    return None


def _paint(
    maps: dict[str, NDArray[np.float32]],
    material: Material,
    cell: _Cell,
    place: NDArray[np.int64],
    size: NDArray[np.int64],
    scale: float,
) -> None:
    """Put the maps of one material into its rectangle, with as many tiles as it needs."""
    left, top = place
    wide, high = cell.outer(scale)
    edge = "wrap" if cell.tiles.max() > 1 else "edge"
    for name, blank in _BLANK.items():
        map_ = getattr(material, name)
        if map_ is None:
            continue
        if name not in maps:
            maps[name] = np.tile(np.array(blank, np.float32), (int(size[1]), int(size[0]), 1))
        tile = _resized(map_.reshape(*map_.shape[:2], -1), cell.tile(scale))
        tiled = np.tile(tile, (cell.tiles[1], cell.tiles[0], 1))
        pad = ((_GUTTER, _GUTTER), (_GUTTER, _GUTTER), (0, 0))
        maps[name][top : top + high, left : left + wide] = np.pad(tiled, pad, edge)  # type: ignore[call-overload]


def _resized(map_: NDArray[np.float32], size: NDArray[np.int64]) -> NDArray[np.float32]:
    if (map_.shape[1], map_.shape[0]) == tuple(size):
        return map_
    import cv2

    smaller = map_.shape[1] > size[0] or map_.shape[0] > size[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    made = cv2.resize(map_, (int(size[0]), int(size[1])), interpolation=how)
    return np.asarray(made, np.float32).reshape(int(size[1]), int(size[0]), -1)


def _grey(map_: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if map_ is None else np.ascontiguousarray(map_[..., 0])
