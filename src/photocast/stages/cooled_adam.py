# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Adam for tensors that each have their own step size, all falling together.

Source: Kingma & Ba, Adam: A method for stochastic optimization, 2015.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["CooledAdam"]


class CooledAdam:
    """Its steps may be part of a recorded one: step sizes lie on the device."""

    def __init__(self, rates: Sequence[tuple[Tensor, float]]) -> None:
        """Take leaves and their step sizes; all on one device."""
        device = rates[0][0].device
        self._leaves = [leaf for leaf, _ in rates]
        self._rates = torch.tensor([rate for _, rate in rates], device=device)
        self._now = [torch.tensor(rate, device=device) for _, rate in rates]
        self.cool = torch.ones((), device=device)
        """Factor on all step sizes; to be filled before a step."""
        groups = [
            {"params": [leaf], "lr": now} for leaf, now in zip(self._leaves, self._now, strict=True)
        ]
        on_device = device.type == "cuda"
        self._adam = torch.optim.Adam(
            groups, betas=(0.9, 0.98), eps=1e-8, fused=True, capturable=on_device
        )

    def __enter__(self) -> "CooledAdam":
        """The leaves learn from here on."""
        for leaf in self._leaves:
            leaf.requires_grad_()
        return self

    def __exit__(self, *_: object) -> None:
        """They no longer do."""
        for leaf in self._leaves:
            leaf.grad = None
            leaf.requires_grad_(False)

    def forget(self) -> None:
        """Drop what gradient there is."""
        self._adam.zero_grad()

    def step(self) -> None:
        """Move by the gradients."""
        for now, rate in zip(self._now, self._rates * self.cool, strict=True):
            now.copy_(rate)
        self._adam.step()
