# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What real sensors do to depth, from published models; metres, seeded, 0 is unknown.

Sources: Nguyen, Izadi, Lovell 2012, "Modeling Kinect sensor noise for improved 3D reconstruction
and tracking" (axial and lateral noise); Handa et al. 2014, "A benchmark for RGB-D visual odometry"
(quantised disparity). The phone's model follows what is seen in its maps: 256 pixels wide, smooth
across edges, off by a centimetre over large patches.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]

_KINECT_FOCAL = 585.0  # px at a width of 640
_KINECT_BASELINE = 0.075  # m


def kinect(depth: Depth, focal: float, rng: np.random.Generator) -> Depth:
    """Structured light: jitter across and along the ray, quantised disparity.

    Args:
        depth: True depth [m].
        focal: Of this map [px].
        rng: Source of all noise.
    """
    cosine = _cosine(depth, focal)
    theta = np.arccos(np.clip(cosine, 0.05, 1))
    flat = theta / (np.pi / 2 - theta)
    pixel = focal / _KINECT_FOCAL  # a sensor's pixel in pixels of this map
    reach = (0.8 + 0.035 * flat) * pixel
    rows, columns = np.indices(depth.shape)
    y = np.rint(rows + reach * rng.normal(size=depth.shape)).clip(0, depth.shape[0] - 1)
    x = np.rint(columns + reach * rng.normal(size=depth.shape)).clip(0, depth.shape[1] - 1)
    moved = depth[y.astype(int), x.astype(int)]
    z = np.maximum(moved, 0.1)
    sigma = 0.0012 + 0.0019 * (z - 0.4) ** 2 + 0.0001 / np.sqrt(z) * flat**2
    noisy = np.maximum(z + sigma * rng.normal(size=depth.shape), 0.1)
    product = _KINECT_FOCAL * _KINECT_BASELINE
    quantised = product / (np.rint(8 * product / noisy) / 8)
    return _where(moved > 0, quantised)


def arkit(depth: Depth, focal: float, rng: np.random.Generator) -> Depth:
    """A phone's laser scanner: coarse, enlarged by a network, over-smooth at edges.

    Args:
        depth: True depth [m].
        focal: Of this map [px]; unused, the sensor's width is fixed.
        rng: Source of all noise.
    """
    del focal
    height, width = depth.shape
    small = (256, round(256 * height / width))
    known = (depth > 0).astype(np.float32)
    share = cv2.resize(known, small, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(depth, small, interpolation=cv2.INTER_AREA)
    # Behind the object there is a wall; its depth bleeds into the object's outline.
    wall = float(depth.max()) + 0.5
    mixed = cv2.GaussianBlur(mean + (1 - share) * wall, (0, 0), 1.0)
    patches = rng.normal(size=(small[1] // 16 + 1, small[0] // 16 + 1)).astype(np.float32)
    mixed = mixed + 0.008 * cv2.resize(patches, small, interpolation=cv2.INTER_CUBIC)
    mixed = mixed + 0.003 * rng.normal(size=mixed.shape).astype(np.float32)
    large = cv2.resize(mixed.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return _where(depth > 0, large)


def dropout(depth: Depth, share: float, rng: np.random.Generator) -> Depth:
    """Lose pixels: half of them one by one, half in blobs of some 30 px."""
    lone = rng.random(depth.shape) < share / 2
    coarse = (depth.shape[0] // 6 + 1, depth.shape[1] // 6 + 1)
    blobs = (rng.random(coarse) < share / 2).astype(np.uint8)
    patches = cv2.resize(blobs, depth.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return _where(~(lone | patches), depth)


def outlines(depth: Depth, reach: int = 2) -> NDArray[np.bool_]:
    """Pixels within ``reach`` of a jump of more than 5 cm, or of where nothing is.

    Args:
        depth: True depth, or noise would look like jumps.
        reach: [px].
    """
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    jump = cv2.dilate(depth, window) - cv2.erode(depth, window)
    found: NDArray[np.bool_] = jump > 0.05
    return found


def edge_holes(
    depth: Depth, outline: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> Depth:
    """Lose this share of the pixels along outlines."""
    return _where(~(outline & (rng.random(depth.shape) < share)), depth)


def flying_pixels(
    depth: Depth, outline: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> Depth:
    """Put this share of the pixels along outlines between the surface and what is behind it."""
    chosen = outline & (rng.random(depth.shape) < share)
    near = np.where(depth > 0, depth, cv2.dilate(depth, np.ones((5, 5))))
    spread = near + 0.4 * rng.random(depth.shape)
    return np.where(chosen, spread, depth).astype(np.float32)


def millimetres(depth: Depth) -> Depth:
    """Round as a 16-bit file does."""
    return (np.rint(depth * 1000) / 1000).astype(np.float32)


SENSORS = {"kinect": kinect, "arkit": arkit, "clean": lambda depth, focal, rng: depth}


def sense(
    depth: Depth, sensor: str, focal: float, rng: np.random.Generator, *, bias: float = 0.0
) -> Depth:
    """Everything together, as a file of that sensor would have it.

    Args:
        depth: True depth [m].
        sensor: One of ``SENSORS``; ``clean`` adds nothing but rounding.
        focal: Of this map [px].
        rng: Source of all noise.
        bias: Share by which all distances are too long.
    """
    seen = SENSORS[sensor](depth, focal, rng)
    if sensor != "clean":
        outline = outlines(depth)
        seen = flying_pixels(seen, outline, 0.3, rng)
        seen = edge_holes(seen, outline, 0.3, rng)
        seen = dropout(seen, 0.1, rng)
    return millimetres(seen * np.float32(1 + bias))


def _where(kept: NDArray[np.bool_], depth: NDArray[np.floating]) -> Depth:
    return np.where(kept, depth, 0).astype(np.float32)


def _cosine(depth: Depth, focal: float) -> NDArray[np.float64]:
    """Between the surface's normal and the viewing axis, from depth steps."""
    z = np.where(depth > 0, depth, np.nan)
    steps = np.stack(np.gradient(z), axis=0) * focal / np.maximum(z, 0.1)
    cosine = 1 / np.sqrt(1 + (steps**2).sum(axis=0))
    return np.nan_to_num(cosine, nan=1.0)
