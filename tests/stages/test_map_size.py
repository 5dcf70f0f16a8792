# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
import trimesh

from photocast.data import Mesh
from photocast.stages.map_size import fitting_size


@pytest.fixture(scope="module")
def ball():
    ball = trimesh.creation.icosphere(3, radius=0.85)
    return Mesh(ball.vertices.astype("f4"), ball.faces.astype("i4"))


def test_the_size_follows_the_pixels_on_the_surface(ball, photograph):
    # A pixel is 3.2 / 80 wide on the ball, whose area is 9.1: 156 texels on a side.
    photos = photograph(ball, count=6, size=64)
    assert fitting_size(ball, photos) == 256
    near = [replace(photo, camera=photo.camera.resized(1024, 1024)) for photo in photos]
    assert fitting_size(ball, near) == 2048


def test_the_size_does_not_follow_the_unit_of_the_world(ball, photograph):
    photos = photograph(ball, count=6, size=64)
    photos = [replace(photo, camera=photo.camera.resized(1024, 1024)) for photo in photos]
    far = replace(ball, vertices=1000 * ball.vertices)
    moved = []
    for photo in photos:
        pose = photo.camera.camera_from_world.copy()
        pose[:3, 3] *= 1000
        moved.append(replace(photo, camera=replace(photo.camera, camera_from_world=pose)))
    assert fitting_size(far, moved) == fitting_size(ball, photos)


def test_without_photos_the_map_is_small(ball):
    assert fitting_size(ball, []) == 256
