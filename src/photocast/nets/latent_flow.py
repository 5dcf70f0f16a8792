# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The flow that makes the details: a latent of 8 numbers on each occupied voxel.

Published as ``slat_flow_model``. Sparse convolutions take 64^3 voxels to blocks of 2^3 and back;
between them a transformer sees all blocks of one object.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from photocast.nets.attention import Context, KeyValue
from photocast.nets.blocks import ModulatedTransformerCrossBlock
from photocast.nets.embeddings import TimestepEmbedder, position_embedding
from photocast.nets.norms import LayerNorm32
from photocast.nets.precision import cast_torso
from photocast.nets.sparse_conv import SparseConv3d
from photocast.nets.voxels import Voxels, gather_fine, mean_of_fine

__all__ = ["SLatFlowModel", "SparseResBlock3d"]

Rows = Float[Tensor, "voxel channel"]


class SparseResBlock3d(nn.Module):
    """Two sparse convolutions that the time scales and shifts, perhaps on another level."""

    def __init__(
        self,
        channels: int,
        emb_channels: int,
        out_channels: int | None = None,
        downsample: bool = False,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        out = out_channels or channels
        self.downsample, self.upsample = downsample, upsample
        self.norm1 = LayerNorm32(channels, elementwise_affine=True, eps=1e-6)
        self.norm2 = LayerNorm32(out, elementwise_affine=False, eps=1e-6)
        self.conv1 = SparseConv3d(channels, out, 3)
        self.conv2 = SparseConv3d(out, out, 3)
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_channels, 2 * out))
        self.skip_connection = nn.Linear(channels, out) if channels != out else nn.Identity()

    def forward(
        self, x: Rows, emb: Float[Tensor, "1 emb"], fine: Voxels
    ) -> Float[Tensor, "out_voxel out"]:
        """Convolve.

        Args:
            x: Features on ``fine``, or on its coarse voxels if the block goes up.
            emb: Embedded time.
            fine: The finer of the block's levels.
        """
        here = fine
        if self.downsample:
            here, index = fine.coarse()
            x = mean_of_fine(x, index, len(here))
        elif self.upsample:
            x = gather_fine(x, fine.coarse()[1])
        scale, shift = self.emb_layers(emb).chunk(2, dim=-1)
        h = self.conv1(F.silu(self.norm1(x)), here)
        h = self.norm2(h) * (1 + scale) + shift
        h = self.conv2(F.silu(h), here)
        out: Tensor = h + self.skip_connection(x)
        return out


class SLatFlowModel(nn.Module):
    """Sparse convolutions around a diffusion transformer."""

    def __init__(
        self,
        resolution: int,
        in_channels: int,
        model_channels: int,
        cond_channels: int,
        out_channels: int,
        num_blocks: int,
        num_heads: int,
        mlp_ratio: int | float = 4,
        patch_size: int = 2,
        num_io_res_blocks: int = 2,
        io_block_channels: Sequence[int] = (128,),
        pe_mode: str = "ape",
        use_skip_connection: bool = True,
        qk_rms_norm: bool = False,
        qk_rms_norm_cross: bool = False,
        use_fp16: bool = False,
    ) -> None:
        """Build the layers; the arguments are those of the checkpoint's JSON file."""
        super().__init__()
        if pe_mode != "ape":
            raise ValueError(f"pe_mode = {pe_mode!r}: only 'ape' is published, and built.")
        if patch_size != 2 ** len(io_block_channels):
            raise ValueError(
                f"patch_size = {patch_size}: {len(io_block_channels)} levels make blocks of "
                f"{2 ** len(io_block_channels)}."
            )
        self.resolution = resolution
        self.dtype = torch.float32
        self.skips = use_skip_connection
        self.t_embedder = TimestepEmbedder(model_channels)
        self.input_layer = nn.Linear(in_channels, io_block_channels[0])
        widths, rest = [*io_block_channels, model_channels], num_io_res_blocks - 1
        ways_in, ways_out = [], []
        for width, deeper in pairwise(widths):
            ways_in += [SparseResBlock3d(width, model_channels) for _ in range(rest)]
            ways_in.append(SparseResBlock3d(width, model_channels, deeper, downsample=True))
        joined = 2 if use_skip_connection else 1
        for width, deeper in reversed(list(pairwise(widths))):
            ways_out.append(SparseResBlock3d(joined * deeper, model_channels, width, upsample=True))
            ways_out += [
                SparseResBlock3d(joined * width, model_channels, width) for _ in range(rest)
            ]
        self.input_blocks = nn.ModuleList(ways_in)
        self.blocks = nn.ModuleList(
            ModulatedTransformerCrossBlock(
                model_channels, cond_channels, num_heads, mlp_ratio, qk_rms_norm, qk_rms_norm_cross
            )
            for _ in range(num_blocks)
        )
        self.out_blocks = nn.ModuleList(ways_out)
        self.out_layer = nn.Linear(io_block_channels[0], out_channels)
        if use_fp16:
            self.cast(torch.float16)

    def cast(self, dtype: torch.dtype) -> None:
        """Run everything between the first and the last layer in another precision."""
        cast_torso([self.input_blocks, self.blocks, self.out_blocks], dtype)
        self.dtype = dtype

    def project(self, views: Sequence[Float[Tensor, "1 _ width"]]) -> list[list[KeyValue]]:
        """Keys and values of every view for every block, to be computed once per sample."""
        attentions: list[Any] = [block.get_submodule("cross_attn") for block in self.blocks]
        return [[attention.project(view) for view in views] for attention in attentions]

    def forward(
        self,
        x: Float[Tensor, "voxel latent"],
        voxels: Voxels,
        t: Float[Tensor, "1"],
        cond: Sequence[Tensor] | list[list[KeyValue]] | None,
    ) -> Float[Tensor, "voxel latent"]:
        """Velocity at ``x``.

        Args:
            x: Noisy latents.
            voxels: Where they lie; one object.
            t: 1000 times the time.
            cond: Condition tokens of each view, what :meth:`project` made of them, or None for the
                unconditional pass: the same result as for zeros, without attention.
        """
        mod = self.t_embedder(t).to(self.dtype)
        h = self.input_layer(x).to(self.dtype)
        levels, skips = [voxels], []
        for block in self.input_blocks:
            h = block(h, mod, levels[-1])
            if block.downsample:
                levels.append(levels[-1].coarse()[0])
            skips.append(h)
        h = h + position_embedding(levels[-1].coords[:, 1:], h.shape[1]).to(self.dtype)
        h = self._attend(h[None], mod, cond)[0]
        for block, skip in zip(self.out_blocks, reversed(skips), strict=True):
            if block.upsample:
                levels.pop()
            h = block(torch.cat([h, skip], dim=1) if self.skips else h, mod, levels[-1])
        out: Tensor = self.out_layer(F.layer_norm(h, h.shape[-1:]).to(x.dtype))
        return out

    def _attend(
        self,
        h: Float[Tensor, "1 token channel"],
        mod: Float[Tensor, "1 channel"],
        cond: Sequence[Tensor] | list[list[KeyValue]] | None,
    ) -> Float[Tensor, "1 token channel"]:
        for number, block in enumerate(self.blocks):
            context: Context = cond  # type: ignore[assignment]  # one of the three that remain
            if cond is not None and isinstance(cond[0], list):
                context = cond[number]
            h = block(h, mod, context)
        return h
