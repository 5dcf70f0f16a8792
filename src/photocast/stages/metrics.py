# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How alike two pictures are. Values 0..1, as stored in sRGB, (h, w, 3).

Source: Wang, Bovik, Sheikh & Simoncelli, Image quality assessment, 2004, section III (SSIM).
"""

import numpy as np
from numpy.typing import NDArray

from photocast.errors import ConfigError

__all__ = ["MAX_PSNR", "mask_iou", "mean_similarity", "psnr", "similarity", "ssim"]

MAX_PSNR = 100.0
"""What equal pictures get, so that a mean stays finite [dB]."""

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # (K L)^2 with data range 1

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]


def psnr(got: Image, wanted: Image, *, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio [dB], at most ``MAX_PSNR``.

    Args:
        got: The picture.
        wanted: What it should be.
        mask: Pixels that count, (h, w); all if absent. Must not be empty.
    """
    _check_shapes(got, wanted, mask)
    error = np.square(got.astype(np.float64) - wanted)
    mean = float((error if mask is None else error[mask]).mean())
    return float(min(-10 * np.log10(max(mean, 1e-30)), MAX_PSNR))


def ssim(got: Image, wanted: Image, *, mask: Mask | None = None) -> float:
    """Structural similarity, at most 1: 11x11 Gaussian window, sigma 1.5, data range 1.

    Only windows entirely inside the picture count; channels are averaged.

    Args:
        got: The picture, at least 11x11.
        wanted: What it should be.
        mask: Pixels whose window counts, (h, w); all if absent.
    """
    _check_shapes(got, wanted, mask)
    return mean_similarity(similarity(got, wanted), mask=mask)


def similarity(got: Image, wanted: Image) -> NDArray[np.float64]:
    """SSIM of every window entirely inside the picture, (h - 10, w - 10, 3); see :func:`ssim`."""
    import cv2

    _check_shapes(got, wanted, None)
    if min(got.shape[:2]) < _WINDOW:
        raise ConfigError(
            f"SSIM needs pictures of at least {_WINDOW}x{_WINDOW} px; "
            f"got {got.shape[1]}x{got.shape[0]}.",
            code="metrics.too_small",
        )
    half = _WINDOW // 2

    def blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
        whole: NDArray[np.float64] = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
        return whole[half:-half, half:-half]

    x, y = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    both = blurred(x * y) - mean_x * mean_y
    alike: NDArray[np.float64] = (2 * mean_x * mean_y + _C1) * (2 * both + _C2)
    alike /= (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return alike


def mean_similarity(alike: NDArray[np.float64], *, mask: Mask | None = None) -> float:
    """Average a map of :func:`similarity`, where the picture's mask (h, w) counts."""
    half = _WINDOW // 2
    if mask is not None and (inner := mask[half:-half, half:-half]).any():
        return float(alike[inner].mean())
    return float(alike.mean())


def mask_iou(got: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    """Intersection over union of two coverages 0..255, covered from 128; 1 if both are empty."""
    a, b = got >= 128, wanted >= 128
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0


def _check_shapes(got: Image, wanted: Image, mask: Mask | None) -> None:
    if got.shape != wanted.shape or (mask is not None and mask.shape != got.shape[:2]):
        raise ConfigError(
            f"Pictures of {got.shape} and {wanted.shape} px"
            + (f", mask {mask.shape}," if mask is not None else "")
            + " cannot be compared; they must have the same size.",
            code="metrics.shape",
        )
