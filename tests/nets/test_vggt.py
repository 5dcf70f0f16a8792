# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the reference cases leave open: half precision with a vision transformer inside."""

import torch

from photocast.nets.vggt import VGGT


def test_half_precision_reaches_the_vision_transformer_inside():
    torch.manual_seed(0)
    net = VGGT(
        img_size=28, embed_dim=384, depth=24, num_heads=6, patch_embed="dinov2_vits14_reg"
    ).eval()
    images = torch.rand(1, 2, 3, 28, 28)
    with torch.inference_mode():
        full = net.aggregator(images, keep=(4,))[4]
        net.cast(torch.bfloat16)
        half = net.aggregator(images, keep=(4,))[4].float()
    assert 0 < (half - full).norm() / full.norm() < 5e-2
