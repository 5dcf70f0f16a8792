# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The two curves against each other, their published numbers and the 8-bit tables."""

import numpy as np
import torch

from photocast.formats import srgb as codes
from photocast.geometry.srgb import linear_from_srgb, srgb_from_linear


def test_encoding_undoes_decoding_on_every_code():
    value = torch.arange(256, dtype=torch.float64) / 255
    torch.testing.assert_close(srgb_from_linear(linear_from_srgb(value)), value, rtol=0, atol=1e-6)


def test_the_curve_passes_through_published_points_and_never_falls():
    light = linear_from_srgb(torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64))
    expected = torch.tensor([0.0, 0.0031308, 0.2140411, 1.0], dtype=torch.float64)
    torch.testing.assert_close(light, expected, rtol=0, atol=1e-6)
    steps = srgb_from_linear(torch.linspace(0, 1, 5001, dtype=torch.float64)).diff()
    assert (steps > 0).all()


def test_gradients_are_finite_at_black():
    for curve in (linear_from_srgb, srgb_from_linear):
        x = torch.tensor([0.0, 0.001, 1.0], requires_grad=True)
        (grad,) = torch.autograd.grad(curve(x).sum(), x)
        assert torch.isfinite(grad).all()
        assert (grad > 0).all()


def test_it_agrees_with_the_curve_used_for_files():
    light = np.linspace(0, 1, 1000, dtype=np.float32)
    here = srgb_from_linear(torch.from_numpy(light)).numpy() * 255
    assert np.abs(here - codes.srgb_from_linear(light)).max() <= 0.501
