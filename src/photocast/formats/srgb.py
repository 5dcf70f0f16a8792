# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear light to 8-bit sRGB and back.

Source: IEC 61966-2-1. Eight bits survive a round trip exactly.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["linear_from_srgb", "srgb_from_linear"]

_CODES = np.arange(256) / 255.0
_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)


def linear_from_srgb(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decode 8-bit sRGB to linear light in 0..1, any shape."""
    return _LINEAR[codes]


def srgb_from_linear(linear: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Encode linear light as 8-bit sRGB, any shape; outside 0..1 is clipped."""
    light = np.clip(linear, 0.0, 1.0).astype(np.float32)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    codes: NDArray[np.uint8] = np.rint(curve * 255.0).astype(np.uint8)
    return codes
