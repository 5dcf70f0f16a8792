# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The volume renderer against its twin, and what a training step may and may not do."""

import pytest
import torch

from photocast.ops.volume import (
    Adam,
    LossTerms,
    PixelBank,
    VolumeGrid,
    render_volume,
    render_volume_twin,
    upsample,
)

SHARPNESS = 2.0


def sphere_values(size=(13, 12, 11), radius=3.5, seed=0):
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    distance = (x.square() + y.square() + z.square()).sqrt() - radius
    generator = torch.Generator().manual_seed(seed)
    colors = torch.rand(*size, 3, generator=generator)
    return torch.cat([colors, distance[..., None]], -1)


def rays(count, size=(13, 12, 11), seed=1):
    generator = torch.Generator().manual_seed(seed)
    center = (torch.tensor(size) - 1) / 2
    outward = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    origins = center + 14 * outward
    targets = center + 3 * torch.randn(count, 3, generator=generator)
    return origins, targets - origins


def test_value_and_gradient_match_the_twin(device):
    values = sphere_values()
    origins, directions = rays(64)
    fast_values = values.to(device).requires_grad_()
    grid = VolumeGrid(fast_values, step=0.7)
    fast = render_volume(grid, origins.to(device), directions.to(device), sharpness=SHARPNESS)
    slow_values = values.double().requires_grad_()
    slow = render_volume_twin(
        slow_values, origins.double(), directions.double(), sharpness=SHARPNESS, step=0.7
    )
    # the kernel stops at a transmittance of 4e-3
    torch.testing.assert_close(fast.double().cpu(), slow, rtol=0, atol=5e-3)
    upstream = torch.randn(slow.shape, generator=torch.Generator().manual_seed(2))
    (grad,) = torch.autograd.grad(fast, fast_values, upstream.to(device))
    (grad64,) = torch.autograd.grad(slow, slow_values, upstream.double())
    error = (grad.double().cpu() - grad64).norm() / grad64.norm()
    assert error < 0.01


def test_the_twin_agrees_with_finite_differences():
    values = sphere_values((6, 6, 6), 1.7).double().requires_grad_()
    origins, directions = (part.double() for part in rays(3, (6, 6, 6)))
    assert torch.autograd.gradcheck(
        lambda v: render_volume_twin(v, origins, directions, sharpness=1.5, step=0.9),
        values,
        eps=1e-6,
        atol=1e-5,
    )


def test_empty_blocks_are_skipped_without_changing_the_picture():
    values = sphere_values((40, 40, 40), 12.0)
    values[..., 3].clamp_(-3, 3)
    origins, directions = rays(200, (40, 40, 40))
    grid = VolumeGrid(values)
    everything = render_volume(grid, origins, directions, sharpness=4.0)
    grid.focus(2.99)
    assert grid.occupied.float().mean() < 0.7
    focused = render_volume(grid, origins, directions, sharpness=4.0)
    # samples shift by less than a step where a ray leaves an empty block
    assert (everything - focused).abs().max() < 0.1
    torch.testing.assert_close(everything[:, 3].mean(), focused[:, 3].mean(), atol=2e-3, rtol=0)


def test_a_ray_that_misses_the_grid_sees_nothing():
    grid = VolumeGrid(sphere_values())
    away = render_volume(
        grid, torch.tensor([[-5.0, 0, 0]]), torch.tensor([[0.0, 1, 0]]), sharpness=2.0
    )
    assert (away == 0).all()


def bank_of_one_color(color, size=16):
    rgba = torch.tensor([*color, 255], dtype=torch.uint8).repeat(size * size, 1)
    # looking along +z at the middle of a 13-vertex grid, two pixels per voxel
    direction = torch.tensor([[[0.02, 0, -0.16], [0, 0.02, -0.16], [0, 0, 1.0]]])
    return PixelBank(
        rgba,
        torch.zeros(1, dtype=torch.int64),
        torch.tensor([size], dtype=torch.int32),
        torch.tensor([[6.0, 5.5, -20.0]]),
        direction,
    )


def test_training_learns_the_color_of_the_photo():
    grid = VolumeGrid(sphere_values())
    bank = bank_of_one_color((255, 0, 128))
    pixels = torch.arange(16 * 16)
    errors = [
        float(
            grid.train(
                bank, pixels, sharpness=4.0, loss=LossTerms(), adam=Adam(rate_color=0.05), seed=i
            ).mean()
        )
        for i in range(40)
    ]
    assert errors[-1] < 0.05 * errors[0]


