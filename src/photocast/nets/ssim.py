# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Structural similarity of images.

Source: Wang et al., Image Quality Assessment, 2004; gaussian window of 11 pixels, sigma 1.5.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["ssim"]

_WINDOW, _SIGMA = 11, 1.5
_SMALL = (0.01**2, 0.03**2)

Images = Float[Tensor, "image channel h w"]


def ssim(a: Images, b: Images) -> Float[Tensor, "image"]:
    """Similarity of each pair, 1 for equal images; colours in [0, 1], black around them."""
    channels = a.shape[1]
    steps = torch.arange(_WINDOW, dtype=a.dtype, device=a.device) - _WINDOW // 2
    line = torch.exp(-(steps**2) / (2 * _SIGMA**2))
    line = line / line.sum()
    window = torch.outer(line, line).expand(channels, 1, -1, -1).contiguous()

    def blur(image: Images) -> Images:
        return F.conv2d(image, window, padding=_WINDOW // 2, groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    spread_a, spread_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    together = blur(a * b) - mean_a * mean_b
    c1, c2 = _SMALL
    likeness = (2 * mean_a * mean_b + c1) * (2 * together + c2)
    scale = (mean_a**2 + mean_b**2 + c1) * (spread_a + spread_b + c2)
    return (likeness / scale).mean(dim=(1, 2, 3))
