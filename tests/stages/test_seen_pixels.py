# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch

from photocast.data import Camera
from photocast.stages.seen_pixels import (
    box_corners,
    clip_from_world,
    cosines,
    cropped,
    depth_jumps,
    grown,
)

CAMERA = Camera(40, 30, 35.0, 36.0, 19.0, 16.0, np.eye(4))


def test_the_cut_holds_the_object_and_keeps_every_ray():
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (50, 3)) + np.array([0.4, 0.2, 2.0])
    left, top, part = cropped(CAMERA, box_corners(torch.from_numpy(points)))
    whole, _ = CAMERA.project(points)
    cut, _ = part.project(points)
    np.testing.assert_allclose(cut + np.array([left, top]), whole, atol=1e-9)
    assert (cut > 0).all()
    assert (cut < [part.width, part.height]).all()
    assert part.width < CAMERA.width
    assert part.height < CAMERA.height


def test_a_point_behind_the_camera_keeps_the_whole_picture():
    points = np.array([[0.0, 0, 2], [0, 0, -1]])
    left, top, part = cropped(CAMERA, box_corners(torch.from_numpy(points)))
    assert (left, top, part.width, part.height) == (0, 0, 40, 30)
    assert (part.cx, part.cy) == (19, 16)


def test_all_that_is_before_the_camera_lies_between_the_planes_at_its_pixel():
    points = np.random.default_rng(1).uniform(-0.3, 0.3, (50, 3)) + np.array([0, 0, 2.0])
    corners = box_corners(torch.from_numpy(points))
    clip = np.column_stack([points, np.ones(len(points))]) @ clip_from_world(CAMERA, corners).T
    ndc = clip[:, :3] / clip[:, 3:]
    assert (np.abs(ndc[:, 2]) < 1).all()
    pixels, _ = CAMERA.project(points)
    np.testing.assert_allclose((ndc[:, :2] + 1) / 2 * [40, 30], pixels, atol=1e-4)


def test_cosines_are_those_between_the_normal_and_the_way_to_the_camera():
    place = torch.tensor([[0.0, 0, 2], [0, 0, 2], [0, 0, 2], [3.0, 0, 3]])
    normal = torch.tensor([[0.0, 0, -1], [0, 0, 5.0], [0, 1, 0], [-2.0, 0, 0]])
    found = cosines(torch.cat([place, normal], 1))
    torch.testing.assert_close(found, torch.tensor([1.0, -1.0, 0.0, 0.5**0.5]))


def test_a_mask_grows_into_a_square():
    mask = torch.zeros(7, 9, dtype=torch.bool)
    mask[3, 4] = True
    assert torch.equal(grown(mask, 0), mask)
    wanted = torch.zeros_like(mask)
    wanted[1:6, 2:7] = True
    assert torch.equal(grown(mask, 2), wanted)


def test_a_step_in_depth_is_an_edge_and_a_slope_is_not():
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    tilted = 2 / (1 - 0.8 * (x - 15) / 35)  # the plane z = 2 + 0.8 x
    normal = torch.tensor([0.8, 0.0, -1.0]).expand(20, 30, 3)

    def jumps(depth):
        place = torch.stack([(x - 15) / 35 * depth, (y - 10) / 36 * depth, depth], -1)
        return depth_jumps(depth, depth > 0, torch.cat([place, normal], -1), 35.0)

    assert not jumps(tilted).any()
    edge = jumps(torch.where(x < 12, tilted, tilted + 1))
    assert edge[:, 11:13].all()
    assert not edge[:, :11].any()
    assert not edge[:, 13:].any()
