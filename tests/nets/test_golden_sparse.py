# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Operators on sparse voxels against the original code."""

import pytest
import torch
from torch import nn

from photocast.nets.attention import MultiHeadAttention
from photocast.nets.blocks import (
    FeedForwardNet,
    ModulatedTransformerBlock,
    ModulatedTransformerCrossBlock,
    TransformerBlock,
)
from photocast.nets.latent_flow import SparseResBlock3d
from photocast.nets.mesh_decoder import SparseSubdivideBlock3d, VoxelGroupNorm
from photocast.nets.norms import MultiHeadRMSNorm
from photocast.nets.sparse_conv import SparseConv3d
from photocast.nets.voxels import Voxels, gather_fine, mean_of_fine, split_in_eight

SPARSE = "trellis.modules.sparse"


def voxels_of(case):
    return Voxels(case["in_coords"])


def groups_of(args, voxels):
    """Take out of the arguments of a case who sees whom."""
    if args.pop("attn_mode", "full") == "windowed":
        return voxels.windows(args.pop("window_size"), args.pop("shift_window"))
    return voxels.batches


@pytest.mark.golden(
    f"{SPARSE}.linear.SparseLinear", f"{SPARSE}.transformer.blocks.SparseFeedForwardNet"
)
def test_golden_layers_per_voxel(case):
    kind = nn.Linear if "in_features" in case.args else FeedForwardNet
    feats = case.fill(kind(**case.args))(case["in_feats"][None])[0]
    case.check(feats=feats, coords=case["in_coords"])


@pytest.mark.golden(f"{SPARSE}.attention.modules.SparseMultiHeadRMSNorm")
def test_golden_rms_norm_of_voxels(case):
    heads = case["in_feats"].unflatten(1, (case.args["heads"], case.args["dim"]))
    case.check(feats=case.fill(MultiHeadRMSNorm(**case.args))(heads))


@pytest.mark.golden(f"{SPARSE}.norm.SparseGroupNorm32")
def test_golden_group_norm_of_voxels(case):
    case.check(feats=case.fill(VoxelGroupNorm(**case.args))(case["in_feats"]))


@pytest.mark.golden(f"{SPARSE}.attention.modules.SparseMultiHeadAttention")
def test_golden_attention_of_voxels(case):
    args = dict(case.args)
    groups = groups_of(args, voxels_of(case))
    module = case.fill(MultiHeadAttention(**args))
    x = case["in_feats"][None]
    y = module.cross(x, case["in_context"]) if "in_context" in case else module(x, groups)
    case.check(feats=y[0])


@pytest.mark.golden(f"{SPARSE}.attention.windowed_attn.calc_window_partition")
def test_golden_windows(case):
    index, windows = voxels_of(case).window_of_voxel(
        case.args["window_size"], case.args["shift_window"]
    )
    case.check(
        group_of_voxel=index, group_sizes=torch.bincount(index), group_batch=windows[:, 0].long()
    )


@pytest.mark.golden(f"{SPARSE}.transformer.blocks.SparseTransformerBlock")
def test_golden_block_of_voxels(case):
    args = dict(case.args)
    groups = groups_of(args, voxels_of(case))
    block = case.fill(TransformerBlock(**args))
    big, small = (block(case[name][None], groups)[0] for name in ("in_feats", "in_small_feats"))
    case.check(feats=big, feats_small=small, coords=case["in_coords"])


@pytest.mark.golden(f"{SPARSE}.transformer.modulated.ModulatedSparseTransformerBlock")
def test_golden_modulated_block_of_voxels(case):
    block = case.fill(ModulatedTransformerBlock(**case.args))
    names = ("in_feats", "in_small_feats")
    big, small = (block(case[name][None], case["in_mod"])[0] for name in names)
    case.check(feats=big, feats_small=small)


@pytest.mark.golden(f"{SPARSE}.transformer.modulated.ModulatedSparseTransformerCrossBlock")
def test_golden_modulated_cross_block_of_voxels(case):
    block = case.fill(ModulatedTransformerCrossBlock(**case.args))
    views = case.inputs("in_context")
    outputs = {"feats": block(case["in_feats"][None], case["in_mod"], views)[0]}
    if "in_small_feats" in case:
        small = block(case["in_small_feats"][None], case["in_mod"], views)
        outputs["feats_small"] = small[0]
    case.check(**outputs)


@pytest.mark.golden(f"{SPARSE}.conv.conv_spconv.SparseConv3d")
def test_golden_sparse_convolution(case):
    conv = case.fill(SparseConv3d(**case.args))
    case.check(feats=conv(case["in_feats"], voxels_of(case)), coords=case["in_coords"])


@pytest.mark.golden(f"{SPARSE}.spatial.SparseDownsample")
def test_golden_downsample(case):
    coarse, index = voxels_of(case).coarse(case.args["factor"])
    case.check(coords=coarse.coords, feats=mean_of_fine(case["in_feats"], index, len(coarse)))


@pytest.mark.golden(f"{SPARSE}.spatial.SparseUpsample")
def test_golden_upsample(case):
    voxels = voxels_of(case)
    _, index = voxels.coarse(case.args["factor"])
    case.check(coords=voxels.coords, feats=gather_fine(case["in_coarse_feats"], index))


@pytest.mark.golden(f"{SPARSE}.spatial.SparseSubdivide")
def test_golden_subdivide(case):
    children = voxels_of(case).children
    case.check(coords=children.coords, feats=split_in_eight(case["in_feats"]))


@pytest.mark.golden("trellis.models.structured_latent_flow.SparseResBlock3d")
def test_golden_sparse_residual_block(case):
    block = case.fill(SparseResBlock3d(**case.args))
    voxels = voxels_of(case)
    x = case["in_coarse_feats"] if block.upsample else case["in_feats"]
    out = voxels.coarse()[0] if block.downsample else voxels
    case.check(
        feats=block(x, case["in_emb"], voxels),
        feats_small=block(x * 0.002, case["in_emb"], voxels),
        coords=out.coords,
    )


@pytest.mark.golden("trellis.models.structured_latent_vae.decoder_mesh.SparseSubdivideBlock3d")
def test_golden_subdivide_block(case):
    args = {name: value for name, value in case.args.items() if name != "resolution"}
    block = case.fill(SparseSubdivideBlock3d(**args))
    voxels = voxels_of(case)
    big, small = (block(case[name], voxels) for name in ("in_feats", "in_small_feats"))
    case.check(feats=big, feats_small=small, coords=voxels.children.coords)
