# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Half precision where it is safe: inside the torso of a network, never in its norms."""

import torch
from torch import nn

__all__ = ["cast_torso"]


def cast_torso(modules: list[nn.Module], dtype: torch.dtype) -> None:
    """Cast the linear and convolution layers inside ``modules``; norms keep float32.

    Layers that feed the torso or read from it are simply not in ``modules``.
    """
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d) or getattr(
                layer, "is_convolution", False
            ):
                layer.to(dtype)
