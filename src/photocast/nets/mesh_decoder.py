# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of the detailed latent into cubes of a signed distance field, four times finer.

Published as ``slat_decoder_mesh``. Each voxel becomes 64 cubes of 101 numbers, from which
:mod:`photocast.nets.flexicubes` makes a mesh.
"""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from photocast.nets.flexicubes import CUBE_CHANNELS
from photocast.nets.latent_decoder import LatentDecoder
from photocast.nets.norms import GroupNorm32
from photocast.nets.precision import cast_torso
from photocast.nets.recompute import recomputed
from photocast.nets.sparse_conv import SparseConv3d
from photocast.nets.voxels import Voxels, split_in_eight

__all__ = ["SLatMeshDecoder", "SparseSubdivideBlock3d", "VoxelGroupNorm"]

Rows = Float[Tensor, "voxel channel"]


class VoxelGroupNorm(GroupNorm32):
    """Group norm with statistics over all voxels of one object."""

    def forward(self, x: Rows) -> Rows:
        return super().forward(x.T[None])[0].T


class SparseSubdivideBlock3d(nn.Module):
    """Split each voxel in eight and convolve."""

    def __init__(self, channels: int, out_channels: int, num_groups: int = 32) -> None:
        super().__init__()
        self.act_layers = nn.Sequential(VoxelGroupNorm(num_groups, channels), nn.SiLU())
        self.out_layers = nn.ModuleList(
            [
                SparseConv3d(channels, out_channels, 3),
                VoxelGroupNorm(num_groups, out_channels),
                nn.SiLU(),
                SparseConv3d(out_channels, out_channels, 3),
            ]
        )
        self.skip_connection = SparseConv3d(channels, out_channels, 1)

    def forward(self, x: Rows, voxels: Voxels) -> Float[Tensor, "child out"]:
        """Features on ``voxels.children``."""
        layers: Any = self.out_layers  # mypy takes its members for tensors
        first, norm, act, second = layers
        h = first.after_split(self.act_layers(x), voxels)
        h = second(act(norm(h)), voxels.children)
        out: Tensor = h + split_in_eight(self.skip_connection(x, voxels))
        return out


class SLatMeshDecoder(LatentDecoder):
    """The trunk, two splits, and one linear layer."""

    def __init__(
        self,
        resolution: int,
        model_channels: int,
        latent_channels: int,
        num_blocks: int,
        representation_config: dict[str, Any],
        num_heads: int,
        mlp_ratio: int | float = 4,
        attn_mode: str = "swin",
        window_size: int = 8,
        use_fp16: bool = False,
    ) -> None:
        """Build the layers; the arguments are those of the checkpoint's JSON file."""
        super().__init__(
            latent_channels,
            model_channels,
            num_blocks,
            num_heads,
            mlp_ratio,
            attn_mode,
            window_size,
        )
        if not representation_config["use_color"]:
            raise ValueError("use_color: only a decoder with colours is published, and built.")
        self.resolution = resolution
        widths = (model_channels, model_channels // 4, model_channels // 8)
        self.upsample = nn.ModuleList(SparseSubdivideBlock3d(*pair) for pair in pairwise(widths))
        self.out_layer = nn.Linear(widths[-1], CUBE_CHANNELS)
        if use_fp16:
            self.cast(torch.float16)

    def cast(self, dtype: torch.dtype) -> None:
        """Run everything between the first and the last layer in another precision."""
        super().cast(dtype)
        cast_torso([self.upsample], dtype)

    def forward(
        self, latents: Float[Tensor, "voxel latent"], voxels: Voxels
    ) -> tuple[Float[Tensor, "cube 101"], Voxels]:
        """Cubes of one object, and where they lie in a grid of four times the resolution."""
        h = self.features(latents, voxels)
        for block in self.upsample:
            h = recomputed(block, h, voxels)
            voxels = voxels.children
        return F.linear(h.to(latents.dtype), self.out_layer.weight, self.out_layer.bias), voxels
