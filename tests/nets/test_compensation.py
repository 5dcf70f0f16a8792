# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Views that are far off are not listened to, and nothing is destroyed where all are."""

import torch

from photocast.config import CompensationConfig
from photocast.nets.compensation import compensate_views, resized_targets
from photocast.nets.samplers import FlowState
from photocast.nets.ssim import ssim


def setting():
    torch.manual_seed(0)
    x, v = torch.randn(5, 8), torch.randn(5, 8)
    targets = resized_targets(torch.rand(2, 3, 16, 16), 24)

    def render(clean):
        return torch.sigmoid(clean.mean()) * torch.ones_like(targets)

    return x, v, render, targets


def test_where_every_view_is_far_off_the_velocity_stays():
    x, v, render, targets = setting()
    config = CompensationConfig(worst=0.0)
    moved, losses = compensate_views(x, v, FlowState(0.4), render, targets, config)
    assert moved.equal(v)
    assert len(losses) == 1


def test_listening_lowers_the_loss():
    x, v, render, targets = setting()
    targets = torch.full_like(targets, 0.9)  # brighter than what is drawn: a way to go
    config = CompensationConfig(worst=10.0, iterations=20)
    moved, losses = compensate_views(x, v, FlowState(0.4), render, targets, config)
    assert not moved.equal(v)
    assert losses[-1].mean() < losses[0].mean()


def test_a_gradient_that_is_no_number_ends_the_descent_and_destroys_nothing():
    x, v, render, targets = setting()
    config = CompensationConfig(worst=10.0)

    def torn(clean):
        return render(clean) + 0 * (clean - clean.detach()).sum().sqrt()  # slope inf at 0, times 0

    moved, losses = compensate_views(x, v, FlowState(0.4), torn, targets, config)
    assert len(losses) == 1
    assert moved.equal(v)


def test_equal_images_are_fully_similar():
    image = torch.rand(2, 3, 20, 20)
    torch.testing.assert_close(ssim(image, image), torch.ones(2))
    assert (ssim(image, 1 - image) < 0.5).all()
