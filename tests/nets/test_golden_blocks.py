# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Building blocks against the original code."""

import pytest

from photocast.nets.attention import MultiHeadAttention
from photocast.nets.blocks import (
    FeedForwardNet,
    ModulatedTransformerBlock,
    ModulatedTransformerCrossBlock,
    TransformerBlock,
    TransformerCrossBlock,
)
from photocast.nets.embeddings import TimestepEmbedder, position_embedding, timestep_embedding
from photocast.nets.norms import ChannelLayerNorm32, GroupNorm32, LayerNorm32, MultiHeadRMSNorm
from photocast.nets.shuffle import patchify, pixel_shuffle_3d, unpatchify

FLOW = "trellis.models.sparse_structure_flow"
MODULES = "trellis.modules"


@pytest.mark.golden(f"{FLOW}.TimestepEmbedder.timestep_embedding")
def test_golden_timestep_embedding(case):
    dims = case.args["dims"]
    case.check(**{f"dim{dim}": timestep_embedding(case["in_t"], dim) for dim in dims})


@pytest.mark.golden(f"{FLOW}.TimestepEmbedder")
def test_golden_timestep_embedder(case):
    case.check(emb=case.fill(TimestepEmbedder(**case.args))(case["in_t"]))


@pytest.mark.golden(f"{MODULES}.transformer.blocks.AbsolutePositionEmbedder")
def test_golden_position_embedding(case):
    assert case.args["in_channels"] == case["in_coords"].shape[1]
    widths = case.args["channels"]
    case.check(**{f"c{width}": position_embedding(case["in_coords"], width) for width in widths})


NORMS = {
    f"{MODULES}.norm.LayerNorm32": LayerNorm32,
    f"{MODULES}.norm.ChannelLayerNorm32": ChannelLayerNorm32,
    f"{MODULES}.norm.GroupNorm32": GroupNorm32,
    f"{MODULES}.attention.modules.MultiHeadRMSNorm": MultiHeadRMSNorm,
    f"{MODULES}.transformer.blocks.FeedForwardNet": FeedForwardNet,
}


@pytest.mark.golden(
    f"{MODULES}.norm.LayerNorm32",
    f"{MODULES}.norm.ChannelLayerNorm32",
    f"{MODULES}.norm.GroupNorm32",
    f"{MODULES}.attention.modules.MultiHeadRMSNorm",
    f"{MODULES}.transformer.blocks.FeedForwardNet",
)
def test_golden_norms_and_feed_forward(case):
    module = NORMS[case.entry["upstream"]["object"]](**case.args)
    case.check(y=case.fill(module)(case["in_x"]))


@pytest.mark.golden(f"{MODULES}.spatial.pixel_shuffle_3d / patchify / unpatchify")
def test_golden_shuffles(case):
    patches = patchify(case["in_y"], case.args["patch"])
    case.check(
        shuffled=pixel_shuffle_3d(case["in_x"], case.args["scale"]),
        patches=patches,
        restored=unpatchify(patches, case.args["patch"]),
    )


@pytest.mark.golden(f"{MODULES}.attention.modules.MultiHeadAttention")
def test_golden_attention(case):
    module = case.fill(MultiHeadAttention(**case.args))
    if "in_context" in case:
        case.check(y=module.cross(case["in_x"], case["in_context"]))
    else:
        case.check(y=module(case["in_x"]))


BLOCKS = {
    f"{MODULES}.transformer.blocks.TransformerBlock": TransformerBlock,
    f"{MODULES}.transformer.blocks.TransformerCrossBlock": TransformerCrossBlock,
    f"{MODULES}.transformer.modulated.ModulatedTransformerBlock": ModulatedTransformerBlock,
    f"{MODULES}.transformer.modulated.ModulatedTransformerCrossBlock": (
        ModulatedTransformerCrossBlock
    ),
    f"{MODULES}.transformer.modulated.ModulatedTransformerCrossBlock_woT": TransformerCrossBlock,
}


@pytest.mark.golden(
    f"{MODULES}.transformer.blocks.TransformerBlock",
    f"{MODULES}.transformer.blocks.TransformerCrossBlock",
    f"{MODULES}.transformer.modulated.ModulatedTransformerBlock",
    f"{MODULES}.transformer.modulated.ModulatedTransformerCrossBlock",
    f"{MODULES}.transformer.modulated.ModulatedTransformerCrossBlock_woT",
    with_array="in_x_small",
)
def test_golden_block(case):
    block = case.fill(BLOCKS[case.entry["upstream"]["object"]](**case.args))
    given = [case[name] for name in ("in_mod", "in_context") if name in case]
    case.check(y=block(case["in_x"], *given), y_small=block(case["in_x_small"], *given))


@pytest.mark.golden(
    f"{MODULES}.transformer.modulated.ModulatedTransformerCrossBlock", with_array="in_context0"
)
def test_golden_block_sees_several_views(case):
    block = case.fill(ModulatedTransformerCrossBlock(**case.args))
    x, mod, views = case["in_x"], case["in_mod"], case.inputs("in_context")
    case.check(y=block(x, mod, views), y_zero=block(x, mod, [0 * view for view in views]))
    # the shortcut for the unconditional pass, and keys and values made beforehand
    case.compare("out_y_zero", block(x, mod, None))
    case.compare("out_y", block(x, mod, [block.cross_attn.project(view) for view in views]))
