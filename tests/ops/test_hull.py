# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Carving against its twin and against shapes whose hull is known."""

import numpy as np
import pytest
import torch

from photocast.data import Camera, Photo
from photocast.data.grid_frame import GridFrame
from photocast.ops.hull import OUTSIDE, carve, carve_twin
from photocast.stages.hull import _silhouettes, hull_distance, tighten

CPU = torch.device("cpu")
BOX = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def looking_at_origin(direction, size=96, distance=4.0):
    forward = -np.asarray(direction, float) / np.linalg.norm(direction)
    side = np.cross(forward, [0.3, 0.2, 1.0])
    side /= np.linalg.norm(side)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([side, np.cross(forward, side), forward])
    pose[:3, 3] = -pose[:3, :3] @ (-forward * distance)
    return Camera(size, size, 1.5 * size, 1.5 * size, size / 2, size / 2, pose)


def sphere_photo(direction, radius=0.6, size=96):
    camera = looking_at_origin(direction, size)
    rows, columns = np.mgrid[:size, :size] + 0.5
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy], -1)
    rays = np.concatenate([rays, np.ones((size, size, 1))], -1)
    center = np.array([0, 0, 4.0])
    b, a, c = rays @ center, (rays**2).sum(-1), center @ center - radius**2
    hit = b**2 - a * c
    mask = np.where(hit > 0, 255, 0).astype(np.uint8)
    rgb = np.full((size, size, 3), 128, np.uint8)
    return Photo(str(direction), camera, rgb, mask)


DIRECTIONS = [
    (x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)
]


def radii(frame):
    axes = [np.arange(n) for n in frame.size]
    points = frame.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3))
    return torch.from_numpy(np.linalg.norm(points, axis=1)).view(frame.size)


def test_carving_matches_the_twin():
    frame = GridFrame.around(BOX, 20)
    views = _silhouettes([sphere_photo(d) for d in DIRECTIONS[:5]], frame, CPU)
    for outliers in (0, 2):
        fast = carve(views, frame.size, outliers=outliers, min_views=2)
        slow = carve_twin(views, frame.size, outliers=outliers, min_views=2)
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("outliers", [0, 2])
def test_only_distances_beyond_what_is_enough_are_cut_short(outliers):
    frame = GridFrame.around(BOX, 20)
    views = _silhouettes([sphere_photo(d) for d in DIRECTIONS], frame, CPU)
    exact = carve(views, frame.size, outliers=outliers)
    short = carve(views, frame.size, outliers=outliers, enough=3.0)
    assert torch.equal(short.clamp(max=3.0), exact.clamp(max=3.0))
    assert (short < exact).any()


def test_the_hull_of_a_sphere_is_nearly_the_sphere():
    frame = GridFrame.around(BOX, 48)
    distance = hull_distance([sphere_photo(d) for d in DIRECTIONS], frame, device=CPU)
    true = (radii(frame) - 0.6) / frame.voxel
    near = true.abs() < 2
    # a hull never cuts into the object by more than the masks are coarse, and is little larger
    assert (distance - true)[near].max() < 0.6
    assert (distance - true)[near].min() > -2.0
    assert (distance - true)[near].abs().mean() < 0.6


def test_one_bad_mask_is_tolerated_if_asked_for():
    photos = [sphere_photo(d) for d in DIRECTIONS]
    empty = photos[3]
    photos[3] = Photo(empty.name, empty.camera, empty.rgb, np.zeros_like(empty.mask))
    frame = GridFrame.around(BOX, 24)
    assert not (hull_distance(photos, frame, device=CPU) < 0).any()
    assert (hull_distance(photos, frame, device=CPU, outliers=1) < 0).any()


def test_a_point_that_no_view_sees_is_outside():
    photo = sphere_photo((1, 0, 0))
    frame = GridFrame.around(BOX + np.array([[0, 8, 0]]), 24)
    assert (hull_distance([photo], frame, device=CPU) == OUTSIDE).all()


def test_the_box_shrinks_to_the_object():
    box = tighten([sphere_photo(d) for d in DIRECTIONS], 1.4 * BOX, device=CPU)
    np.testing.assert_allclose(box, [[-0.6] * 3, [0.6] * 3], atol=0.12)


def test_large_photos_give_the_same_box_as_small_ones():
    directions = DIRECTIONS
    small = tighten([sphere_photo(d, size=300) for d in directions], 1.4 * BOX, device=CPU)
    large = tighten([sphere_photo(d, size=900) for d in directions], 1.4 * BOX, device=CPU)
    cell = 2.8 / 64
    np.testing.assert_allclose(large, small, atol=1.01 * cell)
    np.testing.assert_allclose(small, [[-0.6] * 3, [0.6] * 3], atol=0.15)