def test_two_runs_on_the_cpu_are_bit_equal():
    results = []
    for _ in range(2):
        grid = VolumeGrid(sphere_values())
        bank = bank_of_one_color((10, 200, 30))
        for i in range(5):
            grid.train(
                bank,
                torch.arange(256),
                sharpness=2.0,
                loss=LossTerms(),
                adam=Adam(),
                seed=i,
            )
        results.append(grid.values.clone())
    assert torch.equal(*results)


def test_a_spoiled_gradient_moves_nothing():
    grid = VolumeGrid(sphere_values())
    grid.grads[:, 5] = float("nan")
    grid.train(
        bank_of_one_color((0, 0, 0)),
        torch.arange(4),
        sharpness=2.0,
        loss=LossTerms(),
        adam=Adam(),
        seed=0,
    )
    assert torch.isfinite(grid.values).all()
    assert (grid.grads == 0).all()


def test_measured_distances_pull_the_surface():
    values = sphere_values(radius=3.5)
    measured = values[..., 3] + 0.8  # a smaller sphere
    anchor = torch.stack([measured, torch.ones_like(measured)], -1)
    grid = VolumeGrid(values.clone(), measured=anchor)
    before = (grid.values[..., 3] - measured).abs()
    for i in range(30):
        grid.train(
            bank_of_one_color((0, 0, 0)),
            torch.arange(1),
            sharpness=2.0,
            loss=LossTerms(alpha_weight=0.0),
            adam=Adam(anchor=1.0, eikonal=0.0, smooth=0.0),
            seed=i,
        )
    near = measured.abs() < 2
    after = (grid.values[..., 3] - measured).abs()
    assert after[near].mean() < 0.3 * before[near].mean()


def dented_and_seen_from_below(**adam):
    """Distances of a noisy sphere after it was shown one colour."""
    values = sphere_values((13, 13, 13), 4.0)
    noise = torch.randn(values.shape[:3], generator=torch.Generator().manual_seed(3))
    values[..., 3] += 0.3 * noise
    grid = VolumeGrid(values.clone())
    middle = torch.arange(256).view(16, 16)[5:11, 5:11].flatten()  # none passes beside it
    for i in range(20):
        grid.train(
            bank_of_one_color((200, 200, 200)),
            middle,
            sharpness=4.0,
            loss=LossTerms(alpha_weight=0.0),
            adam=Adam(rate_color=0.1, eikonal=0.0, smooth=0.0, **adam),
            seed=i,
        )
    return grid.values[..., 3]


def roughness(distance):
    inner = distance[1:-1, 1:-1, 1:-1]
    around = sum(torch.roll(distance, shift, axis) for axis in range(3) for shift in (1, -1)) / 6
    return (inner - around[1:-1, 1:-1, 1:-1]).abs()[5:7, 5:7, :5]  # where the camera looks


def test_plain_places_are_smoothed_where_they_are_seen_and_left_alone_where_not():
    free = dented_and_seen_from_below()
    smooth = dented_and_seen_from_below(smooth_plain=1.0, plain=10.0)  # all counts as plain
    patterned = dented_and_seen_from_below(smooth_plain=1.0, plain=0.0)
    assert roughness(smooth).mean() < 0.6 * roughness(free).mean()
    assert torch.equal(patterned, free)
    assert torch.equal(smooth[:, :, 9:], free[:, :, 9:])


def test_upsampling_keeps_linear_fields_exact():
    axes = torch.meshgrid(*(torch.arange(4.0),) * 3, indexing="ij")
    field = (axes[0] + 2 * axes[1] - axes[2])[..., None]
    fine = upsample(field)
    assert fine.shape == (7, 7, 7, 1)
    half = torch.meshgrid(*(torch.arange(7.0) / 2,) * 3, indexing="ij")
    torch.testing.assert_close(fine[..., 0], half[0] + 2 * half[1] - half[2])


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4, 4, 3), (1, 4, 4, 4)])
def test_a_wrong_grid_is_refused(shape):
    with pytest.raises(ValueError, match="nx, ny, nz, 4"):
        VolumeGrid(torch.zeros(shape))


