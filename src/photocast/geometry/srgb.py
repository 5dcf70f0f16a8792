# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear light to display values and back, differentiable.

Source: IEC 61966-2-1.
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["linear_from_srgb", "srgb_from_linear"]


def linear_from_srgb(value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Decode display values in 0..1."""
    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(light: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Encode linear light in 0..1."""
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, curve)
