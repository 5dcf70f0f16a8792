# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Hollows that no outline shows are dug, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from photocast.config import CarveConfig
from photocast.data import Mesh
from photocast.data.grid_frame import GridFrame
from photocast.errors import Cancelled
from photocast.progress import silent
from photocast.stages.carve import carve_hollows
from photocast.stages.depth_fusion import BAND
from photocast.stages.hull import hull_distance
from photocast.stages.rays import Rays

CPU = torch.device("cpu")
BOX = np.array([[-0.95, -0.95, -0.95], [0.95, 0.95, 0.15]])
FRAME = GridFrame.around(BOX, 30)


def carve(photos, progress=silent, frame=FRAME, **settings):
    hull = hull_distance(photos, frame, device=CPU)
    rays = Rays(photos, 0, CPU)
    rays.focus(frame)
    config = CarveConfig(**{"steps": 200, "rays_per_step": 2048, **settings})
    return hull, carve_hollows(hull, rays, config, BAND, progress)[0]


def at(values, points, frame=FRAME):
    """Nearest grid values at world points."""
    index = np.rint((np.asarray(points) - frame.origin) / frame.voxel).astype(int)
    return values[tuple(index.T)]


@pytest.fixture(scope="module")
def carved(photograph, bowl):
    return carve(photograph(bowl, count=16))


DENT = [[0, 0, -0.05], [0.25, 0, -0.05], [0, -0.25, -0.05], [-0.2, 0.2, -0.05], [0, 0, -0.15]]
WALL = [[0, 0, -0.6], [0.2, 0.1, -0.6], [0, -0.4, -0.6], [-0.4, 0.4, -0.45], [0.6, 0, -0.4]]


def test_a_bowl_is_dug_out_of_the_hull_that_fills_it(carved):
    hull, values = carved
    assert (at(hull, DENT) < -1).all()
    assert (at(values, DENT)[:, 3] > 0).all()


def test_the_wall_stays_solid(carved, bowl):
    hull, values = carved
    assert (at(values, WALL)[:, 3] < 0).all()
    solid = int((values[..., 3] < 0).sum()) * FRAME.voxel**3
    truth = abs(trimesh.Trimesh(bowl.vertices, bowl.faces).volume)
    filled = int((hull < 0).sum()) * FRAME.voxel**3
    assert filled > 1.15 * truth
    assert 0.65 * truth < solid < 1.02 * truth  # it loses about a voxel of its skin


def test_it_only_takes_away_and_returns_numbers_in_range(carved):
    hull, values = carved
    assert values.shape == (*hull.shape, 4)
    assert torch.isfinite(values).all()
    assert values[..., :3].min() >= 0
    assert values[..., :3].max() <= 1
    assert values[..., 3].abs().max() <= BAND
    assert (values[..., 3] >= hull.clamp(-BAND, BAND) - 1e-6).all()


def test_colours_at_the_surface_are_those_of_the_photos(carved, bowl):
    _, values = carved
    place = bowl.vertices[::17]
    place = place[np.linalg.norm(place, axis=1) > 0.88]  # the outside
    linear = 0.5 + 0.35 * np.sin(18 * place + [0, 1, 2])
    encoded = 1.055 * linear ** (1 / 2.4) - 0.055
    found = at(values[..., :3], place).numpy()
    correlation = [np.corrcoef(found[:, c], encoded[:, c])[0, 1] for c in range(3)]
    assert min(correlation) > 0.5  # waves are only six voxels long


def test_a_ball_loses_about_a_voxel_of_its_skin_and_nothing_inside(photograph):
    """The fit that follows brings the skin back; a hole in the middle would stay."""
    ball = trimesh.creation.icosphere(4, radius=0.8)
    mesh = Mesh(ball.vertices.astype(np.float32), ball.faces.astype(np.int32))
    frame = GridFrame.around(np.array([[-0.9] * 3, [0.9] * 3]), 28)
    hull, values = carve(photograph(mesh, count=16), frame=frame)
    solid = values[..., 3] < 0
    before, after = (float(inside.sum()) ** (1 / 3) for inside in (hull < 0, solid))
    assert (before - after) * (3 / (4 * np.pi)) ** (1 / 3) < 1.5  # of the radius
    assert solid[hull < -3].all()


def test_plain_photos_leave_the_hull_as_it_is(photograph, bowl):
    """Grey on grey agrees everywhere: there is nothing to tell a hollow by."""
    photos = [replace(p, rgb=np.full_like(p.rgb, 128)) for p in photograph(bowl, count=8, size=32)]
    hull, values = carve(photos, steps=60)
    assert torch.equal(values[..., 3], hull.clamp(-BAND, BAND))


def test_progress_counts_to_the_end_and_stops_the_work(photograph, bowl):
    photos = photograph(bowl, count=4, size=32)
    told = []
    carve(photos, lambda *numbers: told.append(numbers), steps=60)
    assert told == [("carve", 50, 60), ("carve", 60, 60)]

    def stop(stage, done, total, **numbers):
        raise Cancelled

    with pytest.raises(Cancelled):
        carve(photos, stop, steps=60)
