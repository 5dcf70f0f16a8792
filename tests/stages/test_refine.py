# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Vertices move to where the photos want them, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from photocast.config import RefineConfig
from photocast.data import Mesh, Photo
from photocast.errors import Cancelled
from photocast.progress import silent
from photocast.stages.refine import refine
from photocast.stages.validate import check_mesh

CPU = torch.device("cpu")
TRUE = 0.8


def sphere(radius, detail=2):
    ball = trimesh.creation.icosphere(detail)
    return Mesh(radius * ball.vertices.astype(np.float32), ball.faces.astype(np.int32))


@pytest.fixture(scope="module")
def photos(photograph):
    return photograph(sphere(TRUE, 4), count=12, size=48)


def run(mesh, photos, progress=silent, **settings):
    return refine(mesh, photos, RefineConfig(**settings), device=CPU, progress=progress)


def radius_error(mesh):
    return float(np.abs(np.linalg.norm(mesh.vertices, axis=1) - TRUE).mean())


@pytest.mark.parametrize("start", [0.72, 0.88])
def test_a_sphere_of_the_wrong_size_meets_the_silhouettes(photos, start):
    before = sphere(start)
    after = run(before, photos, epochs=8)
    assert radius_error(after) < 0.3 * radius_error(before)
    assert np.linalg.norm(after.vertices.mean(axis=0)) < 0.01
    np.testing.assert_array_equal(after.faces, before.faces)
    assert not [check for check in check_mesh(after) if check.passed is False]


def test_the_error_that_progress_tells_falls(photos):
    told = []
    run(sphere(0.75), photos, lambda stage, done, total, **n: told.append((done, total, n["psnr"])))
    assert [done for done, _, _ in told] == list(range(1, told[0][1] + 1))
    assert told[-1][2] > told[0][2] + 3


def test_without_epochs_the_mesh_is_returned_as_it_is(photos):
    start = sphere(0.75)
    assert run(start, photos, epochs=0) is start


def test_photos_that_do_not_show_the_mesh_leave_it_as_it_is(photos):
    behind = replace(sphere(0.2), vertices=sphere(0.2).vertices + np.float32(30))
    assert run(behind, photos[:3]) is behind


def test_the_same_seed_gives_the_same_vertices_and_another_seed_others(photos):
    first, again = (run(sphere(0.75), photos, seed=3, epochs=1) for _ in range(2))
    np.testing.assert_array_equal(first.vertices, again.vertices)
    np.testing.assert_array_equal(first.colors, again.colors)
    other = run(sphere(0.75), photos, seed=4, epochs=1)
    assert not np.array_equal(first.vertices, other.vertices)


def test_flat_faces_spread_no_nan(photos):
    start = sphere(0.75)
    a, b, _ = start.faces[0]
    vertices = start.vertices.copy()
    vertices[b] = vertices[a]  # every face at this edge has no area
    after = run(replace(start, vertices=vertices), photos, epochs=5)
    assert np.isfinite(after.vertices).all()
    assert np.isfinite(after.colors).all()
    assert radius_error(after) < 0.6 * radius_error(start)


def test_a_view_from_inside_the_mesh_is_left_out(photos):
    camera = photos[0].camera
    pose = camera.camera_from_world.copy()
    pose[:3, 3] = 0
    inside = Photo("inside", replace(camera, camera_from_world=pose), photos[0].rgb, photos[0].mask)
    start = sphere(0.75)
    np.testing.assert_array_equal(
        run(start, [*photos, inside], epochs=1, batch=99).vertices,
        run(start, photos, epochs=1, batch=99).vertices,
    )


def test_it_stops_where_progress_says_so(photos):
    steps = []

    def stop(stage, done, total, **numbers):
        steps.append(done)
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(sphere(0.75), photos, stop)
    assert steps == [1, 2]
