# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One picture of a capture: cameras and box from the side and from above, and some photos."""

import cv2
import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Photo
from photocast.stages.inspect import Inspection

__all__ = ["draw_inspection"]

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

_PANEL = 640  # side of each of the two plots [px]
_THUMBS = 8
_INK, _CAMERA, _TEST, _BOX, _OUTLINE = (
    (40, 40, 40),
    (30, 90, 200),
    (240, 130, 20),
    (20, 150, 70),
    (255, 40, 40),
)
_PAPER = 250


def draw_inspection(inspection: Inspection) -> Image:
    """Draw the capture.

    Returns:
        sRGB, (h, w, 3): two orthographic plots above (training cameras blue, test cameras orange,
        object box green), photos with the outlines of their masks below.
    """
    capture = inspection.capture
    up = capture.up / np.linalg.norm(capture.up)
    right = np.cross(np.eye(3)[np.abs(up).argmin()], up)
    right /= np.linalg.norm(right)
    back = np.cross(right, up)  # towards the viewer of the side plot
    side = _plot(inspection, np.stack([right, up]), "from the side")
    above = _plot(inspection, np.stack([right, -back]), "from above")
    plots = np.concatenate([side, above], axis=1)
    return np.concatenate([plots, _thumbnails(inspection.photos, plots.shape[1])], axis=0)


def _plot(inspection: Inspection, axes: Array, title: str) -> Image:
    capture = inspection.capture
    groups = [
        ([view.camera for view in views if view.camera is not None], colour)
        for views, colour in ((capture.test_views, _TEST), (capture.views, _CAMERA))
    ]
    centers = np.stack([camera.center for cameras, _ in groups for camera in cameras])
    box = inspection.box
    middle = centers.mean(axis=0) if box is None else box.mean(axis=0)
    length = 0.12 * float(np.median(np.linalg.norm(centers - middle, axis=1)))
    points = centers if box is None else np.concatenate([centers, _corners(box)])
    flat = points @ axes.T
    low, high = flat.min(axis=0) - 1.5 * length, flat.max(axis=0) + 1.5 * length
    scale = (_PANEL - 40) / float((high - low).max())
    shift = _PANEL / 2 - scale * (low + high) / 2
    image = np.full((_PANEL, _PANEL, 3), _PAPER, np.uint8)

    def line(a: Array, b: Array, colour: tuple[int, int, int], width: int = 1) -> None:
        ends = [(scale * (axes @ p) + shift) for p in (a, b)]
        # Picture rows count downwards.
        (x0, y0), (x1, y1) = [(int(x), int(_PANEL - y)) for x, y in ends]
        cv2.line(image, (x0, y0), (x1, y1), colour, width, cv2.LINE_AA)

    for cameras, colour in groups:
        for camera in cameras:
            for a, b in _frustum(camera, length):
                line(a, b, colour)
    if box is not None:
        corners = _corners(box)
        for i in range(8):
            for bit in (1, 2, 4):
                if not i & bit:
                    line(corners[i], corners[i | bit], _BOX, 2)
    _text(image, title, (12, 24))
    return image


def _corners(box: Array) -> Array:
    return np.array([[box[(i >> axis) & 1, axis] for axis in range(3)] for i in range(8)])


def _frustum(camera: Camera, length: float) -> list[tuple[Array, Array]]:
    pixels = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [camera.width, camera.height]
    rays = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    local = np.concatenate([rays, np.ones((4, 1))], axis=1) * length
    pose = camera.world_from_camera
    ends = local @ pose[:3, :3].T + pose[:3, 3]
    edges = [(camera.center, end) for end in ends]
    return edges + [(ends[i], ends[(i + 1) % 4]) for i in range(4)]


def _thumbnails(photos: tuple[Photo, ...], width: int) -> Image:
    side = width // (_THUMBS // 2)
    chosen = sorted({int(i) for i in np.linspace(0, len(photos) - 1, _THUMBS)})
    sheet = np.full((2 * side, width, 3), _PAPER, np.uint8)
    for slot, index in enumerate(chosen):
        thumb = _thumbnail(photos[index], side - 4)
        y, x = slot // (_THUMBS // 2) * side + 2, slot % (_THUMBS // 2) * side + 2
        sheet[y : y + thumb.shape[0], x : x + thumb.shape[1]] = thumb
    return sheet


def _thumbnail(photo: Photo, side: int) -> Image:
    height, width = photo.rgb.shape[:2]
    factor = side / max(height, width)
    size = (max(1, int(width * factor)), max(1, int(height * factor)))
    image: Image = cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA)
    if photo.mask is not None:
        inside = (cv2.resize(photo.mask, size, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)
        outlines, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outlines, -1, _OUTLINE, 1, cv2.LINE_AA)
    _text(image, photo.name, (6, size[1] - 8))
    return image


def _text(image: Image, words: str, at: tuple[int, int]) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, words, at, font, 0.5, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.putText(image, words, at, font, 0.5, _INK, 1, cv2.LINE_AA)
