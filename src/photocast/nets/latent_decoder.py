# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The trunk that both decoders of the detailed latent share: attention inside windows of voxels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from photocast.nets.blocks import TransformerBlock
from photocast.nets.embeddings import position_embedding
from photocast.nets.precision import cast_torso
from photocast.nets.recompute import recomputed
from photocast.nets.voxels import Voxels

__all__ = ["LatentDecoder"]


class LatentDecoder(nn.Module):
    """Latents of one object into features on the same voxels.

    Every second block moves its windows by half their size; nothing wraps around.
    """

    def __init__(
        self,
        latent_channels: int,
        model_channels: int,
        num_blocks: int,
        num_heads: int,
        mlp_ratio: int | float = 4,
        attn_mode: str = "swin",
        window_size: int = 8,
    ) -> None:
        super().__init__()
        if attn_mode != "swin":
            raise ValueError(f"attn_mode = {attn_mode!r}: only 'swin' is published, and built.")
        self.window = window_size
        self.dtype = torch.float32
        self.input_layer = nn.Linear(latent_channels, model_channels)
        self.blocks = nn.ModuleList(
            TransformerBlock(model_channels, num_heads, mlp_ratio) for _ in range(num_blocks)
        )

    def cast(self, dtype: torch.dtype) -> None:
        """Run the blocks in another precision."""
        cast_torso([self.blocks], dtype)
        self.dtype = dtype

    def features(
        self, latents: Float[Tensor, "voxel latent"], voxels: Voxels
    ) -> Float[Tensor, "voxel channel"]:
        """Features in the precision of the blocks."""
        h = self.input_layer(latents)
        h = h + position_embedding(voxels.coords[:, 1:], h.shape[1])
        h = h.to(self.dtype)[None]
        for number, block in enumerate(self.blocks):
            h = recomputed(block, h, voxels.windows(self.window, number % 2 * self.window // 2))
        rows: Tensor = h[0]
        return rows
