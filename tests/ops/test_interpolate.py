# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.testing import assert_close

from photocast.ops.determinism import deterministic
from photocast.ops.interpolate import interpolate, interpolate_twin, interpolate_with_slopes
from photocast.ops.rasterize import Raster, rasterize


def doubled(raster):
    return Raster(*(x.double() if x.is_floating_point() else x for x in raster))


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_values_slopes_and_gradients_match_the_twin(soup, device, batched, channels):
    clip, faces = soup(channels)
    random = torch.Generator().manual_seed(channels)
    raster = rasterize(clip, faces, (19, 33))
    attributes = torch.randn((*((2,) if batched else ()), 14, channels), generator=random)

    fast_in = attributes.to(device).requires_grad_()
    fast_bary = raster.bary.to(device).requires_grad_()
    here = Raster(fast_bary, *(x.to(device) for x in raster[1:]))
    fast, fast_slopes = interpolate_with_slopes(fast_in, here, faces.to(device))

    slow_in = attributes.double().requires_grad_()
    wide = doubled(raster)
    slow_bary = wide.bary.requires_grad_()
    slow, slow_slopes = interpolate_twin(slow_in, wide._replace(bary=slow_bary), faces)

    assert_close(fast.cpu().double(), slow, rtol=1e-5, atol=1e-6)
    assert_close(fast_slopes.cpu().double(), slow_slopes, rtol=1e-5, atol=1e-6)
    upstream = torch.randn(slow.shape, generator=random)
    got = torch.autograd.grad(fast, [fast_in, fast_bary], upstream.to(device))
    want = torch.autograd.grad(slow, [slow_in, slow_bary], upstream.double())
    for a, b in zip(got, want, strict=True):
        assert b.abs().max() > 0.1
        assert_close(a.cpu().double(), b, rtol=1e-4, atol=1e-4)


def test_twin_matches_finite_differences(soup):
    clip, faces = soup(1)
    raster = doubled(rasterize(clip, faces, (5, 6)))
    attributes = torch.randn((2, 14, 2), dtype=torch.float64, requires_grad=True)

    def values(a, bary):
        return interpolate_twin(a, raster._replace(bary=bary), faces)[0]

    assert torch.autograd.gradcheck(values, (attributes, raster.bary.requires_grad_()))


def test_a_linear_function_of_the_clip_position_is_reproduced(torus):
    clip, faces = torus(14, 9)
    raster = rasterize(clip, faces, (70, 90))
    xyw, slopes = interpolate_with_slopes(clip[..., [0, 1, 3]].contiguous(), raster, faces)
    y, x = torch.meshgrid(torch.arange(70) + 0.5, torch.arange(90) + 0.5, indexing="ij")
    hit = raster.face >= 0
    screen = xyw[..., :2] / xyw[..., 2:]
    expected = torch.stack([x / 45 - 1, y / 35 - 1], -1).expand_as(screen)
    assert_close(screen[hit], expected[hit], rtol=0, atol=1e-5)
    # d(x/w)/d(pixel) = (x' - (x/w) w')/w is one pixel: 2/width, and 0 across.
    turn = (slopes[..., :2, :] - screen[..., None] * slopes[..., 2:, :]) / xyw[..., 2:, None]
    pixel = torch.tensor([[1 / 45, 0], [0, 1 / 35]]).expand(int(hit.sum()), 2, 2)
    assert_close(turn[hit], pixel, rtol=0, atol=1e-5)


def test_another_index_buffer_in_the_same_face_order_is_used():
    clip = torch.tensor([[[-1, -1, 0, 1.0], [3, -1, 0, 1], [-1, 3, 0, 1]]])
    raster = rasterize(clip, torch.tensor([[0, 1, 2]], dtype=torch.int32), (4, 4))
    values = interpolate(torch.tensor([[5.0], [7.0]]), raster, torch.tensor([[1, 1, 1]]).int())
    assert_close(values, torch.full((1, 4, 4, 1), 7.0))


