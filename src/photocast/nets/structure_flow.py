# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The flow that makes the coarse shape: a dense latent of 16 x 16 x 16 places.

Published as ``sparse_structure_flow_model``. Predicts the velocity of a rectified flow.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from photocast.nets.attention import Context, KeyValue
from photocast.nets.blocks import ModulatedTransformerCrossBlock
from photocast.nets.embeddings import TimestepEmbedder, position_embedding
from photocast.nets.precision import cast_torso
from photocast.nets.shuffle import patchify, unpatchify

__all__ = ["SparseStructureFlowModel"]

Latent = Float[Tensor, "batch latent x y z"]


class SparseStructureFlowModel(nn.Module):
    """A diffusion transformer over all places of the grid."""

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
        patch_size: int = 1,
        pe_mode: str = "ape",
        qk_rms_norm: bool = False,
        qk_rms_norm_cross: bool = False,
        use_fp16: bool = False,
    ) -> None:
        """Build the layers; the arguments are those of the checkpoint's JSON file."""
        super().__init__()
        if pe_mode != "ape":
            raise ValueError(f"pe_mode = {pe_mode!r}: only 'ape' is published, and built.")
        self.patch_size = patch_size
        self.dtype = torch.float32
        self.t_embedder = TimestepEmbedder(model_channels)
        self.pos_emb: Tensor
        self.grid, self.channels = resolution // patch_size, model_channels
        self.register_buffer("pos_emb", _places(self.grid, model_channels))
        self.input_layer = nn.Linear(in_channels * patch_size**3, model_channels)
        self.blocks = nn.ModuleList(
            ModulatedTransformerCrossBlock(
                model_channels, cond_channels, num_heads, mlp_ratio, qk_rms_norm, qk_rms_norm_cross
            )
            for _ in range(num_blocks)
        )
        self.out_layer = nn.Linear(model_channels, out_channels * patch_size**3)
        if use_fp16:
            self.cast(torch.float16)

    def computed_buffers(self) -> dict[str, Tensor]:
        """What a file may leave out."""
        return {"pos_emb": _places(self.grid, self.channels)}

    def cast(self, dtype: torch.dtype) -> None:
        """Run the blocks in another precision."""
        cast_torso([self.blocks], dtype)
        self.dtype = dtype

    def project(self, cond: Float[Tensor, "batch context width"]) -> list[list[KeyValue]]:
        """Keys and values of the condition for every block, to be computed once per sample."""
        attentions: list[Any] = [block.get_submodule("cross_attn") for block in self.blocks]
        return [[attention.project(cond)] for attention in attentions]

    def forward(
        self,
        x: Latent,
        t: Float[Tensor, "batch"],
        cond: Tensor | list[list[KeyValue]] | None,
    ) -> Latent:
        """Velocity at ``x``.

        Args:
            x: Noisy latent.
            t: 1000 times the time.
            cond: Condition tokens, what :meth:`project` made of them, or None for the
                unconditional pass: the same result as for zeros, without attention.
        """
        grid = patchify(x, self.patch_size)
        h = self.input_layer(grid.flatten(2).transpose(1, 2)) + self.pos_emb
        h, mod = h.to(self.dtype), self.t_embedder(t).to(self.dtype)
        for number, block in enumerate(self.blocks):
            context: Context = cond[number] if isinstance(cond, list) else cond
            h = block(h, mod, context)
        h = self.out_layer(F.layer_norm(h.float(), h.shape[-1:]))
        return unpatchify(h.transpose(1, 2).unflatten(2, grid.shape[2:]), self.patch_size)


def _places(size: int, channels: int) -> Float[Tensor, "place channel"]:
    steps = torch.arange(size)
    places = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), dim=-1)
    return position_embedding(places.reshape(-1, 3), channels)
