# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Norms that compute in float32, whatever their input's type, and return that type."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelLayerNorm32", "GroupNorm32", "LayerNorm32", "MultiHeadRMSNorm"]


class LayerNorm32(nn.LayerNorm):
    """Layer norm over the last axis."""

    def forward(self, x: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch channel"]:
        return F.layer_norm(
            x.float(), self.normalized_shape, self.weight, self.bias, self.eps
        ).type(x.dtype)


class ChannelLayerNorm32(LayerNorm32):
    """Layer norm over axis 1, at every place of a grid."""

    def forward(
        self, x: Float[Tensor, "batch channel *grid"]
    ) -> Float[Tensor, "batch channel *grid"]:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class GroupNorm32(nn.GroupNorm):
    """Group norm over all places of each batch item; eps 1e-5."""

    def forward(
        self, x: Float[Tensor, "batch channel *grid"]
    ) -> Float[Tensor, "batch channel *grid"]:
        return super().forward(x.float()).type(x.dtype)


class MultiHeadRMSNorm(nn.Module):
    """Scale each head's vector to length sqrt(dim), then by a learned factor."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.gamma = nn.Parameter(torch.ones(heads, dim))

    def forward(self, x: Float[Tensor, "*batch head dim"]) -> Float[Tensor, "*batch head dim"]:
        unit = F.normalize(x.float(), dim=-1)
        scaled: Tensor = unit * self.gamma * self.scale
        return scaled.to(x.dtype)