def test_chain_to_the_vertices_matches_a_central_difference(torus):
    clip, faces = torus(10, 7)
    random = torch.Generator().manual_seed(5)
    attributes = torch.randn((70, 3), generator=random)
    size, step = (33, 41), 1e-4
    direction = torch.randn(clip.shape, generator=random) * torch.tensor([1, 1, 0, 0.3])
    kept = [rasterize(clip + s * direction, faces, size).face for s in (-step, 0, step)]
    stable = ((kept[0] == kept[1]) & (kept[1] == kept[2]))[..., None]  # silhouettes masked
    upstream = torch.randn((2, *size, 3), generator=random) * stable

    def loss(points):
        return (interpolate(attributes, rasterize(points, faces, size), faces) * upstream).sum()

    points = clip.clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(points), points)
    slope = (loss(clip + step * direction) - loss(clip - step * direction)) / (2 * step)
    assert_close((grad * direction).sum(), slope, rtol=1e-2, atol=0.0)


@pytest.mark.parametrize("count", [0, 3])
def test_without_faces_the_image_is_zero(device, count):
    none = torch.empty((0, 3), dtype=torch.int32, device=device)
    raster = rasterize(torch.zeros((1, count, 4), device=device), none, (3, 5))
    attributes = torch.ones((count, 2), device=device, requires_grad=True)
    values = interpolate(attributes, raster, none)
    assert values.shape == (1, 3, 5, 2)
    assert not values.any()
    (grad,) = torch.autograd.grad(values.sum(), attributes)
    assert grad.shape == (count, 2)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 9])
def test_columns_and_wide_tables_give_the_same_gradients(torus, monkeypatch, channels, exact):
    clip, faces = torus(14, 9)  # 21 rows: a thread's eight reach into the next view
    clip.requires_grad_()
    random = torch.Generator().manual_seed(channels)
    attributes = torch.randn((126, channels), generator=random).requires_grad_()
    upstream = torch.randn((2, 21, 50, channels), generator=random)
    slope = torch.randn((2, 21, 50), generator=random)

    def gradients():
        raster = rasterize(clip, faces, (21, 50))
        values = interpolate(attributes, raster, faces)
        wanted = [attributes, raster.bary, clip]
        with deterministic(exact):
            return torch.autograd.grad([values, raster.depth], wanted, [upstream, slope])

    rows = gradients()
    with monkeypatch.context() as patch:  # what CUDA does
        patch.setattr("photocast.ops._launch._tile", lambda *_: (1, 8))
        patch.setattr("photocast.ops._launch._table_width", lambda n, _: -(-n // 4) * 4)
        columns = gradients()
    assert torch.equal(rows[1], columns[1])
    for a, b in zip(rows, columns, strict=True):
        assert a.abs().max() > 1
        assert_close(a, b, rtol=1e-4, atol=1e-4 * float(a.abs().max()))


def test_two_runs_agree_to_the_last_bit(torus):
    clip, faces = torus(30, 20)
    raster = rasterize(clip, faces, (130, 101))
    attributes = torch.linspace(-1, 1, 1800).view(600, 3)
    upstream = torch.linspace(-1, 1, 2 * 130 * 101 * 3).view(2, 130, 101, 3)
    runs = []
    for _ in range(2):
        a = attributes.clone().requires_grad_()
        runs.append(torch.autograd.grad((interpolate(a, raster, faces) * upstream).sum(), a)[0])
    assert torch.equal(*runs)


def test_a_bad_argument_is_named(torus):
    clip, faces = torus(5, 4)
    raster = rasterize(clip, faces, (3, 4))
    with pytest.raises(ValueError, match=r"attributes is torch.float32 of shape \(20,\)"):
        interpolate(torch.zeros(20), raster, faces)
    with pytest.raises(
        ValueError, match=r"attributes is .* shape \(3, 20, 1\); .* \(2, any, any\)"
    ):
        interpolate(torch.zeros((3, 20, 1)), raster, faces)
    with pytest.raises(ValueError, match="faces has indices from 0 to 19; there are 19"):
        interpolate(torch.zeros((19, 1)), raster, faces)
    with pytest.raises(ValueError, match=r"raster.bary"):
        interpolate(torch.zeros((20, 1)), raster._replace(bary=raster.bary[..., :1]), faces)
