# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Object masks from a plain background: no learned weights, one colour, grown from the border.

Made for turntables and black cloth. The background colour is the border's; everything that looks
like it and reaches the border is background. Enclosed pixels that look like it are shadows on the
object unless they are as plain as the border itself and large: then they are holes.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from photocast.errors import CaptureError
from photocast.stages.mask_vote import BACKGROUND, OBJECT, UNKNOWN

__all__ = [
    "background_labels",
    "background_mask",
    "check_masks",
    "has_plain_background",
    "settled_coverage",
]

_PLAIN_SHARE = 0.85  # of the border's pixels, near its median colour
_NEAR = 32.0  # what "near" means for the border's pixels, of 255
_HOLE_SHARE = 5e-4  # of the photo; smaller enclosed dark spots are shadows
_SPECK_SHARE = 0.02  # of the largest piece; smaller pieces are dust


def has_plain_background(rgb: NDArray[np.uint8]) -> bool:
    """Whether the photo's border shows one colour, with something else inside.

    Args:
        rgb: sRGB, (h, w, 3).
    """
    border = _border(rgb)
    median = np.median(border, axis=0)
    far = np.abs(border - median).max(axis=1)
    if float((far < _NEAR).mean()) < _PLAIN_SHARE:
        return False
    inside = np.abs(rgb[::4, ::4].astype(np.float32) - median).max(axis=2) > 2 * _NEAR
    return bool(0.005 < inside.mean() < 0.9)


