# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the photos tell the two flows: features of VGGT and DINOv2 fused into conditions.

Published as ``sparse_structure_vggt_cond`` and ``slat_vggt_cond``. Both read four layers of the
VGGT aggregator, each token 2048 wide, beside a DINOv2 token of 1024.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from photocast.nets.blocks import TransformerCrossBlock
from photocast.nets.precision import cast_torso

__all__ = [
    "CONDITION_LAYERS",
    "SPECIAL_TOKENS",
    "ModulatedMultiViewCond",
    "ModulatedSLATMultiViewCond",
]

CONDITION_LAYERS = (4, 11, 17, 23)
"""Aggregator layers that are read, in this order."""
SPECIAL_TOKENS = 5
"""Camera or class token and four registers, before the patches of each view."""

Layers = Mapping[int, Float[Tensor, "batch view token width"]]
Features = Float[Tensor, "batch view token channel"]


class ModulatedMultiViewCond(nn.Module):
    """The structure condition: learned tokens that look at all patches of all views."""

    def __init__(
        self,
        channels: int,
        ctx_channels: int,
        num_heads: int = 16,
        mlp_ratio: int | float = 4.0,
        attn_mode: str = "full",
        qk_rms_norm: bool = True,
        qk_rms_norm_cross: bool = False,
        num_init_tokens: int = 4096,
    ) -> None:
        """Build the layers; the arguments are those of the checkpoint's JSON file."""
        super().__init__()
        if attn_mode != "full":
            raise ValueError(f"attn_mode = {attn_mode!r}: only 'full' is published, and built.")
        self.dtype = torch.float32
        self.multiview_cond_tokens = nn.Parameter(torch.randn(1, num_init_tokens, channels))
        self.cond_blocks = nn.ModuleList(
            TransformerCrossBlock(
                channels, ctx_channels, num_heads, mlp_ratio, qk_rms_norm, qk_rms_norm_cross
            )
            for _ in CONDITION_LAYERS
        )

    def cast(self, dtype: torch.dtype) -> None:
        """Run in another precision."""
        cast_torso([self.cond_blocks], dtype)
        self.dtype = dtype

    def forward(self, layers: Layers, image_cond: Features) -> Float[Tensor, "batch query channel"]:
        """Fuse all views.

        Args:
            layers: Aggregator tokens of :data:`CONDITION_LAYERS`.
            image_cond: Normalised DINOv2 tokens of the same views and places.
        """
        image = image_cond[:, :, SPECIAL_TOKENS:].flatten(1, 2)
        cond = self.multiview_cond_tokens.expand(len(image), -1, -1).to(self.dtype)
        for block, number in zip(self.cond_blocks, CONDITION_LAYERS, strict=True):
            tokens = layers[number][:, :, SPECIAL_TOKENS:].flatten(1, 2)
            cond = block(cond, torch.cat([tokens, image.to(tokens.dtype)], dim=-1))
        return cond.to(image_cond.dtype)


class ModulatedSLATMultiViewCond(nn.Module):
    """The detail condition: the tokens of each view, refined layer by layer on their own."""

    def __init__(self, channels: int, ctx_channels: int, use_fp16: bool = False) -> None:
        """Build the layers; the arguments are those of the checkpoint's JSON file."""
        super().__init__()
        self.dtype = torch.float32
        self.linear_blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(ctx_channels, channels), nn.ReLU()) for _ in CONDITION_LAYERS
        )
        if use_fp16:
            self.cast(torch.float16)

    def cast(self, dtype: torch.dtype) -> None:
        """Run in another precision."""
        cast_torso([self.linear_blocks], dtype)
        self.dtype = dtype

    def forward(
        self, layers: Layers, image_cond: Features
    ) -> list[Float[Tensor, "batch token channel"]]:
        """One condition per view; arguments as of :class:`ModulatedMultiViewCond`."""
        image = image_cond.to(self.dtype)
        cond = image
        for block, number in zip(self.linear_blocks, CONDITION_LAYERS, strict=True):
            cond = block(torch.cat([layers[number].to(self.dtype), cond], dim=-1)) + image
        return list(cond.to(image_cond.dtype).unbind(1))
