# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Exposure and white balance of photos relative to each other, from places that several show."""

import torch
from jaxtyping import Float32
from torch import Tensor

__all__ = ["photo_gains"]

_DARK = 1e-3  # linear light below which a ratio says little
_FEW = 50  # places that a photo must share with others
_MOST = 1.4  # natural logarithm, two stops: more is something else than exposure
_ROUNDS = 20


def photo_gains(
    colors: Float32[Tensor, "view pt 3"], weights: Float32[Tensor, "view pt"]
) -> Float32[Tensor, "view 3"]:
    """Natural logarithm of what each photo multiplies light with, per channel; zero on average.

    Each photo is compared with the mean of the others, again and again; the median over the places
    decides, so that highlights and wrong places do not. A photo that shares fewer than 50 places
    with the others is left as it is.

    Args:
        colors: Linear colour of each place in each photo.
        weights: How well each photo shows each place; 0 where not at all.
    """
    logs = (colors + _DARK).log()
    gains = torch.zeros(len(colors), 3, device=colors.device)
    share = weights[..., None]
    others = share.sum(0) - share
    usable = (share > 0.05) & (others > 0.05)
    known = usable[..., 0].sum(1) >= _FEW
    if not bool(known.any()):
        return gains
    for _ in range(_ROUNDS):
        even = (logs - gains[:, None]) * share
        beside = (even.sum(0) - even) / others.clamp(min=1e-6)
        ratio = torch.where(usable, logs - beside, torch.nan)
        step = torch.nanmedian(ratio, 1).values - gains
        gains = gains + 0.7 * torch.where(known[:, None], step, 0.0)
        gains = gains - gains[known].mean(0) * known[:, None]
    return gains.clamp(-_MOST, _MOST)
