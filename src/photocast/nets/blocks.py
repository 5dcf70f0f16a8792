# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Transformer blocks that the flows, the decoders and the structure condition are made of.

All use the tanh form of GELU, and norms with eps 1e-6.
"""

from jaxtyping import Float
from torch import Tensor, nn

from photocast.nets.attention import Context, Groups, MultiHeadAttention
from photocast.nets.norms import LayerNorm32

__all__ = [
    "FeedForwardNet",
    "ModulatedTransformerBlock",
    "ModulatedTransformerCrossBlock",
    "TransformerBlock",
    "TransformerCrossBlock",
]

Tokens = Float[Tensor, "batch token channel"]


class FeedForwardNet(nn.Module):
    """Two layers around a GELU."""

    def __init__(self, channels: int, mlp_ratio: int | float = 4.0) -> None:
        super().__init__()
        hidden = int(channels * mlp_ratio)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tokens) -> Tokens:
        out: Tensor = self.mlp(x)
        return out


class TransformerBlock(nn.Module):
    """Self-attention, then a feed-forward net."""

    def __init__(
        self,
        channels: int,
        num_heads: int,
        mlp_ratio: int | float = 4.0,
        qk_rms_norm: bool = False,
        ln_affine: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm32(channels, elementwise_affine=ln_affine, eps=1e-6)
        self.norm2 = LayerNorm32(channels, elementwise_affine=ln_affine, eps=1e-6)
        self.attn = MultiHeadAttention(channels, num_heads, qk_rms_norm=qk_rms_norm)
        self.mlp = FeedForwardNet(channels, mlp_ratio)

    def forward(self, x: Tokens, groups: Groups | None = None) -> Tokens:
        x = x + self.attn(self.norm1(x), groups)
        x = x + self.mlp(self.norm2(x))
        return x


class TransformerCrossBlock(nn.Module):
    """Self-attention, cross-attention to a context, then a feed-forward net."""

    def __init__(
        self,
        channels: int,
        ctx_channels: int,
        num_heads: int,
        mlp_ratio: int | float = 4.0,
        qk_rms_norm: bool = False,
        qk_rms_norm_cross: bool = False,
        ln_affine: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm32(channels, elementwise_affine=ln_affine, eps=1e-6)
        self.norm2 = LayerNorm32(channels, elementwise_affine=True, eps=1e-6)
        self.norm3 = LayerNorm32(channels, elementwise_affine=ln_affine, eps=1e-6)
        self.self_attn = MultiHeadAttention(channels, num_heads, qk_rms_norm=qk_rms_norm)
        self.cross_attn = MultiHeadAttention(
            channels, num_heads, ctx_channels, type="cross", qk_rms_norm=qk_rms_norm_cross
        )
        self.mlp = FeedForwardNet(channels, mlp_ratio)

    def forward(self, x: Tokens, context: Context) -> Tokens:
        x = x + self.self_attn(self.norm1(x))
        x = x + self.cross_attn.cross(self.norm2(x), context)
        x = x + self.mlp(self.norm3(x))
        return x


def _modulation(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), nn.Linear(channels, 6 * channels))


class ModulatedTransformerBlock(TransformerBlock):
    """A block that a vector, such as the time, shifts, scales and gates."""

    def __init__(
        self, channels: int, num_heads: int, mlp_ratio: int | float = 4.0, qk_rms_norm: bool = False
    ) -> None:
        super().__init__(channels, num_heads, mlp_ratio, qk_rms_norm)
        self.adaLN_modulation = _modulation(channels)

    def forward(  # type: ignore[override]  # what modulates comes first
        self, x: Tokens, mod: Float[Tensor, "batch channel"], groups: Groups | None = None
    ) -> Tokens:
        chunks = self.adaLN_modulation(mod)[:, None].chunk(6, dim=-1)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = chunks
        x = x + gate_msa * self.attn(self.norm1(x) * (1 + scale_msa) + shift_msa, groups)
        x = x + gate_mlp * self.mlp(self.norm2(x) * (1 + scale_mlp) + shift_mlp)
        return x


class ModulatedTransformerCrossBlock(TransformerCrossBlock):
    """A modulated block with cross-attention, which itself is neither modulated nor gated."""

    def __init__(
        self,
        channels: int,
        ctx_channels: int,
        num_heads: int,
        mlp_ratio: int | float = 4.0,
        qk_rms_norm: bool = False,
        qk_rms_norm_cross: bool = False,
    ) -> None:
        super().__init__(
            channels, ctx_channels, num_heads, mlp_ratio, qk_rms_norm, qk_rms_norm_cross
        )
        self.adaLN_modulation = _modulation(channels)

    def forward(  # type: ignore[override]  # what modulates comes before the context
        self, x: Tokens, mod: Float[Tensor, "batch channel"], context: Context
    ) -> Tokens:
        chunks = self.adaLN_modulation(mod)[:, None].chunk(6, dim=-1)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = chunks
        x = x + gate_msa * self.self_attn(self.norm1(x) * (1 + scale_msa) + shift_msa)
        x = x + self.cross_attn.cross(self.norm2(x), context)
        x = x + gate_mlp * self.mlp(self.norm3(x) * (1 + scale_mlp) + shift_mlp)
        return x
