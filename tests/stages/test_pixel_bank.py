# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Packed pixels keep their rays and their colours."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from photocast.data.grid_frame import GridFrame
from photocast.stages.pixel_bank import foreground, pixel_bank, shrink_factor

CPU = torch.device("cpu")
FRAME = GridFrame.around(np.array([[-1.0, -1.0, -1.0], [1.0, 1.1, 0.9]]), 30)


@pytest.fixture(scope="module")
def photos(photograph, textured_sphere):
    first, *rest = photograph(textured_sphere, count=4, size=40)
    crop = replace(first.camera, width=36)  # photos of two sizes
    return [replace(first, camera=crop, rgb=first.rgb[:, :36], mask=first.mask[:, :36]), *rest]


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_the_ray_of_a_pixel_meets_the_points_that_project_there(photos, factor):
    bank = pixel_bank(photos, FRAME, factor, CPU)
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (20, 3))
    for view, photo in enumerate(photos):
        pixels, _ = photo.camera.project(points)
        homogeneous = np.column_stack([factor * pixels, np.ones(len(points))])
        rays = homogeneous @ bank.direction[view].numpy().T
        to_points = (points - FRAME.origin) / FRAME.voxel - bank.origin[view].numpy()
        cosine = (rays * to_points).sum(1)
        cosine /= np.linalg.norm(rays, axis=1) * np.linalg.norm(to_points, axis=1)
        np.testing.assert_allclose(cosine, 1, atol=1e-6)


def test_unshrunk_pixels_are_those_of_the_photos_in_order(photos):
    bank = pixel_bank(photos, FRAME, 1.0, CPU)
    assert bank.width.tolist() == [36, 40, 40, 40]
    for start, photo in zip(bank.first.tolist(), photos, strict=True):
        height, width = photo.mask.shape
        pixels = bank.rgba[start : start + height * width].view(height, width, 4).numpy()
        np.testing.assert_array_equal(pixels[..., :3], photo.rgb)
        np.testing.assert_array_equal(pixels[..., 3], photo.mask)


def test_shrinking_keeps_coverage_and_does_not_mix_in_the_background(photos):
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 1] = 255  # a green background
    mask = np.zeros((40, 40), np.uint8)
    mask[7:29, 9:30] = 255
    red[mask > 0] = (200, 0, 0)
    photo = replace(photos[1], rgb=red, mask=mask)
    rgba = pixel_bank([photo], FRAME, 0.3, CPU).rgba
    assert len(rgba) == 12 * 12
    assert rgba[:, 3].float().mean() == pytest.approx(mask.mean(), rel=0.01)
    seen = rgba[rgba[:, 3] > 0]
    assert (seen[:, :3] == torch.tensor([200, 0, 0], dtype=torch.uint8)).all()


def test_a_photo_without_a_mask_is_opaque(photos):
    bank = pixel_bank([replace(photos[1], mask=None)], FRAME, 1.0, CPU)
    assert (bank.rgba[:, 3] == 255).all()
    assert len(foreground(bank)) == 1600


def test_the_foreground_is_the_masks_and_a_ring_around_them_each_pixel_once(photos):
    bank = pixel_bank(photos, FRAME, 1.0, CPU)
    chosen = foreground(bank)
    assert len(chosen.unique()) == len(chosen)
    marked = torch.zeros(len(bank.rgba), dtype=torch.bool)
    marked[chosen] = True
    for start, photo in zip(bank.first.tolist(), photos, strict=True):
        height, width = photo.mask.shape
        here = marked[start : start + height * width].view(height, width).numpy()
        rows, columns = np.nonzero(photo.mask)
        away = np.maximum(  # Chebyshev distance to the mask, by brute force
            np.abs(np.arange(height)[:, None, None] - rows),
            np.abs(np.arange(width)[None, :, None] - columns),
        ).min(axis=-1)
        np.testing.assert_array_equal(here, away <= 3)


def test_neighbours_in_the_foreground_list_look_at_neighbouring_places(photos):
    bank = pixel_bank(photos, FRAME, 1.0, CPU)
    chosen = foreground(bank)
    step = np.diff(np.stack([chosen % 40, chosen // 40]))[:, : 36 * 40 // 4]
    assert np.median(np.abs(step).max(axis=0)) <= 3


def test_photos_shrink_until_a_pixel_is_as_wide_as_a_voxel(photos):
    coarse = GridFrame.around(np.array([[-1.0] * 3, [1.0] * 3]), 16)
    pixel = 3.2 / 50  # distance over focal length
    free = shrink_factor(photos, coarse, limit=False)
    assert free == pytest.approx(pixel / coarse.voxel, rel=0.02)
    assert shrink_factor(photos, coarse) == free < 1
    fine = coarse.refined.refined.refined
    assert shrink_factor(photos, fine) == 1
    assert shrink_factor(photos, fine, limit=False) == pytest.approx(8 * free)
