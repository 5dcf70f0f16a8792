# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which networks are on the device, and in which precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from photocast.nets.weights import WeightFolder, load_network

__all__ = ["Networks", "precision_for"]


def precision_for(device: torch.device) -> torch.dtype:
    """What to multiply in: bfloat16 where the device can, float16 on older ones, else float32."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


class Networks:
    """Loads each network when it is first needed."""

    def __init__(
        self,
        folder: WeightFolder,
        device: torch.device,
        dtype: torch.dtype,
        *,
        low_memory: bool = False,
    ) -> None:
        """Load nothing yet.

        Args:
            folder: Where the weights are.
            device: Where to compute.
            dtype: Precision of what may be computed in half.
            low_memory: Let go of each network after its stage; a later stage reads it again.
        """
        self.folder, self.device, self.dtype = folder, device, dtype
        self._low_memory = low_memory
        self._loaded: dict[str, Any] = {}

    @contextmanager
    def use(self, name: str) -> Iterator[Any]:
        """Have a network on the device for a stage."""
        if name not in self._loaded:
            files = self.folder.network(name)
            # tensors made in inference mode can take no part in a gradient later
            with torch.inference_mode(False):
                self._loaded[name] = load_network(files, self.device, self.dtype)
        try:
            yield self._loaded[name]
        finally:
            if self._low_memory:
                del self._loaded[name]
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the networks that take memory now."""
        return tuple(sorted(self._loaded))