def render_soft_twin(values, origins, directions, *, step):
    """Optical thickness of a segment: its length times the density between its ends."""
    unit = directions / directions.norm(dim=-1, keepdim=True)
    top = torch.tensor(values.shape[:3], dtype=values.dtype) - 1
    a, b = -origins / unit, (top - origins) / unit
    start, stop = torch.minimum(a, b).amax(-1).clamp(min=0), torch.maximum(a, b).amin(-1)
    count = int(((stop - start).max() / step).ceil()) + 1
    t = start[:, None] + step * torch.arange(count, dtype=values.dtype)
    inside = t < stop[:, None]
    points = origins[:, None] + unit[:, None] * t[..., None]
    at = (2 * points / top - 1).flip(-1)[None, :, :, None]
    sample = torch.nn.functional.grid_sample(
        values.permute(3, 0, 1, 2)[None],
        at.permute(0, 3, 1, 2, 4),
        align_corners=True,
        padding_mode="border",
    )[0, :, 0].permute(1, 2, 0)  # ray sample channel
    logs = (sample[:, :-1, 3] + sample[:, 1:, 3]) / 2
    alpha = torch.where(inside[:, 1:], 1 - (-step * (-logs).exp()).exp(), 0)
    left = torch.cat([torch.ones_like(alpha[:, :1]), (1 - alpha).cumprod(1)[:, :-1]], 1)
    color = (sample[:, :-1, :3] + sample[:, 1:, :3]) / 2
    whole = torch.cat([color, torch.ones_like(color[..., :1])], -1)
    return ((left * alpha)[..., None] * whole).sum(1)


def soft_values(size=(13, 12, 11)):
    random = torch.Generator().manual_seed(3)
    values = torch.rand(*size, 4, generator=random)
    values[..., 3] = 1.5 + 2.5 * values[..., 3]  # thin enough that rays leave again
    return values


def test_a_soft_grid_and_its_gradient_match_the_twin(device):
    values = soft_values()
    origins, directions = rays(48)
    leaf = values.to(device).requires_grad_()
    grid = VolumeGrid(leaf, step=0.7, soft=True)
    fast = render_volume(grid, origins.to(device), directions.to(device), sharpness=1.0)
    exact = values.double().requires_grad_()
    slow = render_soft_twin(exact, origins.double(), directions.double(), step=0.7)
    assert 0.2 < slow[:, 3].mean() < 0.95
    torch.testing.assert_close(fast.double().cpu(), slow, rtol=0, atol=5e-3)
    upstream = torch.randn(slow.shape, generator=torch.Generator().manual_seed(2))
    (grad,) = torch.autograd.grad(fast, leaf, upstream.to(device))
    (grad64,) = torch.autograd.grad(slow, exact, upstream.double())
    error = (grad.double().cpu() - grad64).norm() / grad64.norm()
    assert error < 0.01


def test_the_soft_twin_agrees_with_finite_differences():
    values = soft_values((5, 5, 5)).double().requires_grad_()
    origins, directions = (part.double() for part in rays(3, (5, 5, 5)))
    assert torch.autograd.gradcheck(
        lambda v: render_soft_twin(v, origins, directions, step=0.9), values, eps=1e-6, atol=1e-6
    )


def test_fog_dims_light_as_beer_and_lambert_say(device):
    density, length = 0.08, 12.0
    values = torch.full((13, 13, 13, 4), 0.5, device=device)
    values[..., 3] = -torch.tensor(density).log()
    grid = VolumeGrid(values, step=0.5, soft=True)
    ray = (
        torch.tensor([[-4.0, 6.1, 5.9]], device=device),
        torch.tensor([[1.0, 0, 0]], device=device),
    )
    seen = render_volume(grid, *ray, sharpness=1.0)[0].cpu()
    covered = 1 - torch.tensor(-density * length).exp()
    torch.testing.assert_close(seen[3], covered, rtol=0.05, atol=0)
    torch.testing.assert_close(seen[:3], (0.5 * seen[3]).expand(3))


def ahead(color=(255, 0, 128), size=16):
    bank = bank_of_one_color(color, size)
    return bank, torch.arange(size * size)


def test_what_arrives_falls_along_the_ray_and_is_nothing_behind_a_wall(device):
    bank, pixels = ahead()
    bank = PixelBank(*(getattr(bank, name).to(device) for name in PixelBank.__slots__))
    pixels = pixels.to(device)
    density = 0.1
    values = torch.full((13, 12, 11, 4), 0.5, device=device)
    values[..., 3] = -torch.tensor(density).log()
    fog = VolumeGrid(values.clone(), step=0.5, soft=True).arriving(bank, pixels)
    middle = fog[6, 5].cpu()
    wanted = (-density * torch.arange(11.0)).exp()
    torch.testing.assert_close(middle, wanted, rtol=0.08, atol=0)
    values[:, :, 6:, 3] = -3.0  # a dense wall
    wall = VolumeGrid(values, step=0.5, soft=True).arriving(bank, pixels)[6, 5].cpu()
    torch.testing.assert_close(wall[:5], middle[:5], rtol=0.05, atol=0)
    assert wall[8:].max() < 0.05


