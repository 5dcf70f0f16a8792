# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What happens to photos before the networks, against the original code."""

import numpy as np
import pytest
import torch

from photocast.nets.dinov2 import DinoVisionTransformer, normalize_colors
from photocast.nets.photo_input import (
    crop_to_object,
    image_features,
    matted,
    photo_tensor,
    saliency_mask,
)
from photocast.nets.vggt import Aggregator

PIPELINE = "trellis.pipelines.trellis_image_to_3d"
NOT_OURS = ("ffn_layer", "block_chunks", "interpolate_offset")


@pytest.mark.golden(f"{PIPELINE}.TrellisImageTo3DPipeline.preprocess_image")
def test_golden_crop(case):
    seen = []

    def mask_of(picture):
        seen.extend(picture.shape[1::-1])
        return case.arrays["in_mask"] > 0

    image = crop_to_object(matted(case.arrays["in_image"], mask_of), case.args["resolution"])
    assert seen == case.entry.get("facts", {}).get("size_seen_by_matting", [])
    case.check(image=image)


@pytest.mark.golden(f"{PIPELINE}.TrellisImageTo3DPipeline._get_birefnet_mask")
def test_golden_matting_mask(case):
    inputs = []

    def network(t):
        inputs.append(t)
        return 4 * t.mean(dim=1, keepdim=True)

    mask = saliency_mask(case.arrays["in_image"], network)
    case.check(mask=mask.astype(np.uint8), network_input_strided=inputs[0][:, :, 5::64, 9::64])


@pytest.mark.golden(f"{PIPELINE}.TrellisVGGTTo3DPipeline.encode_image")
def test_golden_image_features(case):
    args = {name: value for name, value in case.args.items() if name not in NOT_OURS}
    model = case.fill(DinoVisionTransformer(**args))
    images = photo_tensor(case.arrays["in_images"], case.entry["input_args"]["resolution"])
    prenorm = model(normalize_colors(images)).prenorm
    case.check(features=image_features(model, images), features_without_norm=prenorm)


@pytest.mark.golden(f"{PIPELINE}.TrellisVGGTTo3DPipeline.vggt_feat")
def test_golden_aggregated_photos(case):
    images = photo_tensor(case.arrays["in_images"], case.entry["input_args"]["resolution"])
    layers = case.fill(Aggregator(**case.args))(images[None])
    case.check(images=images, layer_last=layers[max(layers)])
    assert torch.isfinite(layers[0]).all()
