# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from photocast.data.grid_frame import GridFrame
from photocast.stages.pixel_bank import foreground
from photocast.stages.rays import Rays

CPU = torch.device("cpu")
FRAME = GridFrame.around(np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]), 40)


@pytest.fixture(scope="module")
def photos(photograph, textured_sphere):
    return photograph(textured_sphere, count=4, size=40)


def looking(photos, seed=0):
    rays = Rays(photos, seed, CPU)
    rays.focus(FRAME)
    return rays


def test_all_foreground_pixels_come_once_before_any_comes_again(photos):
    rays = looking(photos)
    pixels = set(foreground(rays.bank).tolist())
    count = len(pixels) // 16 // 5 * 16  # five draws, less what does not fill a patch
    drawn = torch.cat([rays.draw(count) for _ in range(5)]).tolist()
    assert len(set(drawn)) == len(drawn) == 5 * count
    assert set(drawn) <= pixels


def test_a_draw_mixes_photos_and_keeps_neighbours_together(photos):
    rays = looking(photos)
    drawn = rays.draw(512)
    assert len(drawn) == 512
    views = torch.bucketize(drawn, rays.bank.first, right=True) - 1
    assert len(views.unique()) == 4
    patches = drawn.view(-1, 16)
    assert (
        (patches.amax(1) - patches.amin(1)) < 8 * int(rays.bank.width.max())
    ).float().mean() > 0.8


def test_the_order_follows_the_seed(photos):
    first, again, other = (looking(photos, seed).draw(256) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_asking_for_more_than_there_is_gives_everything_once(photos):
    rays = looking(photos)
    drawn = rays.draw(10**9)
    assert len(drawn.unique()) == len(drawn)
    assert len(drawn) > len(foreground(rays.bank)) - 16


def test_another_grid_resamples_the_photos(photos):
    rays = looking(photos)
    fine = len(rays.bank.rgba)
    rays.focus(GridFrame.around(np.array([[-1.0] * 3, [1.0] * 3]), 12))
    assert len(rays.bank.rgba) < 0.6 * fine
    assert int(rays.draw(10**9).max()) < len(rays.bank.rgba)
