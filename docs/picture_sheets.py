# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the scripts that make pictures for the pages share: a small setting, and sheets of tiles."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from photocast.config import OptimizeConfig, optimize_preset
from photocast.data import Capture, Photo
from photocast.stages.ingest import decode_photos, read_capture

__all__ = ["BACKDROP", "IMAGES", "SAMPLE", "Tile", "load", "save_sheet", "small_setting"]

IMAGES = Path(__file__).resolve().parent / "images"
SAMPLE = Path(__file__).resolve().parents[1] / "examples" / "sample"
BACKDROP = (238, 240, 242)
_INK = (27, 31, 36)
_GAP, _HEAD = 8, 20

Tile = NDArray[np.uint8]


def load(folder: Path, max_size: int) -> tuple[Capture, tuple[Photo, ...], tuple[Photo, ...]]:
    """A capture without its test views, its photos, and the held-out ones, decoded."""
    capture = read_capture(folder)
    source = capture.mask_source
    photos = decode_photos(capture.views, mask_source=source, max_size=max_size)
    tests = decode_photos(capture.test_views, mask_source=source, max_size=max_size, context=photos)
    return replace(capture, test_views=()), photos, tests


def mask_of(photo: Photo) -> NDArray[np.uint8]:
    """Its mask; the sample has one for each photo."""
    assert photo.mask is not None
    return photo.mask


def small_setting(device: str = "cpu", *, carve_steps: int = 120) -> OptimizeConfig:
    """The preset draft with fewer steps, without camera refinement: enough for a small picture."""
    draft = optimize_preset("draft", device=device, poses="off")
    carve = replace(draft.volume.carve, steps=carve_steps, rays_per_step=8192)
    volume = replace(
        draft.volume, resolution=96, steps=(100, 160), rays_per_step=8192, min_steps=100
    )
    return replace(draft, volume=replace(volume, carve=carve))


def save_sheet(name: str, titles: Sequence[str], rows: Sequence[Sequence[Tile]], side: int) -> Path:
    """Write tiles under their titles as ``docs/images/NAME.webp``.

    Args:
        name: Of the file, without suffix.
        titles: One per column.
        rows: Tiles, uint8 sRGB; each is fitted into a square.
        side: Of that square [px].
    """
    fitted = [[_fitted(tile, side) for tile in tiles] for tiles in rows]
    heights = [max(tile.height for tile in tiles) + _GAP for tiles in fitted]
    pitch = side + _GAP
    sheet = Image.new("RGB", (len(titles) * pitch + _GAP, sum(heights) + _HEAD), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((_GAP + column * pitch, 5), title, fill=_INK)
    top = _HEAD
    for tiles, height in zip(fitted, heights, strict=True):
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (_GAP + column * pitch + (side - tile.width) // 2, top))
        top += height
    path = IMAGES / f"{name}.webp"
    sheet.save(path, quality=82, method=6)
    return path


def _fitted(tile: Tile, side: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(tile))
    share = side / max(image.size)
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    return image.resize(size, Image.Resampling.LANCZOS)
