# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of where problems are: marked faces on a clay model, or a colour for each number."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

from photocast.data import Camera, Mesh
from photocast.formats.png_write import encode_png
from photocast.stages.render import Drawable, draw, draw_raster, drawable
from photocast.stages.turntable import BACKDROP

__all__ = ["COLD_TO_HOT", "heat_map_png", "marked_png"]

COLD_TO_HOT = ((33, 60, 120), (60, 140, 160), (150, 200, 120), (250, 190, 60), (190, 30, 30))
"""Colours from the best to the worst value, evenly apart; they also differ in brightness."""

_MARK = np.array([205, 22, 30], np.float64)
_RIM = np.array([60, 0, 5], np.uint8)
_PALE = 0.45  # how much of the red shows through what hides it
_GROWTH = 2  # px that marks are widened by, so that small faces are seen
_GAP = 8


def marked_png(item: Drawable, cameras: Sequence[Camera], marks: NDArray[np.bool_]) -> bytes:
    """Draw marked faces in red on clay, from several cameras side by side, as PNG.

    Args:
        item: The mesh.
        cameras: All with images of the same height.
        marks: Of each face (f,).
    """
    mesh = item.mesh
    bare = Mesh(mesh.vertices, np.ascontiguousarray(mesh.faces[marks]))
    alone = drawable(bare, item.faces.device) if marks.any() else None
    return encode_png(_side_by_side([_marked(item, alone, camera, marks) for camera in cameras]))


def heat_map_png(
    item: Drawable,
    cameras: Sequence[Camera],
    values: NDArray[np.floating],
    best: float,
    worst: float,
) -> bytes:
    """Draw a colour for the number of each face, with a scale below, as PNG.

    Args:
        item: The mesh.
        cameras: All with images of the same height.
        values: Of each face (f,); NaN stays grey.
        best: The number that is drawn coldest.
        worst: The number that is drawn hottest.
    """
    share = np.clip((values.astype(np.float64) - best) / (worst - best), 0, 1)
    pictures = [_heated(item, camera, share) for camera in cameras]
    sheet = _side_by_side(pictures)
    return encode_png(np.vstack([sheet, _scale(sheet.shape[1], best, worst)]))


def _marked(
    item: Drawable, alone: Drawable | None, camera: Camera, marks: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    picture, face = _clay(item, camera)
    hit = (face >= 0) & marks[np.maximum(face, 0)]
    behind = np.zeros_like(hit)
    if alone is not None:
        behind = (draw_raster(alone, camera).face[0] >= 0).cpu().numpy() & ~hit
    picture[behind] = (picture[behind] * (1 - _PALE) + _MARK * _PALE).astype(np.uint8)
    wide: NDArray[np.bool_] = binary_dilation(hit, iterations=_GROWTH)
    shade = picture[hit].astype(np.float64).mean(axis=1, keepdims=True) / 255
    picture[hit] = (_MARK * (0.55 + 0.45 * shade)).astype(np.uint8)
    picture[wide & ~hit & ~behind] = _RIM
    return picture


def _heated(item: Drawable, camera: Camera, share: NDArray[np.float64]) -> NDArray[np.uint8]:
    picture, face = _clay(item, camera)
    seen = face >= 0
    here = share[face[seen]]
    known = ~np.isnan(here)
    colors = _ramp(np.where(known, here, 0))
    shade = picture[seen].astype(np.float64).mean(axis=1, keepdims=True) / 200
    picture[seen] = np.where(known[:, None], np.clip(colors * shade, 0, 255), picture[seen])
    return picture


def _clay(item: Drawable, camera: Camera) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    picture = draw(item, camera, style="clay").over(BACKDROP).copy()
    face = draw_raster(item, camera).face[0].to(torch.int64).cpu().numpy()
    return picture, face


def _ramp(share: NDArray[np.float64]) -> NDArray[np.float64]:
    stops = np.array(COLD_TO_HOT, np.float64)
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(share, at, stops[:, i]) for i in range(3)], axis=-1)


def _side_by_side(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.hstack(parts[1:])


def _scale(width: int, best: float, worst: float) -> NDArray[np.uint8]:
    bar = np.full((44, width, 3), 255, np.uint8)
    bar[6:20] = _ramp(np.linspace(0, 1, width)).astype(np.uint8)
    image = Image.fromarray(bar)
    pen = ImageDraw.Draw(image)
    pen.text((2, 26), f"{best:g}", fill=(27, 31, 36))
    text = f"{worst:g}"
    pen.text((width - 2 - pen.textlength(text), 26), text, fill=(27, 31, 36))
    return np.asarray(image)
