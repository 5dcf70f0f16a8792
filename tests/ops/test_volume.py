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
