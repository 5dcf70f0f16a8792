# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Gradient without keeping what lies between: a block's input is kept, the rest computed again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

__all__ = ["recomputed"]


def recomputed(block: Callable[..., Tensor], x: Tensor, *others: Any) -> Tensor:
    """Run a block on its input; where gradient is wanted, only the input outlives the call.

    Args:
        block: Without randomness: it runs again when the gradient is computed.
        x: What gradient reaches.
        others: Further arguments.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return block(x, *others)
    result: Tensor = checkpoint(block, x, *others, use_reentrant=False, preserve_rng_state=False)
    return result
