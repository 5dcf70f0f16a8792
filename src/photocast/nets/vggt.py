# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""VGGT's aggregator: photos of one object, seen in turn by themselves and all together.

The first view is the frame of reference, so the order of the photos matters.
Source: Wang et al., VGGT: Visual Geometry Grounded Transformer, 2025.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from photocast.nets.camera_head import CameraHead
from photocast.nets.dinov2 import DinoVisionTransformer, VitTokens, normalize_colors, vit_named
from photocast.nets.point_head import DPTHead
from photocast.nets.precision import cast_torso
from photocast.nets.vit import PatchEmbed, VitBlock, patch_positions

__all__ = ["VGGT", "Aggregator"]


class Aggregator(nn.Module):
    """Alternating attention inside each view and across all views."""

    def __init__(
        self,
        img_size: int = 518,
        patch_size: int = 14,
        embed_dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        mlp_ratio: int | float = 4.0,
        num_register_tokens: int = 4,
        patch_embed: str = "dinov2_vitl14_reg",
        init_values: int | float = 0.01,
        rope_freq: int | float = 100,
    ) -> None:
        """Build the layers.

        Args:
            img_size: Side of the images that the places were learned on [px].
            patch_size: Side of a patch [px].
            embed_dim: Width of the tokens.
            depth: Pairs of a frame block and a global block.
            num_heads: Heads per block.
            mlp_ratio: Width inside a block over that of the tokens.
            num_register_tokens: Spare tokens per view.
            patch_embed: ``conv``, or the name of a vision transformer.
            init_values: Layer scale before training.
            rope_freq: Base of the rotary angles.
        """
        super().__init__()
        self.patch_size = patch_size
        self.camera_token = nn.Parameter(torch.randn(1, 2, 1, embed_dim))
        self.register_token = nn.Parameter(torch.randn(1, 2, num_register_tokens, embed_dim))
        self.patch_embed: PatchEmbed | DinoVisionTransformer
        if patch_embed == "conv":
            self.patch_embed = PatchEmbed(patch_size, embed_dim)
        else:
            self.patch_embed = vit_named(patch_embed, img_size)

        def block() -> VitBlock:
            return VitBlock(
                embed_dim,
                num_heads,
                mlp_ratio,
                init_values=init_values,
                qk_norm=True,
                rope_frequency=rope_freq,
            )

        self.dtype = torch.float32
        self.frame_blocks = nn.ModuleList(block() for _ in range(depth))
        self.global_blocks = nn.ModuleList(block() for _ in range(depth))

    def cast(self, dtype: torch.dtype) -> None:
        """Multiply in another precision; norms and what is added up stay in float32."""
        cast_torso([self], dtype)
        self.dtype = dtype
        if not isinstance(self.patch_embed, PatchEmbed):
            self.patch_embed.cast(dtype)  # it opens a precision of its own

    def forward(
        self, images: Float[Tensor, "batch view 3 h w"], keep: Collection[int] | None = None
    ) -> dict[int, Float[Tensor, "batch view token width"]]:
        """Tokens after the wanted layers: the frame half, then the global half of the channels.

        Args:
            images: Colours in [0, 1]; sides are multiples of a patch.
            keep: Layers to return, since all of them take much memory; all if absent.
        """
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self._aggregate(images, keep)

    def _aggregate(
        self, images: Float[Tensor, "batch view 3 h w"], keep: Collection[int] | None
    ) -> dict[int, Float[Tensor, "batch view token width"]]:
        batch, views, _, height, width = images.shape
        patches = self._patches(normalize_colors(images.flatten(0, 1)))
        camera, registers = (
            _first_and_others(token, batch, views)
            for token in (self.camera_token, self.register_token)
        )
        x = torch.cat([camera, registers, patches.unflatten(0, (batch, views))], dim=2)
        special = x.shape[2] - patches.shape[1]
        grid = patch_positions(
            batch * views, height // self.patch_size, width // self.patch_size, x.device
        )
        pos = torch.cat([grid.new_zeros(len(grid), special, 2), grid + 1], dim=1)
        kept = {}
        for layer, (frame, across) in enumerate(
            zip(self.frame_blocks, self.global_blocks, strict=True)
        ):
            seen = frame(x.flatten(0, 1), pos).unflatten(0, (batch, views))
            x = across(seen.flatten(1, 2), pos.reshape(batch, -1, 2)).unflatten(1, (views, -1))
            if keep is None or layer in keep:
                kept[layer] = torch.cat([seen, x], dim=-1)
        return kept

    def _patches(
        self, images: Float[Tensor, "image 3 h w"]
    ) -> Float[Tensor, "image patch channel"]:
        if isinstance(self.patch_embed, PatchEmbed):
            patches: Tensor = self.patch_embed(images)
            return patches
        special = 1 + self.patch_embed.register_tokens.shape[1]
        tokens: VitTokens = self.patch_embed(images)
        return tokens.normed[:, special:]


def _first_and_others(
    token: Float[Tensor, "1 2 token channel"], batch: int, views: int
) -> Float[Tensor, "{batch} {views} token channel"]:
    """Slot 0 for the first view, slot 1 for all others."""
    both = torch.cat([token[:, :1], token[:, 1:].expand(-1, views - 1, -1, -1)], dim=1)
    return both.expand(batch, -1, -1, -1)


class VGGT(nn.Module):
    """The parts of VGGT that are used; its depth and track heads are not built."""

    def __init__(
        self,
        img_size: int = 518,
        patch_size: int = 14,
        embed_dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        patch_embed: str = "dinov2_vitl14_reg",
        point_features: int = 256,
        point_channels: Sequence[int] = (256, 512, 1024, 1024),
    ) -> None:
        """Build the layers; the arguments are those of :class:`Aggregator` and the point head."""
        super().__init__()
        self.aggregator = Aggregator(
            img_size, patch_size, embed_dim, depth, num_heads, patch_embed=patch_embed
        )
        self.camera_head = CameraHead(2 * embed_dim, num_heads=num_heads)
        self.point_head = DPTHead(
            2 * embed_dim, patch_size, features=point_features, out_channels=point_channels
        )

    def cast(self, dtype: torch.dtype) -> None:
        """Run the aggregator in another precision; the heads stay in float32."""
        self.aggregator.cast(dtype)
