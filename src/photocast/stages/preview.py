# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``preview.png``: a sheet of photo, render, difference and bare geometry, view by view."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photocast.data import Camera, Photo, Scene
from photocast.formats.png_write import encode_png
from photocast.stages.orbit import orbit_camera
from photocast.stages.render import Drawable, draw, drawable, over
from photocast.stages.turntable import BACKDROP

__all__ = ["object_psnr", "preview_png", "spread"]

_TILE, _GAP, _HEAD, _FOOT = 300, 12, 34, 26
_INK, _SOFT = (27, 31, 36), (91, 101, 112)
_GAIN = 4
"""The difference is shown this many times brighter."""
_LONGEST = 1024
"""Views are compared at no more than this size [px]."""


@dataclass(frozen=True)
class _Row:
    name: str
    note: str
    tiles: list[NDArray[np.uint8]]


def preview_png(
    scene: Scene,
    photos: Sequence[Photo] = (),
    *,
    rows: int = 4,
    device: str | torch.device = "cpu",
    item: Drawable | None = None,
) -> bytes:
    """Draw the sheet.

    Args:
        scene: The result.
        photos: Held-out photos if there are any, else some of the others; an even choice is shown.
            Without photos the object is shown from around.
        rows: How many views.
        device: Where to draw.
        item: The mesh, if it is already uploaded.
    """
    item = item or drawable(scene.mesh, device, light=scene.light)
    if photos:
        titles = ["photo", "render", f"difference, {_GAIN} times", "geometry"]
        content = [_compared(item, photo) for photo in spread(photos, rows)]
    else:
        titles = ["render", "geometry", "normals"]
        content = [_orbited(item, scene, index * 360 / rows) for index in range(rows)]
    return encode_png(np.asarray(_sheet(titles, content)))


def spread(photos: Sequence[Photo], count: int) -> list[Photo]:
    """Choose ``count`` of a sequence, evenly spaced."""
    if len(photos) <= count:
        return list(photos)
    return [photos[index * len(photos) // count] for index in range(count)]


def object_psnr(
    photo: NDArray[np.uint8], render: NDArray[np.uint8], where: NDArray[np.bool_]
) -> float | None:
    """PSNR [dB] of sRGB over the pixels of ``where``; ``None`` if there are none."""
    if not where.any():
        return None
    error = (photo[where].astype(np.float64) - render[where]) / 255
    return float(-10 * np.log10(max(float((error**2).mean()), 1e-12)))


def _compared(item: Drawable, photo: Photo) -> _Row:
    camera, rgb, mask = _shrunk(photo)
    render = draw(item, camera)
    # Without a mask the photo's background is no error of ours: compare where the object is drawn.
    coverage = render.alpha if mask is None else np.maximum(render.alpha, mask)
    shown = rgb if mask is None else over(rgb, mask, BACKDROP)
    drawn = render.over(BACKDROP)
    psnr = object_psnr(shown, drawn, coverage > 127)
    difference = np.abs(shown.astype(np.int16) - drawn) * _GAIN
    difference = np.where(coverage[..., None] > 0, np.minimum(difference, 255), 0).astype(np.uint8)
    clay = draw(item, camera, style="clay").over(BACKDROP)
    box = _object_box(coverage)
    note = "object not in view" if psnr is None else f"PSNR {psnr:.1f} dB on the object"
    return _Row(photo.name, note, [_cut(tile, box) for tile in (shown, drawn, difference, clay)])


def _orbited(item: Drawable, scene: Scene, azimuth_deg: float) -> _Row:
    camera = orbit_camera(
        scene.mesh.vertices, scene.up, azimuth_deg=azimuth_deg, size=(_TILE, _TILE)
    )
    pictures = [draw(item, camera, style=s, supersample=2) for s in ("color", "clay", "normal")]
    return _Row(f"{azimuth_deg:.0f}°", "", [picture.over(BACKDROP) for picture in pictures])


def _shrunk(photo: Photo) -> tuple[Camera, NDArray[np.uint8], NDArray[np.uint8] | None]:
    camera = photo.camera
    factor = min(1.0, _LONGEST / max(camera.width, camera.height))
    if factor == 1.0:
        return camera, photo.rgb, photo.mask
    width, height = round(camera.width * factor), round(camera.height * factor)

    def smaller(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(array).resize((width, height), Image.Resampling.BOX)
        return np.asarray(image)

    mask = None if photo.mask is None else smaller(photo.mask)
    return camera.resized(width, height), smaller(photo.rgb), mask


def _object_box(coverage: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a square around the object, clipped to the image."""
    height, width = coverage.shape
    ys, xs = np.nonzero(coverage > 127)
    if not len(ys):
        return 0, 0, width, height
    half = 0.56 * max(np.ptp(xs), np.ptp(ys)) + 4
    x, y = (xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2
    return (
        max(int(x - half), 0),
        max(int(y - half), 0),
        min(int(x + half) + 1, width),
        min(int(y + half) + 1, height),
    )


def _cut(tile: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    return tile[top:bottom, left:right]


def _sheet(titles: list[str], rows: list[_Row]) -> Image.Image:
    width = _GAP + len(titles) * (_TILE + _GAP)
    height = _HEAD + len(rows) * (_TILE + _FOOT + _GAP)
    sheet = Image.new("RGB", (width, height), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(size=17), ImageFont.load_default(size=15)
    for column, title in enumerate(titles):
        pen.text((_GAP + column * (_TILE + _GAP), 9), title, fill=_INK, font=large)
    for index, row in enumerate(rows):
        top = _HEAD + index * (_TILE + _FOOT + _GAP)
        for column, tile in enumerate(row.tiles):
            left = _GAP + column * (_TILE + _GAP)
            sheet.paste(_fitted(tile), (left, top))
        pen.text((_GAP, top + _TILE + 5), row.name, fill=_SOFT, font=small)
        pen.text((2 * _GAP + _TILE, top + _TILE + 5), row.note, fill=_SOFT, font=small)
    return sheet


def _fitted(tile: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(tile)
    factor = _TILE / max(image.size)
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    canvas = Image.new("RGB", (_TILE, _TILE), BACKDROP)
    canvas.paste(
        image.resize(size, Image.Resampling.LANCZOS),
        ((_TILE - size[0]) // 2, (_TILE - size[1]) // 2),
    )
    return canvas
