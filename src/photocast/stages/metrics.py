# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How alike two pictures are. Values 0..1, as stored in sRGB, (h, w, 3), arrays or tensors.

Source: Wang, Bovik, Sheikh & Simoncelli, Image quality assessment, 2004, section III (SSIM).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.errors import ConfigError

__all__ = ["MAX_PSNR", "mask_iou", "mean_similarity", "psnr", "similarity", "ssim"]

MAX_PSNR = 100.0
"""What equal pictures get, so that a mean stays finite [dB]."""

_WINDOW, _SIGMA = 11, 1.5
_HALF = _WINDOW // 2
_C1, _C2 = 0.01**2, 0.03**2  # (K L)^2 with data range 1

Image = NDArray[np.floating] | Tensor
Mask = NDArray[np.bool_] | Tensor


def psnr(got: Image, wanted: Image, *, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio [dB], at most ``MAX_PSNR``.

    Args:
        got: The picture.
        wanted: What it should be.
        mask: Pixels that count, (h, w); all if absent. Must not be empty.
    """
    _check_shapes(got, wanted, mask)
    error: Any = (_double(got) - _double(wanted)) ** 2
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


def similarity(got: Image, wanted: Image) -> Any:
    """SSIM of every window entirely inside the picture, (h - 10, w - 10, 3); see :func:`ssim`.

    Arrays give an array, tensors a tensor on their device.
    """
    _check_shapes(got, wanted, None)
    if min(got.shape[:2]) < _WINDOW:
        raise ConfigError(
            f"SSIM needs pictures of at least {_WINDOW}x{_WINDOW} px; "
            f"got {got.shape[1]}x{got.shape[0]}.",
            code="metrics.too_small",
        )
    x, y = _double(got), _double(wanted)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + _C1) * (2 * both + _C2)
    alike /= (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return alike


def mean_similarity(alike: Any, *, mask: Mask | None = None) -> float:
    """Average a map of :func:`similarity`, where the picture's mask (h, w) counts."""
    if mask is not None and (inner := mask[_HALF:-_HALF, _HALF:-_HALF]).any():
        return float(alike[inner].mean())
    return float(alike.mean())


def _double(image: Image) -> Any:
    return image.double() if isinstance(image, Tensor) else np.asarray(image, np.float64)


def _blurred(image: Any) -> Any:
    """Weighted mean of every window that lies inside the picture."""
    if not isinstance(image, Tensor):
        import cv2

        whole = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
        return whole[_HALF:-_HALF, _HALF:-_HALF]
    steps = np.arange(-_HALF, _HALF + 1)
    window = np.exp(-0.5 * (steps / _SIGMA) ** 2)
    for axis in (0, 1):
        size = image.shape[axis] - 2 * _HALF
        shifted = [image.narrow(axis, i, size) * w for i, w in enumerate(window / window.sum())]
        image = torch.stack(shifted).sum(dim=0)
    return image


def mask_iou(got: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    """Intersection over union of two coverages 0..255, covered from 128; 1 if both are empty."""
    a, b = got >= 128, wanted >= 128
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0


def _check_shapes(got: Image, wanted: Image, mask: Mask | None) -> None:
    if got.shape != wanted.shape or (mask is not None and mask.shape != got.shape[:2]):
        raise ConfigError(
            f"Pictures of {tuple(got.shape)} and {tuple(wanted.shape)} px"
            + (f", mask {tuple(mask.shape)}," if mask is not None else "")
            + " cannot be compared; they must have the same size.",
            code="metrics.shape",
        )
