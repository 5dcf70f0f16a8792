# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of the coarse shape: a latent grid into occupied voxels at four times its size.

Published as ``sparse_structure_decoder``. A voxel is occupied where its logit is above zero.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int32
from torch import Tensor, nn

from photocast.nets.norms import ChannelLayerNorm32, GroupNorm32
from photocast.nets.precision import cast_torso
from photocast.nets.shuffle import pixel_shuffle_3d

__all__ = ["ResBlock3d", "SparseStructureDecoder", "UpsampleBlock3d", "occupied"]

Grid = Float[Tensor, "batch channel x y z"]
Finer = Float[Tensor, "batch out X Y Z"]


def _norm(norm_type: str, channels: int) -> nn.Module:
    if norm_type not in ("layer", "group"):
        raise ValueError(f"norm_type = {norm_type!r}: must be layer or group.")
    return ChannelLayerNorm32(channels) if norm_type == "layer" else GroupNorm32(32, channels)


def _convolution(in_channels: int, out_channels: int) -> nn.Conv3d:
    return nn.Conv3d(in_channels, out_channels, 3, padding=1)


class ResBlock3d(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int, norm_type: str = "layer") -> None:
        super().__init__()
        self.norm1 = _norm(norm_type, channels)
        self.norm2 = _norm(norm_type, channels)
        self.conv1 = _convolution(channels, channels)
        self.conv2 = _convolution(channels, channels)

    def forward(self, x: Grid) -> Grid:
        h: Tensor = self.conv1(nn.functional.silu(self.norm1(x)))
        h = self.conv2(nn.functional.silu(self.norm2(h)))
        return x + h


class UpsampleBlock3d(nn.Module):
    """A convolution to eight times the channels, shuffled into twice the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = _convolution(in_channels, 8 * out_channels)

    def forward(self, x: Grid) -> Finer:
        return pixel_shuffle_3d(self.conv(x), 2)


class SparseStructureDecoder(nn.Module):
    """Dense 3D convolutions with layer norms."""

    def __init__(
        self,
        out_channels: int,
        latent_channels: int,
        num_res_blocks: int,
        channels: Sequence[int],
        num_res_blocks_middle: int = 2,
        norm_type: str = "layer",
        use_fp16: bool = False,
    ) -> None:
        """Build the layers; the arguments are those of the checkpoint's JSON file."""
        super().__init__()
        self.dtype = torch.float32
        self.input_layer = _convolution(latent_channels, channels[0])
        self.middle_block = nn.Sequential(
            *(ResBlock3d(channels[0], norm_type) for _ in range(num_res_blocks_middle))
        )
        blocks: list[nn.Module] = []
        for level, width in enumerate(channels):
            blocks += [ResBlock3d(width, norm_type) for _ in range(num_res_blocks)]
            if level + 1 < len(channels):
                blocks.append(UpsampleBlock3d(width, channels[level + 1]))
        self.blocks = nn.ModuleList(blocks)
        self.out_layer = nn.Sequential(
            _norm(norm_type, channels[-1]), nn.SiLU(), _convolution(channels[-1], out_channels)
        )
        if use_fp16:
            self.cast(torch.float16)

    def cast(self, dtype: torch.dtype) -> None:
        """Run the middle and the blocks in another precision."""
        cast_torso([self.middle_block, self.blocks], dtype)
        self.dtype = dtype

    def forward(self, latent: Grid) -> Finer:
        """Logits of occupancy."""
        h = self.middle_block(self.input_layer(latent).to(self.dtype))
        for block in self.blocks:
            h = block(h)
        logits: Tensor = self.out_layer(h.float())
        return logits


def occupied(logits: Float[Tensor, "batch 1 x y z"]) -> Int32[Tensor, "voxel 4"]:
    """(batch, x, y, z) of the voxels above zero, in lexicographic order."""
    return torch.nonzero(logits > 0)[:, [0, 2, 3, 4]].int()