def background_mask(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Separate the object from a plain background.

    Args:
        rgb: sRGB, (h, w, 3).

    Returns:
        Coverage 0..255, (h, w), with an edge about one pixel soft.
    """
    distance = _distance(rgb)
    level = _threshold(distance)
    alike = (distance < level).astype(np.uint8)
    background = _reaching_border(alike)
    enclosed = (alike & (1 - background)).astype(np.uint8)
    object_ = (1 - background).astype(np.uint8)
    object_[_holes(enclosed, distance, level)] = 0
    object_ = _without_specks(object_)
    return _soft_edge(object_, distance, level)


def background_labels(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sort pixels into sure background, unknown and sure object, for :func:`settle`.

    Args:
        rgb: sRGB, (h, w, 3).
        mask: From :func:`background_mask`.

    Returns:
        ``BACKGROUND``, ``UNKNOWN`` or ``OBJECT``, (h, w).
    """
    distance = _distance(rgb)
    level = _threshold(distance)
    darkest = float(np.clip(2 * np.median(_rim(distance)) + 8, 8, level / 2))
    labels = np.full(mask.shape, UNKNOWN, np.uint8)
    # Only darkness that reaches the border is surely background; enclosed, it may be a shadow.
    dark = ((distance < darkest) & (mask == 0)).astype(np.uint8)
    labels[_reaching_border(dark) > 0] = BACKGROUND
    labels[(mask > 127) & (distance > 1.5 * level)] = OBJECT
    # A thin unknown seam is the glow of a bright edge: there the photo itself knows best.
    unknown = (labels == UNKNOWN).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    seam = (unknown > 0) & (cv2.morphologyEx(unknown, cv2.MORPH_OPEN, disc) == 0)
    outer = seam & (cv2.dilate((labels == BACKGROUND).astype(np.uint8), disc) > 0)
    labels[seam & (mask > 127)] = OBJECT
    labels[outer & (mask <= 127)] = BACKGROUND
    return labels


def settled_coverage(
    mask: NDArray[np.uint8], labels: NDArray[np.uint8], settled: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Coverage after the vote: its verdict where the photo alone could not tell.

    Args:
        mask: From :func:`background_mask`, (h, w).
        labels: From :func:`background_labels`, (h, w).
        settled: From :func:`settle`, (h, w).

    Returns:
        Coverage 0..255, (h, w), without specks and pinholes.
    """
    smooth = cv2.medianBlur(settled.astype(np.uint8), 5)
    found = np.where(labels == UNKNOWN, smooth * np.uint8(255), mask)
    whole = _without_specks((found > 127).astype(np.uint8))
    near = cv2.dilate(whole, np.ones((3, 3), np.uint8)) > 0
    coverage = np.where(near, found, 0).astype(np.uint8)
    coverage[_pinholes(coverage)] = 255
    return coverage


def check_masks(names: list[str], coverage: NDArray[np.float64]) -> None:
    """Refuse masks that cannot show an object.

    Args:
        names: The views.
        coverage: Share of each view that its mask covers, (n,).

    Raises:
        CaptureError: All empty, or all full.
    """
    if len(coverage) and coverage.max() < 1e-5:
        raise CaptureError(
            f"All {len(names)} masks are empty (such as that of {names[0]}). Check that masks are "
            "white where the object is.",
            code="capture.masks_empty",
        )
    if len(coverage) and coverage.min() > 1 - 1e-5:
        raise CaptureError(
            f"All {len(names)} masks cover the whole photo (such as that of {names[0]}); they do "
            "not show where the object ends. Masks are white where the object is, black elsewhere.",
            code="capture.masks_full",
        )


def _border(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    rim = max(1, min(rgb.shape[:2]) // 100)
    strips = (rgb[:rim], rgb[-rim:], rgb[rim:-rim, :rim], rgb[rim:-rim, -rim:])
    return np.concatenate([strip.reshape(-1, 3) for strip in strips]).astype(np.float32)


def _distance(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far each pixel is from the background colour, of 255."""
    median = np.median(_border(rgb), axis=0).astype(np.float32)
    far = np.zeros(rgb.shape[:2], np.float32)
    for smooth, usual in zip(cv2.split(cv2.GaussianBlur(rgb, (0, 0), 0.8)), median, strict=True):
        np.maximum(far, np.abs(smooth - usual), out=far)
    return far


def _rim(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    rim = max(1, min(distance.shape) // 100)
    strips = (distance[:rim], distance[-rim:], distance[:, :rim], distance[:, -rim:])
    return np.concatenate([strip.ravel() for strip in strips])


def _threshold(distance: NDArray[np.float32]) -> float:
    # A little above the border's own spread, within limits.
    spread = float(np.percentile(_rim(distance), 99))
    return float(np.clip(spread * 1.3 + 4, 14, 60))


def _reaching_border(alike: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, labels = cv2.connectedComponents(alike, connectivity=4)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    reaching = np.zeros(int(labels.max()) + 1, np.uint8)
    reaching[rim] = 1
    reaching[0] = 0
    found: NDArray[np.uint8] = reaching[labels]
    return found


def _holes(
    enclosed: NDArray[np.uint8], distance: NDArray[np.float32], level: float
) -> NDArray[np.bool_]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(enclosed, connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA]
    sums = np.bincount(labels.ravel(), weights=distance.ravel(), minlength=count)
    hole = (sizes > _HOLE_SHARE * enclosed.size) & (sums / np.maximum(sizes, 1) < 0.4 * level)
    hole[0] = False
    return np.asarray(hole[labels], dtype=np.bool_)


def _pinholes(coverage: NDArray[np.uint8]) -> NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        (coverage <= 127).astype(np.uint8), connectivity=4
    )
    small = stats[:, cv2.CC_STAT_AREA] < 0.2 * _HOLE_SHARE * coverage.size
    small[0] = False
    return np.asarray(small[labels], dtype=np.bool_)


def _without_specks(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    keep = sizes >= _SPECK_SHARE * max(1, int(sizes.max()))
    keep[0] = False
    kept: NDArray[np.uint8] = keep[labels].astype(np.uint8)
    return kept


def _soft_edge(
    mask: NDArray[np.uint8], distance: NDArray[np.float32], level: float
) -> NDArray[np.uint8]:
    # Blur and glow spread a bright object over a dark background: its true edge is where the
    # colour is half way to the object's own just inside. Elsewhere coverage is 0 or 255.
    band = cv2.dilate(mask, np.ones((3, 3), np.uint8)) != cv2.erode(mask, np.ones((7, 7), np.uint8))
    peak = cv2.dilate(distance, np.ones((7, 7), np.uint8))
    half_way = np.where(peak > 4 * level, peak / 2, level)
    soft = np.clip((distance / half_way - 1) + 0.5, 0, 1) * 255
    return np.where(band, np.rint(soft), mask * 255.0).astype(np.uint8)
