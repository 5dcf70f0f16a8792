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

__all__ = ["background_mask", "check_masks", "has_plain_background"]

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
    median = np.median(_border(rgb), axis=0).astype(np.float32)
    smooth = cv2.GaussianBlur(rgb, (0, 0), 0.8).astype(np.float32)
    distance = np.abs(smooth - median).max(axis=2)
    level = _threshold(distance)
    alike = (distance < level).astype(np.uint8)
    background = _reaching_border(alike)
    enclosed = alike & ~background & 1
    object_ = 1 - background
    object_[_holes(enclosed, distance, level)] = 0
    object_ = _without_specks(object_)
    return _soft_edge(object_, distance, level)


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
            "not show where the object ends. Remove them to reconstruct without masks.",
            code="capture.masks_full",
        )


def _border(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    rim = max(1, min(rgb.shape[:2]) // 100)
    strips = (rgb[:rim], rgb[-rim:], rgb[rim:-rim, :rim], rgb[rim:-rim, -rim:])
    return np.concatenate([strip.reshape(-1, 3) for strip in strips]).astype(np.float32)


def _threshold(distance: NDArray[np.float32]) -> float:
    # Between the border's own spread and the rest of the photo: Otsu's level, but never inside the
    # spread, and never more than half way to the object's typical distance.
    rim = max(1, min(distance.shape) // 100)
    border = np.concatenate(
        [
            distance[:rim].ravel(),
            distance[-rim:].ravel(),
            distance[:, :rim].ravel(),
            distance[:, -rim:].ravel(),
        ]
    )
    spread = float(np.percentile(border, 99))
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
    # Within a pixel of the edge, coverage follows the colour: background at 0, object at twice the
    # level; elsewhere it is 0 or 255.
    kernel = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)
    soft = np.clip(distance / (2 * level), 0, 1) * 255
    return np.where(edge, np.rint(soft), mask * 255.0).astype(np.uint8)
