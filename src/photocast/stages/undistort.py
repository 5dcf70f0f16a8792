# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pinhole photos of exactly the wanted size, from photos with a lens, and their exact cameras.

Colours are averaged over each new pixel's area in linear light, weighted by alpha, as a sensor with
larger pixels would; masks the same way; depth is never averaged across an edge.
"""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera

__all__ = [
    "pinhole_of",
    "resample_confidence",
    "resample_coverage",
    "resample_depth",
    "resample_rgb",
    "target_size",
]

_STRIP = 128  # rows looked up at a time, which bounds the memory
_EDGE = 0.02  # neighbouring depths further apart than this share belong to different surfaces


def target_size(width: int, height: int, max_size: int | None) -> tuple[int, int]:
    """The size within ``max_size`` on the longer side, never larger than the photo [px]."""
    if max_size is None or max(width, height) <= max_size:
        return width, height
    factor = max_size / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def pinhole_of(camera: Camera) -> Camera:
    """The camera without distortion whose every pixel was seen by the lens.

    Same size, pose and principal point; the focal length grows just enough that no pixel of the
    new photo looks past the border of the old one.
    """
    if camera.distortion is None:
        return camera
    low, high = 1.0, 1.0
    while not _border_is_inside(camera, high) and high < 4:
        low, high = high, high * 1.25
    for _ in range(12 if high > 1 else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if _border_is_inside(camera, middle) else (middle, high)
    return replace(camera, fx=camera.fx * high, fy=camera.fy * high, distortion=None)


def _border_is_inside(camera: Camera, zoom: float) -> bool:
    width, height = camera.width, camera.height
    across, down = np.linspace(0.5, width - 0.5, 65), np.linspace(0.5, height - 0.5, 65)
    edges = [np.stack([across, np.full(65, edge)], 1) for edge in (0.5, height - 0.5)] + [
        np.stack([np.full(65, edge), down], 1) for edge in (0.5, width - 0.5)
    ]
    pixels = np.concatenate(edges)
    rays = (pixels - [camera.cx, camera.cy]) / [camera.fx * zoom, camera.fy * zoom]
    seen = _distort(camera, rays)
    # A quarter of a pixel of grace: interpolation repeats the border there.
    return bool(((seen > 0.25) & (seen < np.array([width, height]) - 0.25)).all())


def _distort(camera: Camera, rays: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points (n, 2) of the plane z = 1 fall, in continuous pixels of the photo."""
    assert camera.distortion is not None
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)[:, None]
    coefficients = np.array(camera.distortion.coefficients)
    zero = np.zeros(3)
    # OpenCV puts (0, 0) at the first pixel's centre; K in continuous pixels makes the output so.
    if camera.distortion.model == "fisheye":
        pixels, _ = cv2.fisheye.projectPoints(points, zero, zero, camera.intrinsics, coefficients)
    else:
        pixels, _ = cv2.projectPoints(points, zero, zero, camera.intrinsics, coefficients)
    found: NDArray[np.float64] = pixels.reshape(-1, 2)
    return found


def source_pixels(source: Camera, target: Camera) -> NDArray[np.float32]:
    """Where each pixel centre of ``target`` lies in the stored photo, continuous px (h, w, 2)."""
    if source.distortion is None:
        x = (np.arange(target.width) + 0.5 - target.cx) / target.fx * source.fx + source.cx
        y = (np.arange(target.height) + 0.5 - target.cy) / target.fy * source.fy + source.cy
        return np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)
    make = (
        cv2.fisheye.initUndistortRectifyMap
        if source.distortion.model == "fisheye"
        else cv2.initUndistortRectifyMap
    )
    # OpenCV counts from pixel centres: shift both cameras by half a pixel, and the map back.
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    coefficients = np.array(source.distortion.coefficients)
    size = (target.width, target.height)
    x, y = make(
        source.intrinsics - half,
        coefficients,
        np.eye(3),
        target.intrinsics - half,
        size,
        cv2.CV_32FC1,
    )
    return np.stack([x, y], axis=-1) + np.float32(0.5)


