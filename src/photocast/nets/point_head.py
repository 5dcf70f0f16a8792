# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""VGGT's dense head (DPT): a point in the first camera's frame, and trust in it, per pixel.

Source: Ranftl et al., Vision Transformers for Dense Prediction, 2021, in VGGT's variant.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DPTHead", "uv_embedding", "uv_grid"]

Map = Float[Tensor, "image channel h w"]
Finer = Float[Tensor, "image channel H W"]
FRAMES_AT_ONCE = 8
"""Views decoded together, which bounds memory."""


def uv_grid(
    width: int, height: int, aspect_ratio: int | float
) -> Float[Tensor, "{height} {width} 2"]:
    """Place of each pixel's centre in an image with a diagonal of 2, origin in the middle.

    Args:
        width: Pixels across.
        height: Pixels down.
        aspect_ratio: Width over height of the image that the pixels share.
    """
    diagonal = (aspect_ratio**2 + 1) ** 0.5
    sides = []
    for count, span in ((width, aspect_ratio / diagonal), (height, 1 / diagonal)):
        reach = span * (count - 1) / count
        sides.append(torch.linspace(-reach, reach, count, dtype=torch.float32))
    u, v = torch.meshgrid(*sides, indexing="xy")
    return torch.stack([u, v], dim=-1)


def uv_embedding(grid: Float[Tensor, "h w 2"], dim: int) -> Float[Tensor, "h w {dim}"]:
    """Sines, then cosines, of u, then the same of v; ``dim`` is a multiple of four."""
    steps = torch.arange(dim // 4, dtype=torch.float64, device=grid.device) / (dim / 4)
    angles = grid[..., None].double() / 100**steps  # h w 2 dim/4
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(2).float()


class ResidualConvUnit(nn.Module):
    """Two convolutions after ReLUs. The first ReLU also changes what is added at the end."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Map) -> Map:
        x = F.relu(x)  # done in place by the code that the weights were trained with
        change: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + change


class FeatureFusionBlock(nn.Module):
    """Join a finer map, then enlarge."""

    def __init__(self, features: int, joins: bool) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, 1)
        if joins:
            self.resConfUnit1 = ResidualConvUnit(features)
        self.resConfUnit2 = ResidualConvUnit(features)

    def forward(self, x: Map, finer: Map | None, size: tuple[int, int]) -> Finer:
        if finer is not None:
            x = x + self.resConfUnit1(finer)
        x = _resize(self.resConfUnit2(x), size)
        out: Tensor = self.out_conv(x)
        return out


class DPTHead(nn.Module):
    """Four layers of tokens into one map at the photos' size."""

    def __init__(
        self,
        dim_in: int,
        patch_size: int = 14,
        output_dim: int = 4,
        features: int = 256,
        out_channels: Sequence[int] = (256, 512, 1024, 1024),
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.norm = nn.LayerNorm(dim_in)
        self.projects = nn.ModuleList(nn.Conv2d(dim_in, width, 1) for width in out_channels)
        first, second, _, fourth = out_channels
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, 4, stride=4),
                nn.ConvTranspose2d(second, second, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, stride=2, padding=1),
            ]
        )
        self.scratch = nn.Module()
        for level, width in enumerate(out_channels, 1):
            conv = nn.Conv2d(width, features, 3, padding=1, bias=False)
            self.scratch.add_module(f"layer{level}_rn", conv)
            block = FeatureFusionBlock(features, joins=level < 4)
            self.scratch.add_module(f"refinenet{level}", block)
        self.scratch.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.scratch.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, output_dim, 1)
        )

    def forward(
        self,
        layers: Sequence[Float[Tensor, "batch view token width"]],
        height: int,
        width: int,
        special: int = 5,
    ) -> tuple[Float[Tensor, "batch view h w 3"], Float[Tensor, "batch view h w"]]:
        """Points and confidence (1 and up).

        Args:
            layers: Tokens of the aggregator's four chosen layers, early first.
            height: Of the photos [px].
            width: Of the photos [px].
            special: Tokens before the patches.
        """
        batch, views = layers[0].shape[:2]
        patches = [layer[:, :, special:].flatten(0, 1) for layer in layers]
        chunks = zip(*(layer.split(FRAMES_AT_ONCE) for layer in patches), strict=True)
        raw = torch.cat([self._decode(chunk, height, width) for chunk in chunks])
        raw = raw.permute(0, 2, 3, 1).unflatten(0, (batch, views))
        points, confidence = raw[..., :-1], raw[..., -1]
        return points.sign() * points.abs().expm1(), 1 + confidence.exp()

    def _decode(
        self, layers: Sequence[Float[Tensor, "image patch width"]], height: int, width: int
    ) -> Map:
        size = (height // self.patch_size, width // self.patch_size)
        maps = []
        for level, tokens in enumerate(layers):
            x = self.norm(tokens).transpose(1, 2).unflatten(2, size)
            x = _add_places(self.projects[level](x), width / height)
            lateral = self.scratch.get_submodule(f"layer{level + 1}_rn")
            maps.append(lateral(self.resize_layers[level](x)))
        x = maps[3]
        for level in (4, 3, 2, 1):
            block = self.scratch.get_submodule(f"refinenet{level}")
            finer = None if level == 4 else maps[level - 1]
            target = (
                tuple(maps[level - 2].shape[2:]) if level > 1 else tuple(2 * s for s in x.shape[2:])
            )
            x = block(x, finer, target)
        x = _resize(self.scratch.get_submodule("output_conv1")(x), (height, width))
        out: Tensor = self.scratch.get_submodule("output_conv2")(_add_places(x, width / height))
        return out


def _resize(x: Map, size: tuple[int, int]) -> Finer:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def _add_places(x: Map, aspect_ratio: int | float) -> Map:
    grid = uv_grid(x.shape[-1], x.shape[-2], aspect_ratio).to(x.device)
    return x + 0.1 * uv_embedding(grid, x.shape[1]).permute(2, 0, 1).to(x.dtype)
