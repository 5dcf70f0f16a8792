# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.testing import assert_close

from photocast.ops.texture import mip_pyramid, mip_pyramid_twin, texture, texture_twin

SIZES = [(1, 1), (1, 9), (13, 1), (16, 16), (7, 5), (33, 20)]


def inputs(seed, size, channels=3):
    random = torch.Generator().manual_seed(seed)
    image = torch.rand((*size, channels), generator=random)
    uv = torch.rand((2, 9, 6, 2), generator=random) * 1.4 - 0.2  # beyond the border too
    uv_da = torch.randn((2, 9, 6, 2, 2), generator=random) * 0.15
    uv_da[0, 0, :3] = 0
    mask = torch.randint(-1, 2, (2, 9, 6), generator=random, dtype=torch.int32)
    return image, uv, uv_da, mask, random


@pytest.mark.parametrize("size", SIZES)
def test_every_level_and_its_gradient_match_the_twin(device, size):
    image, _, _, _, random = inputs(0, size)
    fast_in, slow_in = image.to(device).requires_grad_(), image.double().requires_grad_()
    fast, slow = mip_pyramid(fast_in), mip_pyramid_twin(slow_in)
    assert [level.shape for level in fast.levels] == [level.shape for level in slow]
    for a, b in zip(fast.levels, slow, strict=True):
        assert_close(a.cpu().double(), b, rtol=1e-5, atol=1e-6)
    upstream = [torch.randn(level.shape, generator=random) for level in slow]
    (got,) = torch.autograd.grad(fast.levels, fast_in, [u.to(device) for u in upstream])
    (want,) = torch.autograd.grad(slow, slow_in, [u.double() for u in upstream])
    assert_close(got.cpu().double(), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_every_level_keeps_the_mean(size):
    image, *_ = inputs(1, size)
    pyramid = mip_pyramid(image)
    assert pyramid.sizes[-1] == (1, 1)
    for level in pyramid.levels:
        assert_close(level.mean((0, 1)), image.mean((0, 1)), rtol=1e-5, atol=1e-6)


def test_levels_can_be_limited():
    assert mip_pyramid(torch.rand(8, 6, 1), levels=2).sizes == ((8, 6), (4, 3))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("trilinear", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_look_up_and_its_gradients_match_the_twin(device, size, trilinear, masked):
    image, uv, uv_da, mask, random = inputs(2, size)
    uv_da, mask = uv_da if trilinear else None, mask if masked else None
    fast_in = [image.to(device).requires_grad_(), uv.to(device).requires_grad_()]
    slow_in = [image.double().requires_grad_(), uv.double().requires_grad_()]
    fast = texture(
        mip_pyramid(fast_in[0]) if trilinear else fast_in[0],
        fast_in[1],
        None if uv_da is None else uv_da.to(device),
        None if mask is None else mask.to(device),
    )
    slow = texture_twin(
        mip_pyramid_twin(slow_in[0]),
        slow_in[1],
        None if uv_da is None else uv_da.double(),
        mask,
    )
    assert_close(fast.cpu().double(), slow, rtol=1e-5, atol=2e-6)
    upstream = torch.randn(slow.shape, generator=random)
    got = torch.autograd.grad(fast, fast_in, upstream.to(device))
    want = torch.autograd.grad(slow, slow_in, upstream.double())
    for a, b in zip(got, want, strict=True):
        assert_close(a.cpu().double(), b, rtol=1e-4, atol=2e-5)


def test_twins_match_finite_differences():
    image, uv, uv_da, mask, _ = inputs(3, (7, 5), channels=1)

    def values(texels, at):
        return texture_twin(mip_pyramid_twin(texels), at, uv_da[:1].double(), mask[:1])

    parts = image.double().requires_grad_(), uv[:1].double().requires_grad_()
    assert torch.autograd.gradcheck(values, parts)


def test_look_up_is_the_adjoint_of_the_texel_gradient(device):
    image, uv, uv_da, _, random = inputs(4, (33, 20))
    image, uv, uv_da = image.to(device), uv.to(device), uv_da.to(device)
    upstream = torch.randn((2, 9, 6, 3), generator=random).to(device)
    texels = image.clone().requires_grad_()
    values = texture(mip_pyramid(texels), uv, uv_da)  # linear in the texels
    (pulled,) = torch.autograd.grad(values, texels, upstream)
    assert_close((values * upstream).sum(), (pulled * image).sum(), rtol=1e-4, atol=1e-4)


def test_texel_centres_return_texels_and_the_border_repeats():
    image = torch.rand(3, 4, 2)
    y, x = torch.meshgrid((torch.arange(3) + 0.5) / 3, (torch.arange(4) + 0.5) / 4, indexing="ij")
    uv = torch.stack([x, y], -1)[None]
    assert_close(texture(image, uv)[0], image)
    outside = torch.tensor([[[[-5.0, -5], [9, -5], [9, 9], [1e9, 0.5]]]])
    expected = torch.stack([image[0, 0], image[0, 3], image[2, 3], image[1, 3]])
    assert_close(texture(image, outside)[0, 0], expected)


def test_level_follows_the_longest_axis_of_the_footprint():
    # A ramp per level would hide it; so mark each level with its own number.
    pyramid = mip_pyramid(torch.zeros(64, 64, 1))
    marked = torch.cat([torch.full((h * w, 1), float(i)) for i, (h, w) in enumerate(pyramid.sizes)])
    pyramid = type(pyramid)(marked, pyramid.sizes)
    uv = torch.full((1, 1, 4, 2), 0.5)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    jacobians = torch.stack(
        [
            torch.tensor([[1.0, 0], [0, 1]]),
            torch.tensor([[4.0, 0], [0, 1]]),
            turn @ torch.diag(torch.tensor([8.0, 2])) @ turn,
            torch.diag(torch.tensor([2.0**0.5, 0])),
        ]
    )
    da = (jacobians / 64)[None, None]
    assert_close(
        texture(pyramid, uv, da).flatten(), torch.tensor([0, 2, 3, 0.5]), rtol=0, atol=1e-5
    )
    sharper = texture(pyramid, uv, da, level_bias=-1.0).flatten()
    assert_close(sharper, torch.tensor([0.0, 1, 2, 0]), rtol=0, atol=1e-5)


def test_masked_and_not_finite_coordinates_are_safe():
    image = torch.rand(5, 6, 1, requires_grad=True)
    uv = torch.full((1, 1, 3, 2), float("nan"))
    uv[0, 0, 2] = float("inf")
    values = texture(image, uv, mask=torch.tensor([[[-1, -1, 0]]], dtype=torch.int32))
    assert not values[0, 0, :2].any()
    assert torch.isfinite(values).all()
    texture(image, uv).sum().backward()  # reads and writes inside the texture only


def test_two_runs_and_any_number_of_parts_agree_to_the_last_bit(monkeypatch):
    image, uv, uv_da, _, random = inputs(5, (33, 20))
    upstream = torch.randn((2, 9, 6, 3), generator=random)
    runs = []
    monkeypatch.setattr("photocast.ops._launch.FEW_PIXELS", 0)
    for parts in (2, 2, 1, 5):
        monkeypatch.setattr("photocast.ops._launch.part_count", lambda device, n=parts: n)
        monkeypatch.setattr("photocast.ops.texture.part_count", lambda device, n=parts: n)
        texels = image.clone().requires_grad_()
        values = texture(mip_pyramid(texels), uv, uv_da)
        runs.append(torch.autograd.grad(values, texels, upstream)[0])
    assert all(torch.equal(runs[0], run) for run in runs[1:])


def test_a_bad_argument_is_named():
    image, uv = torch.zeros(4, 4, 3), torch.zeros(1, 2, 2, 2)
    with pytest.raises(ValueError, match=r"image is torch.float32 of shape \(4, 4\)"):
        mip_pyramid(image[..., 0])
    with pytest.raises(ValueError, match="no axis may be empty"):
        mip_pyramid(image[:0])
    with pytest.raises(ValueError, match="levels is 0"):
        mip_pyramid(image, levels=0)
    with pytest.raises(ValueError, match=r"uv is torch.float32 of shape \(1, 2, 2, 1\)"):
        texture(image, uv[..., :1])
    with pytest.raises(ValueError, match=r"uv_da .* \(1, 2, 2, 2\); .* \(1, 2, 2, 2, 2\)"):
        texture(image, uv, uv)
    with pytest.raises(ValueError, match=r"mask is torch\.int64"):
        texture(image, uv, mask=torch.zeros((1, 2, 2), dtype=torch.int64))
