# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks of the coarse shape against the original code."""

import pytest

from photocast.nets.conditions import ModulatedMultiViewCond, ModulatedSLATMultiViewCond
from photocast.nets.structure_decoder import (
    ResBlock3d,
    SparseStructureDecoder,
    UpsampleBlock3d,
    occupied,
)
from photocast.nets.structure_flow import SparseStructureFlowModel

PIPELINE = "trellis.pipelines.trellis_image_to_3d.TrellisVGGTTo3DPipeline"
VAE = "trellis.models.sparse_structure_vae"


@pytest.mark.golden("trellis.models.sparse_structure_flow.SparseStructureFlowModel")
def test_golden_structure_flow(case):
    flow = case.fill(SparseStructureFlowModel(**case.args))
    x, t, cond = case["in_x"], case["in_t"], case["in_cond"]
    with case.watching(flow):
        v = flow(x, t, cond)
    case.check(v=v, v_zero_cond=flow(x, t, 0 * cond), pos_emb=flow.pos_emb)
    case.compare("out_v_zero_cond", flow(x, t, None))
    case.compare("out_v", flow(x, t, flow.project(cond)))


@pytest.mark.golden(f"{VAE}.ResBlock3d", f"{VAE}.UpsampleBlock3d")
def test_golden_structure_decoder_block(case):
    kind = UpsampleBlock3d if "in_channels" in case.args else ResBlock3d
    case.check(y=case.fill(kind(**case.args))(case["in_x"]))


@pytest.mark.golden(f"{VAE}.SparseStructureDecoder")
def test_golden_structure_decoder(case):
    decoder = case.fill(SparseStructureDecoder(**case.args))
    with case.watching(decoder):
        logits = decoder(case["in_z"])
    case.check(logits=logits, coords=occupied(logits))


def layers_of(case):
    return {number: case[f"in_tokens_{number}"] for number in (4, 11, 17, 23)}


@pytest.mark.golden(
    f"{PIPELINE}.get_ss_cond -> trellis.models.sparse_structure_flow.ModulatedMultiViewCond"
)
def test_golden_structure_condition(case):
    net = case.fill(ModulatedMultiViewCond(**case.args))
    with case.watching(net):
        cond = net(layers_of(case), case["in_image_cond"])
    case.check(cond=cond, neg_cond=0 * cond)


@pytest.mark.golden(
    f"{PIPELINE}.get_slat_cond -> trellis.models.structured_latent_flow.ModulatedSLATMultiViewCond"
)
def test_golden_detail_condition(case):
    net = case.fill(ModulatedSLATMultiViewCond(**case.args), unused=("fuse_blocks.",))
    views = net(layers_of(case), case["in_image_cond"])
    case.check(**{f"view_{number}": view for number, view in enumerate(views)})
