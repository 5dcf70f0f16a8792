# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that look at the photos against the original code."""

import pytest
import torch

from photocast.nets.camera_head import CameraHead, camera_from_pose
from photocast.nets.dinov2 import DinoVisionTransformer
from photocast.nets.point_head import DPTHead, uv_embedding, uv_grid
from photocast.nets.vggt import Aggregator
from photocast.nets.vit import VitBlock, patch_positions, rotate_places

# what the original offers beside the published choice, which is built in
FIXED = {"ffn_layer": "mlp", "block_chunks": 0, "interpolate_offset": 0.0}


def dino(args):
    given = dict(args)
    assert {name: given.pop(name) for name in FIXED} == FIXED
    return DinoVisionTransformer(**given)


@pytest.mark.golden("vggt.layers.rope.RotaryPositionEmbedding2D / PositionGetter")
def test_golden_rotary_places(case):
    args, tokens = case.args, case["in_tokens"]
    grid = patch_positions(args["batch"], args["height"], args["width"], tokens.device)
    special = tokens.shape[2] - grid.shape[1]
    positions = torch.cat([grid.new_zeros(len(grid), special, 2), grid + 1], dim=1)
    turned, turned_bf16 = (
        rotate_places(x, positions, args["frequency"]).float() for x in (tokens, tokens.bfloat16())
    )
    case.check(grid=grid, positions=positions, rotated=turned, rotated_bf16=turned_bf16)


@pytest.mark.golden("vggt.layers.block.Block")
def test_golden_vit_block(case):
    block = case.fill(VitBlock(**case.args))
    pos = case["in_positions"]
    case.check(y=block(case["in_x"], pos), y_small=block(case["in_x_small"], pos))


@pytest.mark.golden("vggt.models.aggregator.Aggregator")
def test_golden_aggregator(case):
    aggregator = case.fill(Aggregator(**case.args))
    layers = aggregator(case["in_images"])
    case.check(**{f"layer_{number}": layer for number, layer in layers.items()})
    last = max(layers)
    assert list(aggregator(case["in_images"], keep=[last])) == [last]


@pytest.mark.golden("vggt.heads.camera_head.CameraHead")
def test_golden_camera_head(case):
    poses = case.fill(CameraHead(**case.args))(case["in_tokens"])
    case.check(**{f"iteration_{number}": pose for number, pose in enumerate(poses)})


@pytest.mark.golden("vggt.utils.pose_enc.pose_encoding_to_extri_intri")
def test_golden_camera_from_pose(case):
    extrinsics, intrinsics = camera_from_pose(case["in_pose"], *case.args["image_size_hw"])
    case.check(extrinsics=extrinsics, intrinsics=intrinsics)


@pytest.mark.golden("vggt.heads.dpt_head.DPTHead")
def test_golden_point_head(case):
    args = dict(case.args)
    assert (args.pop("activation"), args.pop("conf_activation")) == ("inv_log", "expp1")
    layers = [case[f"in_tokens_{number}"] for number in args.pop("intermediate_layer_idx")]
    _, height, width = case.entry["input_settings"]
    points, confidence = case.fill(DPTHead(**args))(layers, height, width)
    case.check(points=points, confidence=confidence)


@pytest.mark.golden("vggt.heads.utils.create_uv_grid / position_grid_to_embed")
def test_golden_uv_embedding(case):
    args = case.args
    grid = uv_grid(args["width"], args["height"], args["aspect_ratio"])
    case.check(grid=grid, embedding=uv_embedding(grid, args["embed_dim"]))


@pytest.mark.golden("dinov2.models.vision_transformer.DinoVisionTransformer")
def test_golden_dinov2(case):
    model = case.fill(dino(case.args))
    outputs = {}
    for number, image in enumerate(case.inputs("in_image_")):
        tokens = model(image)
        outputs |= {
            f"prenorm_{number}": tokens.prenorm,
            f"normed_{number}": tokens.normed,
            f"feature_{number}": tokens.feature,
        }
    case.check(**outputs)


@pytest.mark.golden("vggt.layers.vision_transformer.DinoVisionTransformer")
def test_golden_vit_of_vggt(case):
    tokens = case.fill(dino(case.args))(case["in_image_0"])
    special = 1 + case.args["num_register_tokens"]
    case.check(prenorm=tokens.prenorm, patchtokens=tokens.normed[:, special:])
