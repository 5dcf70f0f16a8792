# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cuts show the object whole, at the place where their matrices say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from photocast.geometry.projection import transform_points
from photocast.stages.refine_targets import refine_targets

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(photograph, textured_sphere):
    photos = photograph(textured_sphere, count=4, size=96)
    near = photos[1].camera  # zoomed out: a smaller cut than the others
    wide = replace(near, fx=near.fx / 2, fy=near.fy / 2)
    mask = np.zeros((96, 96), np.uint8)
    mask[24:72, 24:72] = photos[1].mask[::2, ::2]
    rgb = np.zeros((96, 96, 3), np.uint8)
    rgb[24:72, 24:72] = photos[1].rgb[::2, ::2]
    return [photos[0], replace(photos[1], camera=wide, rgb=rgb, mask=mask), *photos[2:]]


def cut_pixels(targets, slot, points):
    """Continuous pixels in a cut, and depth within -1..1."""
    clip = transform_points(targets.clip_from_world[slot : slot + 1], points)[0]
    height, width = targets.size
    ndc = clip[:, :3] / clip[:, 3:]
    x, y = (ndc[:, 0] + 1) / 2 * width, (ndc[:, 1] + 1) / 2 * height
    return torch.stack([x, y], 1), ndc[:, 2]


def test_all_cuts_have_one_size_and_know_where_they_end(photos, textured_sphere):
    targets = refine_targets(textured_sphere, photos, CPU)
    assert targets.photo == (0, 1, 2, 3)
    assert targets.rgba.shape == (4, *targets.size, 4)
    assert targets.inside[1].max() < 0.7 * targets.inside[0].max()
    assert targets.inside.amax(0).tolist() == list(targets.size)
    for rgba, (height, width) in zip(targets.rgba, targets.inside.int().tolist(), strict=True):
        assert not rgba[height:].any()
        assert not rgba[:, width:].any()


def test_a_place_lies_in_the_cut_where_its_colour_is(photos, textured_sphere):
    targets = refine_targets(textured_sphere, photos, CPU)
    points = torch.tensor(textured_sphere.vertices)
    for slot, photo in enumerate(photos):
        where, depth = cut_pixels(targets, slot, points)
        assert depth.abs().max() < 1
        whole, _ = photo.camera.project(textured_sphere.vertices)
        shift = np.asarray(where) - whole
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-3)
        left, top = np.rint(-shift[0]).astype(int)
        height, width = targets.inside[slot].int().tolist()
        part = np.s_[top : top + height, left : left + width]
        np.testing.assert_array_equal(targets.rgba[slot, :height, :width, :3], photo.rgb[part])
        np.testing.assert_array_equal(targets.rgba[slot, :height, :width, 3], photo.mask[part])
        assert photo.mask.sum(dtype=int) == targets.rgba[slot, ..., 3].sum()
        np.testing.assert_allclose(targets.center[slot], photo.camera.center, rtol=1e-6)


def test_a_photo_that_sees_the_mesh_from_inside_is_left_out(photos, textured_sphere):
    pose = photos[0].camera.camera_from_world.copy()
    pose[:3, 3] = 0
    inside = replace(photos[0], camera=replace(photos[0].camera, camera_from_world=pose))
    targets = refine_targets(textured_sphere, [photos[0], inside, *photos[2:]], CPU)
    assert targets.photo == (0, 2, 3)


def test_without_any_photo_of_the_object_there_is_nothing(photos, textured_sphere):
    behind = textured_sphere.vertices + np.float32(3) * photos[0].camera.center.astype(np.float32)
    blind = replace(photos[0], mask=np.zeros_like(photos[0].mask))
    assert refine_targets(replace(textured_sphere, vertices=behind), [blind], CPU) is None
    assert refine_targets(textured_sphere, [], CPU) is None


def test_a_photo_without_a_mask_counts_as_covered(photos, textured_sphere):
    targets = refine_targets(textured_sphere, [replace(photos[0], mask=None)], CPU)
    assert (targets.rgba[..., 3] == 255).all()


def test_large_photos_are_made_smaller_with_their_cameras(photos, textured_sphere):
    photo = photos[0]
    large = replace(
        photo,
        camera=photo.camera.resized(96 * 16, 96 * 16),
        rgb=photo.rgb.repeat(16, 0).repeat(16, 1),
        mask=photo.mask.repeat(16, 0).repeat(16, 1),
    )
    targets = refine_targets(textured_sphere, [large], CPU)
    assert max(targets.size) <= 1024
    where, _ = cut_pixels(targets, 0, torch.tensor(textured_sphere.vertices))
    height, width = targets.size
    rgba = targets.rgba[0].numpy()
    seen = np.argwhere(rgba[..., 3] > 127)
    assert abs(float(where[:, 0].min()) - seen[:, 1].min()) < 12  # a pixel of the photo
    assert abs(float(where[:, 1].max()) - seen[:, 0].max()) < 12
    assert height > 600
    assert width > 600
