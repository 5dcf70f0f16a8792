# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""DINOv2 with registers: one feature vector per patch of a photo.

Published as ``dinov2_vitl14_reg``; VGGT holds another copy with weights of its own. The
conditions read the tokens before the final norm, normalised without affine factors.
Source: Oquab et al., DINOv2, 2023; Darcet et al., Vision Transformers Need Registers, 2023.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from photocast.nets.precision import cast_torso
from photocast.nets.vit import PatchEmbed, VitBlock

__all__ = ["MEAN", "STD", "DinoVisionTransformer", "VitTokens", "normalize_colors", "vit_named"]

MEAN = (0.485, 0.456, 0.406)
"""ImageNet mean of red, green and blue in [0, 1]."""
STD = (0.229, 0.224, 0.225)
"""ImageNet standard deviation."""

Images = Float[Tensor, "batch 3 h w"]


def normalize_colors(images: Images) -> Images:
    """From [0, 1] to zero mean and unit variance over ImageNet."""
    mean, std = (images.new_tensor(x)[:, None, None] for x in (MEAN, STD))
    return (images - mean) / std


class VitTokens(NamedTuple):
    """Class token, registers, then patches row by row."""

    prenorm: Float[Tensor, "batch token channel"]
    """Before the final norm."""
    normed: Float[Tensor, "batch token channel"]
    """After it."""

    @property
    def feature(self) -> Float[Tensor, "batch token channel"]:
        """Before the final norm, then normalised without affine factors; eps 1e-5."""
        return F.layer_norm(self.prenorm, self.prenorm.shape[-1:])


class DinoVisionTransformer(nn.Module):
    """A vision transformer with register tokens."""

    def __init__(
        self,
        img_size: int = 518,
        patch_size: int = 14,
        embed_dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        mlp_ratio: int | float = 4,
        init_values: int | float = 1.0,
        num_register_tokens: int = 4,
        interpolate_antialias: bool = True,
    ) -> None:
        super().__init__()
        self.dtype = torch.float32
        self.patch_size = patch_size
        self.antialias = interpolate_antialias
        self.grid = img_size // patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid**2, embed_dim))
        self.register_tokens = nn.Parameter(torch.zeros(1, num_register_tokens, embed_dim))
        self.mask_token = nn.Parameter(torch.zeros(1, embed_dim))  # for training; never read here
        self.patch_embed = PatchEmbed(patch_size, embed_dim)
        self.blocks = nn.ModuleList(
            VitBlock(embed_dim, num_heads, mlp_ratio, init_values=init_values, eps=1e-6)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)

    def cast(self, dtype: torch.dtype) -> None:
        """Multiply in another precision; norms and what is added up stay in float32."""
        cast_torso([self], dtype)
        self.dtype = dtype

    def forward(self, images: Images) -> VitTokens:
        """Tokens of images with zero mean and unit variance; sides are multiples of a patch."""
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self._tokens(images)

    def _tokens(self, images: Images) -> VitTokens:
        rows, columns = (side // self.patch_size for side in images.shape[-2:])
        patches = self.patch_embed(images)
        cls = self.cls_token.expand(len(images), -1, -1)
        x = torch.cat([cls, patches], dim=1) + self._places(rows, columns)
        registers = self.register_tokens.expand(len(images), -1, -1)
        x = torch.cat([x[:, :1], registers, x[:, 1:]], dim=1)
        for block in self.blocks:
            x = block(x)
        return VitTokens(x, self.norm(x))

    def _places(self, rows: int, columns: int) -> Float[Tensor, "1 token channel"]:
        """The table of places, resized where the image has another number of patches."""
        if (rows, columns) == (self.grid, self.grid):
            return self.pos_embed
        table = self.pos_embed[:, 1:].float().unflatten(1, (self.grid, self.grid))
        resized = F.interpolate(
            table.permute(0, 3, 1, 2),
            size=(rows, columns),
            mode="bicubic",
            antialias=self.antialias,
        )
        places = resized.flatten(2).transpose(1, 2).to(self.pos_embed.dtype)
        return torch.cat([self.pos_embed[:, :1], places], dim=1)


SIZES = {"vits": (384, 12, 6), "vitb": (768, 12, 12), "vitl": (1024, 24, 16)}


def vit_named(name: str, img_size: int) -> DinoVisionTransformer:
    """Build one by its published name, such as ``dinov2_vitl14_reg``."""
    for size, (dim, depth, heads) in SIZES.items():
        if name == f"dinov2_{size}14_reg":
            return DinoVisionTransformer(img_size, 14, dim, depth, heads)
    raise ValueError(f"No vision transformer is called {name!r}.")
