# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels take part in a step of fitting a volume."""

from collections.abc import Sequence

import torch
from torch import Tensor

from photocast.data import Photo
from photocast.data.grid_frame import GridFrame
from photocast.ops.volume import PixelBank
from photocast.stages.pixel_bank import foreground, pixel_bank, shrink_factor

__all__ = ["Rays"]

_PATCH = 16  # pixels drawn together


class Rays:
    """Draws small patches of pixels, in a new order each time all were seen.

    Rays of a patch meet the same cells, so the grid is read from cache; many patches make a step,
    so it still mixes all photos.
    """

    def __init__(self, photos: Sequence[Photo], seed: int, device: torch.device) -> None:
        self._photos, self._device = photos, device
        self._random = torch.Generator(device=device).manual_seed(seed)
        self._next = 0

    def focus(self, frame: GridFrame) -> None:
        """Resample the photos for the cells of ``frame``."""
        factor = shrink_factor(self._photos, frame)
        self.bank: PixelBank = pixel_bank(self._photos, frame, factor, self._device)
        pixels = foreground(self.bank)
        whole = len(pixels) // _PATCH * _PATCH
        self._patches = pixels[:whole].view(-1, _PATCH) if whole else pixels[None]
        self._shuffle()

    def draw(self, count: int) -> Tensor:
        """Flat indices of about ``count`` pixels, int64."""
        patches = max(1, count // self._patches.shape[1])
        if self._next + patches > len(self._patches):
            self._shuffle()
        chosen = self._patches[self._next : self._next + patches]
        self._next += patches
        return chosen.reshape(-1)

    def _shuffle(self) -> None:
        count = len(self._patches)
        order = torch.randperm(count, generator=self._random, device=self._device)
        self._patches = self._patches[order]
        self._next = 0