@lru_cache(maxsize=1)
def _linear_from_srgb() -> NDArray[np.float32]:
    s = np.arange(256) / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _srgb_from_linear(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    clipped = np.clip(linear, 0, 1)
    srgb = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    stored: NDArray[np.uint8] = np.rint(srgb * 255).astype(np.uint8)
    return stored


def _straighten(
    image: NDArray[np.uint8], source: Camera, full: Camera, interpolation: int
) -> NDArray[np.uint8]:
    if source.distortion is None:
        return image
    pixels = source_pixels(source, full) - np.float32(0.5)
    straight: NDArray[np.uint8] = cv2.remap(
        image, pixels, None, interpolation, borderMode=cv2.BORDER_REPLICATE
    )
    return straight


def resample_rgb(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, source: Camera, target: Camera
) -> NDArray[np.uint8]:
    """Undistort and reduce a photo.

    Args:
        rgb: sRGB as stored, straight, (h, w, 3).
        alpha: As stored, (h, w); colours of uncovered pixels do not bleed in.
        source: The camera of the stored photo.
        target: ``pinhole_of(source)``, resized.

    Returns:
        sRGB, straight, of the target's size.
    """
    full = pinhole_of(source)
    rgb = _straighten(rgb, source, full, cv2.INTER_CUBIC)
    if (target.width, target.height) == (full.width, full.height):
        return rgb
    size = (target.width, target.height)
    linear = _linear_from_srgb()[rgb]
    mean = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    if alpha is not None:
        weight = _straighten(alpha, source, full, cv2.INTER_LINEAR).astype(np.float32)[..., None]
        weighted = cv2.resize(linear * weight, size, interpolation=cv2.INTER_AREA)
        total = cv2.resize(weight[..., 0], size, interpolation=cv2.INTER_AREA)[..., None]
        mean = np.where(total > 0, weighted / np.maximum(total, 1e-6), mean)
    return _srgb_from_linear(mean)


def resample_coverage(mask: NDArray[np.uint8], source: Camera, target: Camera) -> NDArray[np.uint8]:
    """Undistort and reduce a mask or alpha of the photo's stored size; coverage 0..255."""
    full = pinhole_of(source)
    mask = _straighten(mask, source, full, cv2.INTER_LINEAR)
    if (target.width, target.height) == (full.width, full.height):
        return mask
    reduced: NDArray[np.uint8] = cv2.resize(
        mask, (target.width, target.height), interpolation=cv2.INTER_AREA
    )
    return reduced


def resample_depth(
    depth: NDArray[np.float32], source: Camera, target: Camera
) -> NDArray[np.float32]:
    """Look up a depth map of any size at the pixel centres of ``target``.

    Bilinear among the four neighbours where all are known and nearly equal; else the nearest one,
    so that no depth is made up between two surfaces.

    Args:
        depth: (h, w), covering the same field as the stored photo; 0 is unknown.
        source: The camera of the stored photo.
        target: ``pinhole_of(source)``, resized.

    Returns:
        (target.height, target.width).
    """
    rows, columns = depth.shape
    if (rows, columns) == (target.height, target.width) and source.distortion is None:
        return depth
    pixels = source_pixels(source, target)
    pixels *= np.array([columns / source.width, rows / source.height], np.float32)
    pixels -= np.float32(0.5)
    found = np.empty((target.height, target.width), np.float32)
    for start in range(0, target.height, _STRIP):
        strip = slice(start, start + _STRIP)
        found[strip] = _lookup(depth, pixels[strip, :, 0], pixels[strip, :, 1])
    return found


def resample_confidence(
    confidence: NDArray[np.uint8], source: Camera, target: Camera
) -> NDArray[np.uint8]:
    """Nearest trust, 0..255, at the pixel centres of ``target``; any size, as the depth map."""
    rows, columns = confidence.shape
    if (rows, columns) == (target.height, target.width) and source.distortion is None:
        return confidence
    pixels = source_pixels(source, target)
    pixels *= np.array([columns / source.width, rows / source.height], np.float32)
    at = np.floor(pixels).astype(np.intp)
    return np.asarray(
        confidence[at[..., 1].clip(0, rows - 1), at[..., 0].clip(0, columns - 1)], np.uint8
    )


def _lookup(
    depth: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    # x, y count from the first pixel's centre.
    rows, columns = depth.shape
    x0, y0 = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    fx, fy = x - x0, y - y0
    xs = [np.clip(x0 + i, 0, columns - 1) for i in (0, 1)]
    ys = [np.clip(y0 + i, 0, rows - 1) for i in (0, 1)]
    corners = np.stack([depth[ys[j], xs[i]] for j in (0, 1) for i in (0, 1)])
    weights = np.stack(
        [(fx if i else 1 - fx) * (fy if j else 1 - fy) for j in (0, 1) for i in (0, 1)]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    smooth = (corners * weights).sum(axis=0)
    # Exact halves take the first corner, so an edge never gives a value that nobody measured.
    nearest = np.take_along_axis(corners, weights.argmax(axis=0)[None], axis=0)[0]
    mixed = np.where((low > 0) & (high - low <= _EDGE * low), smooth, nearest)
    return np.asarray(mixed, dtype=np.float32)
