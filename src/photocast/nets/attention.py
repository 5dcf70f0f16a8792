# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Attention of the TRELLIS-style networks: over all tokens, inside groups, and across views.

Tokens are ``[batch, token, channel]``. A group is a set of tokens of one sample that see only each
other, such as the voxels of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from photocast.nets.norms import MultiHeadRMSNorm

__all__ = ["Context", "Groups", "KeyValue", "MultiHeadAttention", "attend", "group_tokens"]

Queries = Float[Tensor, "batch token head dim"]
Seen = Float[Tensor, "batch context head dim"]


@dataclass(frozen=True, eq=False)
class KeyValue:
    """One view of the condition, projected; the same at every step of sampling."""

    key: Float[Tensor, "batch context head dim"]
    value: Float[Tensor, "batch context head dim"]


# What cross-attention sees: one tensor, one per view, those projected before, or nothing (None),
# which means what zeros would mean, and costs next to nothing.
Context = Tensor | Sequence[Tensor] | Sequence[KeyValue] | None


class _Rows(NamedTuple):
    """Groups of similar length, one per row, filled up to the longest with any token."""

    token: Int[Tensor, "group width"]
    mask: Bool[Tensor, "group 1 1 width"] | None
    """Where a row holds a token of its group; None if everywhere."""
    real_token: Int[Tensor, "real"]
    """Tokens without the filling ..."""
    real_place: Int[Tensor, "real"]
    """... and their places in the flattened rows."""


@dataclass(frozen=True, eq=False)
class Groups:
    """A partition of tokens. Everything is laid out once; attention then waits for nothing."""

    rows: tuple[_Rows, ...]


def group_tokens(group_of_token: Int[Tensor, "token"], count: int) -> Groups:
    """Lay out groups for :func:`attend`, those of similar size together.

    Args:
        group_of_token: A number in [0, count) for each token.
        count: Number of groups; none may be empty.
    """
    sizes = torch.bincount(group_of_token, minlength=count)
    order = torch.argsort(group_of_token, stable=True)
    starts = sizes.cumsum(0) - sizes
    level = sizes.float().log2().ceil()  # sizes 1 | 2 | 3 4 | 5 to 8 | ...
    rows = []
    for wanted in torch.unique(level).tolist():
        chosen = torch.nonzero(level == wanted)[:, 0]
        column = torch.arange(int(sizes[chosen].max()), device=order.device)
        real = column < sizes[chosen, None]
        token = order[torch.where(real, starts[chosen, None] + column, 0)]
        place = torch.nonzero(real.flatten())[:, 0]
        mask = None if bool(real.all()) else real[:, None, None]
        rows.append(_Rows(token, mask, token.flatten()[place], place))
    return Groups(tuple(rows))


def attend(q: Queries, k: Seen, v: Seen, groups: Groups | None = None) -> Queries:
    """Softmax attention with scale 1/sqrt(dim).

    Args:
        q: Queries.
        k: Keys.
        v: Values, like the keys.
        groups: Which tokens see each other; all of them if absent. Needs one batch item.
    """
    if groups is None:
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    if len(q) != 1:
        raise ValueError(f"Attention in groups takes one batch item; got {len(q)}.")
    result = torch.empty_like(q[0])
    for rows in groups.rows:
        a, b, c = (_group(x[0], rows.token) for x in (q, k, v))
        out = F.scaled_dot_product_attention(a, b, c, attn_mask=rows.mask).transpose(1, 2)
        result[rows.real_token] = out.flatten(0, 1).index_select(0, rows.real_place)
    return result[None]


def _group(
    x: Float[Tensor, "token head dim"], token: Int[Tensor, "group width"]
) -> Float[Tensor, "group head width dim"]:
    # index_select, not indexing: the filling is one token many times over, and the gradient of
    # indexing walks its occurrences one after the other
    found: Tensor = x.index_select(0, token.flatten()).unflatten(0, token.shape)
    return found.transpose(1, 2)


class MultiHeadAttention(nn.Module):
    """Self-attention, or cross-attention to a condition."""

    def __init__(
        self,
        channels: int,
        num_heads: int,
        ctx_channels: int | None = None,
        type: Literal["self", "cross"] = "self",
        qk_rms_norm: bool = False,
    ) -> None:
        """Make the projections.

        Args:
            channels: Width of the tokens.
            num_heads: Heads; their width is channels / num_heads.
            ctx_channels: Width of the context; by default that of the tokens.
            type: What the queries look at.
            qk_rms_norm: Normalise queries and keys.
        """
        super().__init__()
        self.heads = num_heads
        if type == "self":
            self.to_qkv = nn.Linear(channels, 3 * channels)
        else:
            self.to_q = nn.Linear(channels, channels)
            self.to_kv = nn.Linear(ctx_channels or channels, 2 * channels)
        self.q_rms_norm = self.k_rms_norm = None
        if qk_rms_norm:
            self.q_rms_norm = MultiHeadRMSNorm(channels // num_heads, num_heads)
            self.k_rms_norm = MultiHeadRMSNorm(channels // num_heads, num_heads)
        self.to_out = nn.Linear(channels, channels)

    def forward(
        self, x: Float[Tensor, "batch token channel"], groups: Groups | None = None
    ) -> Float[Tensor, "batch token channel"]:
        """Self-attention."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        if self.q_rms_norm is not None and self.k_rms_norm is not None:
            q, k = self.q_rms_norm(q), self.k_rms_norm(k)
        out: Tensor = self.to_out(attend(q, k, v, groups).flatten(2))
        return out

    def cross(
        self, x: Float[Tensor, "batch token channel"], context: Context
    ) -> Float[Tensor, "#batch #token channel"]:
        """Cross-attention; over several views, the mean of what each gives.

        The mean is taken before ``to_out``, which is affine, so the order makes no difference.
        """
        if context is None:
            return self.nothing()
        views = [context] if isinstance(context, Tensor) else context
        q = self.to_q(x).unflatten(-1, (self.heads, -1))
        if self.q_rms_norm is not None:
            q = self.q_rms_norm(q)
        total = torch.zeros_like(q)
        for view in views:
            seen = self.project(view) if isinstance(view, Tensor) else view
            total = total + attend(q, seen.key, seen.value)
        out: Tensor = self.to_out((total / len(views)).flatten(2))
        return out

    def project(self, context: Float[Tensor, "batch context width"]) -> KeyValue:
        """Keys and values of one view; worth keeping while the condition stays the same."""
        context = context.to(self.to_kv.weight.dtype)
        k, v = self.to_kv(context).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return KeyValue(k if self.k_rms_norm is None else self.k_rms_norm(k), v)

    def nothing(self) -> Float[Tensor, "1 1 channel"]:
        """What cross-attention gives if the context is zeros.

        All keys are then the same vector, so the weights are uniform, and every value is the
        values' bias: exact, for any number of tokens and views.
        """
        value = self.to_kv.bias.chunk(2)[1]
        out: Tensor = self.to_out(value)
        return out[None, None]