def test_nothing_arrives_where_no_chosen_ray_passes():
    bank, pixels = ahead()
    values = torch.full((13, 12, 11, 4), 3.0)
    grid = VolumeGrid(values, step=0.5, soft=True)
    left = grid.arriving(bank, pixels[pixels % 16 < 4])  # the four left columns look at small x
    assert left[:5, 5].max() > 0.5
    assert not left[9:].any()


def shiny_grid(seed=4):
    grid = VolumeGrid(sphere_values(), shiny=True)
    random = torch.Generator().manual_seed(seed)
    grid.shine.copy_(0.1 * torch.randn(grid.shine.shape, generator=random))
    return grid


FREEZE = Adam(
    rate_color=0.0, rate_distance=0.0, rate_shine=0.0, beta1=0.0, matte=0.0, eikonal=0.0, smooth=0.0
)


def squares(grid, weight=0.0):
    """Squared colour error of each ray; nothing moves."""
    bank, pixels = ahead((90, 160, 40))
    loss = LossTerms(color_scale=1e4, alpha_weight=weight)
    error = grid.train(bank, pixels, sharpness=SHARPNESS, loss=loss, adam=FREEZE, seed=0)
    return error.double()


def test_the_gradient_of_colour_that_depends_on_the_view_matches_finite_differences():
    """With a wide scale the loss is half the squared error; beta1 = 0 keeps the last gradient."""
    grid = shiny_grid()
    squares(grid)
    grad = grid._shine_moments[0].double()
    assert grad.abs().max() > 0
    start, random = grid.shine.clone(), torch.Generator().manual_seed(5)
    for _ in range(3):
        way = torch.randn(start.shape, generator=random)
        ends = []
        for sign in (1, -1):
            grid.shine.copy_(start + sign * 0.05 * way)
            ends.append(float(squares(grid).sum()) / 2)
        grid.shine.copy_(start)
        slope = (ends[0] - ends[1]) / 0.1
        assert float((grad * way).sum()) == pytest.approx(slope, rel=2e-3)


def test_colour_that_depends_on_the_view_learns_what_one_colour_cannot():
    """Two photos from opposite slants show the same wall in different colours."""
    size = 16
    rgba = torch.tensor([[255, 0, 0, 255], [0, 0, 255, 255]], dtype=torch.uint8)
    bank = PixelBank(
        rgba.repeat_interleave(size * size, 0),
        torch.tensor([0, size * size]),
        torch.tensor([size, size], dtype=torch.int32),
        torch.tensor([[-8.0, 6, -14], [20.0, 6, -14]]),
        torch.stack([torch.tensor([[0.02, 0, s * 0.7 - 0.16], [0, 0.02, -0.16], [0, 0, 1.0]])
                     for s in (1, -1)]),
    )  # fmt: skip

    def learn(shiny):
        values = torch.full((13, 13, 13, 4), 0.5)
        values[..., 3] = 6.3 - torch.arange(13.0)  # a wall at z = 6.3
        grid = VolumeGrid(values, shiny=shiny)
        adam = Adam(rate_distance=0.0, rate_shine=0.03, matte=0.0)
        for step in range(150):
            error = grid.train(
                bank, torch.arange(2 * size * size), sharpness=4.0, loss=LossTerms(), adam=adam,
                seed=step,
            )  # fmt: skip
        return float(error.mean()), grid

    blind, _ = learn(False)
    seeing, grid = learn(True)
    assert blind > 0.15
    assert seeing < 0.2 * blind
    assert grid.shine.abs().max() > 0.1


def test_without_a_cause_colour_forgets_the_view():
    grid = shiny_grid()
    before = float(grid.shine.abs().sum())
    bank, pixels = ahead()
    adam = Adam(rate_shine=0.1, matte=1.0, epsilon=1e9)  # the pull alone
    for _ in range(10):
        grid.train(bank, pixels, sharpness=SHARPNESS, loss=LossTerms(), adam=adam, seed=0)
    assert float(grid.shine.abs().sum()) == pytest.approx(before * 0.9**10, rel=1e-3)
