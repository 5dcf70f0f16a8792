# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What tells a transformer times and places: sinusoids, always in float32."""

import math

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

__all__ = ["TimestepEmbedder", "position_embedding", "timestep_embedding"]


def timestep_embedding(
    t: Float[Tensor, "batch"], dim: int, max_period: int | float = 10000
) -> Float[Tensor, "batch {dim}"]:
    """Cosines, then sines, of t at falling frequencies; an odd ``dim`` ends in a zero.

    Args:
        t: 1000 times the time in [0, 1].
        dim: Width of the result.
        max_period: Period of the slowest wave over 2 pi.
    """
    half = dim // 2
    steps = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t[:, None].float() * torch.exp(-math.log(max_period) * steps / half)
    waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return nn.functional.pad(waves, (0, dim % 2))


class TimestepEmbedder(nn.Module):
    """A time as a vector that modulates every block."""

    def __init__(self, hidden_size: int, frequency_embedding_size: int = 256) -> None:
        super().__init__()
        self.frequencies = frequency_embedding_size
        self.mlp = nn.Sequential(
            nn.Linear(frequency_embedding_size, hidden_size),
            nn.SiLU(),
            nn.Linear(hidden_size, hidden_size),
        )

    def forward(self, t: Float[Tensor, "batch"]) -> Float[Tensor, "batch channel"]:
        embedding: Tensor = self.mlp(timestep_embedding(t, self.frequencies))
        return embedding


def position_embedding(
    places: Num[Tensor, "pt axis"], channels: int
) -> Float[Tensor, "pt {channels}"]:
    """Sines, then cosines, of each coordinate, axis by axis; the rest of the width is zero.

    Args:
        places: Coordinates, usually of voxels.
        channels: Width of the result.
    """
    axes = places.shape[-1]
    count = channels // axes // 2
    steps = torch.arange(count, dtype=torch.float32, device=places.device) / count
    angles = places[..., None].float() * (1.0 / 10000**steps)  # pt axis frequency
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return nn.functional.pad(waves, (0, channels - waves.shape[1]))
