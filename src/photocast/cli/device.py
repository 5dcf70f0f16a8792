# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a command computes."""

from enum import Enum
from typing import TYPE_CHECKING

from photocast.errors import UserError

if TYPE_CHECKING:
    import torch

__all__ = ["Device", "chosen_device"]


class Device(str, Enum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def chosen_device(wanted: Device) -> "torch.device":
    """Find the device that was asked for.

    Raises:
        UserError: CUDA is wanted and cannot be used.
    """
    import torch

    if wanted is Device.auto:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted is Device.cuda and not torch.cuda.is_available():
        raise UserError(
            "No CUDA device can be used here. Use --device cpu, or install a CUDA build of torch.",
            code="device.no_cuda",
        )
    return torch.device(wanted.value)
