# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Get a GPU ready while the processor is still busy with files."""

from collections.abc import Sequence
from importlib import import_module

import torch
import warp as wp

from photocast.ops import _launch as _launch  # starts Warp

__all__ = ["KERNELS", "warm_up"]

KERNELS = (
    "hull",
    "volume",
    "volume_step",
    "rasterize",
    "interpolate",
    "antialias",
    "antialias_listed",
    "texture",
    "texels",
    "agreement",
    "occlusion",
    "shade",
    "seen",
    "photo_loss",
)
"""Kernel files that every reconstruction uses."""


def warm_up(device: torch.device, kernels: Sequence[str] = KERNELS) -> None:
    """Create the device's context and load (or compile) kernels; nothing on the CPU.

    May run in a thread beside work without kernels; wait for it before the first kernel, as Warp
    does not expect two threads to load one module.

    Args:
        device: Where the work will run.
        kernels: Files of ``photocast.kernels``.
    """
    if device.type != "cuda":
        return
    torch.zeros(1, device=device)
    name = f"cuda:{device.index or 0}"
    for kernel in kernels:
        module = import_module(f"photocast.kernels.{kernel}").__name__
        wp.load_module(module, device=name)
