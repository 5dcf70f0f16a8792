# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Blocks of the vision transformers: DINOv2 and VGGT. Exact (erf) GELU, layer scale.

Rotary places (RoPE) in two dimensions: the first half of each head turns with the row, the second
with the column.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LayerScale", "Mlp", "PatchEmbed", "VitBlock", "patch_positions", "rotate_places"]

Tokens = Float[Tensor, "batch token channel"]
Positions = Int[Tensor, "batch token 2"]


def patch_positions(batch: int, height: int, width: int, device: torch.device) -> Positions:
    """(row, column) of every patch, row by row."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return torch.cartesian_prod(rows, columns).expand(batch, -1, -1)


def rotate_places(
    tokens: Float[Tensor, "batch head token dim"], positions: Positions, base: int | float
) -> Float[Tensor, "batch head token dim"]:
    """Turn pairs of features by angles that grow with the row and the column.

    Angles are rounded to the type of the tokens before their cosine is taken, as in the code that
    the published weights were trained with.
    """
    halves = []
    for axis, part in enumerate(tokens.chunk(2, dim=-1)):
        width = part.shape[-1]
        steps = torch.arange(0, width, 2, dtype=torch.float32, device=tokens.device) / width
        angle = positions[:, None, :, axis, None] * (1.0 / base**steps)  # batch 1 token width/2
        angle = torch.cat([angle, angle], dim=-1).to(tokens.dtype)
        first, second = part.chunk(2, dim=-1)
        turned = torch.cat([-second, first], dim=-1)
        halves.append(part * angle.cos() + turned * angle.sin())
    return torch.cat(halves, dim=-1)


class PatchEmbed(nn.Module):
    """Square patches of an image as tokens, row by row."""

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Float[Tensor, "batch 3 h w"]) -> Tokens:
        patches: Tensor = self.proj(images)
        return patches.flatten(2).transpose(1, 2)


class LayerScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, dim: int, init_values: int | float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), init_values))

    def forward(self, x: Tokens) -> Tokens:
        return x * self.gamma


class Mlp(nn.Module):
    """Two layers around a GELU."""

    def __init__(self, dim: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim if out is None else out)

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch out"]:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class VitAttention(nn.Module):
    """Self-attention, with normalised and turned queries and keys in VGGT."""

    def __init__(
        self, dim: int, num_heads: int, qk_norm: bool, rope_frequency: int | float | None
    ) -> None:
        super().__init__()
        self.heads = num_heads
        self.rope_frequency = rope_frequency
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm = nn.LayerNorm(dim // num_heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(dim // num_heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tokens, pos: Positions | None) -> Tokens:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # batch head token dim
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        if self.rope_frequency is not None and pos is not None:
            q = rotate_places(q, pos, self.rope_frequency)
            k = rotate_places(k, pos, self.rope_frequency)
        seen = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return out


class VitBlock(nn.Module):
    """Attention and a feed-forward net, each scaled per channel."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: int | float = 4.0,
        *,
        init_values: int | float = 0.01,
        qk_norm: bool = False,
        rope_frequency: int | float | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = VitAttention(dim, num_heads, qk_norm, rope_frequency)
        self.ls1 = LayerScale(dim, init_values)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.ls2 = LayerScale(dim, init_values)

    def forward(self, x: Tokens, pos: Positions | None = None) -> Tokens:
        x = x + self.ls1(self.attn(self.norm1(x), pos))
        x = x + self.ls2(self.mlp(self.norm2(x)))
        return x
