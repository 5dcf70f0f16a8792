# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.testing import assert_close

from photocast.ops.photo_loss import photo_loss, photo_loss_twin


def pictures(seed):
    """Three drawn pictures of 9 x 7 pixels and their photos, of which parts are known."""
    random = torch.Generator().manual_seed(seed)
    cover = torch.rand(3, 9, 7, 1, generator=random)
    cover = torch.where(cover < 0.3, 0.0, cover)  # much of a picture shows nothing
    light = torch.rand(3, 9, 7, 3, generator=random) ** 4 * cover
    truth = torch.randint(0, 256, (3, 9, 7, 4), generator=random, dtype=torch.uint8)
    gain = torch.rand(3, 3, generator=random) + 0.5
    inside = torch.tensor([[9.0, 7.0], [5.0, 7.0], [9.0, 2.0]])
    return torch.cat([light, cover], -1), gain, truth, inside


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_are_those_of_the_twin(seed, device):
    drawn, gain, truth, inside = pictures(seed)
    exact = drawn.double().requires_grad_()
    wanted, square_wanted = photo_loss_twin(exact, gain.double(), truth, inside.double())
    (wanted * 0.25).backward()
    leaf = drawn.to(device).requires_grad_()
    total, square = photo_loss(leaf, gain.to(device), truth.to(device), inside.to(device))
    (total * 0.25).backward()
    assert_close(total.cpu().double(), wanted, rtol=1e-5, atol=0)
    assert_close(square.cpu().double(), square_wanted, rtol=1e-5, atol=0)
    assert_close(leaf.grad.cpu().double(), exact.grad, rtol=1e-3, atol=1e-4)


def test_what_is_not_known_of_a_photo_pulls_on_nothing():
    drawn, gain, truth, inside = pictures(3)
    drawn.requires_grad_()
    photo_loss(drawn, gain, truth, inside)[0].backward()
    assert not drawn.grad[1, 5:].any()
    assert not drawn.grad[2, :, 2:].any()
    assert drawn.grad[0].any()


def test_a_picture_like_its_photo_has_no_error():
    truth = torch.randint(0, 256, (1, 4, 4, 4), dtype=torch.uint8)
    truth[..., 3] = 255
    code = truth[..., :3].float() / 255
    light = torch.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    drawn = torch.cat([light, torch.ones(1, 4, 4, 1)], -1)
    _, square = photo_loss(drawn, torch.ones(1, 3), truth, torch.tensor([[4.0, 4.0]]))
    assert float(square) < 1e-10
