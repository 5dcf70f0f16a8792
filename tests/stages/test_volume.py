# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fitting finds what silhouettes cannot tell, the same way each time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from photocast.config import CarveConfig, DepthConfig, MeshConfig, VolumeConfig
from photocast.data import Material, Mesh
from photocast.errors import Cancelled
from photocast.progress import silent
from photocast.stages.hull import hull_distance
from photocast.stages.isosurface import extract_mesh
from photocast.stages.mesh_distance import mesh_distances
from photocast.stages.volume import BAND, Volume, fit_volume

CPU = torch.device("cpu")
BOX = np.array([[-0.9, -0.9, -0.9], [0.9, 0.9, 0.9]])
BOWL_BOX = np.array([[-0.95, -0.95, -0.95], [0.95, 0.95, 0.15]])
BOTTOM = -0.3  # of the inside of the bowl, on its axis


def sphere(radius=0.8):
    ball = trimesh.creation.icosphere(4)
    return Mesh(radius * ball.vertices.astype(np.float32), ball.faces.astype(np.int32))


def fit(photos, box=BOX, progress=silent, **settings):
    small = {"resolution": 44, "rays_per_step": 2048, "epochs": 1e6, "carve": CarveConfig(steps=0)}
    config = VolumeConfig(**{**small, **settings})
    return fit_volume(photos, box, config, device=CPU, progress=progress)


def hull(photos, frame):
    values = torch.zeros(*frame.size, 4)
    values[..., 3] = hull_distance(photos, frame, device=CPU).clamp(-BAND, BAND)
    return Volume(values, frame)


def chamfer(volume, truth):
    made = extract_mesh(volume, MeshConfig(face_count=8000))
    return mesh_distances(made, truth, point_count=20_000).chamfer


def at(volume, points):
    """Trilinear values at world points."""
    grid = (np.asarray(points) - volume.frame.origin) / volume.frame.voxel
    scaled = 2 * grid / (np.array(volume.frame.size) - 1) - 1
    where = torch.tensor(scaled[:, ::-1].copy(), dtype=torch.float32)[None, None, None]
    channels = volume.values.permute(3, 0, 1, 2)[None]
    sampled = torch.nn.functional.grid_sample(channels, where, align_corners=True)
    return sampled[0, :, 0, 0].T.numpy()


def test_a_sphere_is_found_to_a_quarter_of_a_percent(photograph):
    volume = fit(photograph(sphere(), count=16), steps=(40, 40))
    assert chamfer(volume, sphere()) < 0.004


def test_a_dent_that_the_hull_cannot_see_is_found(photograph, bowl):
    photos = photograph(bowl, count=16)
    volume = fit(photos, BOWL_BOX, steps=(350, 60))
    filled = hull(photos, volume.frame)
    assert chamfer(filled, bowl) > 0.013
    assert chamfer(volume, bowl) < 0.006
    inside = [[0, 0, BOTTOM + 0.2], [0.2, 0, BOTTOM + 0.25], [0, -0.2, BOTTOM + 0.25]]
    assert (at(filled, inside)[:, 3] < 0).all()
    assert (at(volume, inside)[:, 3] > 0).all()


def test_nothing_is_left_beyond_the_box_where_few_photos_look(photograph, bowl):
    photos = photograph(bowl, count=10, depth=True)
    mesh = extract_mesh(fit(photos, BOWL_BOX, steps=(10, 10)), MeshConfig())
    assert (mesh.bounds[0] > BOWL_BOX[0]).all()
    assert (mesh.bounds[1] < BOWL_BOX[1]).all()


def test_measured_depth_shows_the_dent_at_once(photograph, bowl):
    photos = photograph(bowl, count=10, depth=True)
    blind = [replace(photo, depth=None) for photo in photos]
    measured, guessed = (
        chamfer(fit(some, BOWL_BOX, steps=(20, 20)), bowl) for some in (photos, blind)
    )
    assert measured < 0.005
    assert measured < 0.4 * guessed


def test_depth_that_is_not_a_number_spoils_nothing(photograph, bowl):
    photos = photograph(bowl, count=10, depth=True)
    for photo in photos:
        photo.depth[::3] = np.nan
        photo.depth[1, ::2] = np.inf
    volume = fit(photos, BOWL_BOX, steps=(20, 20))
    assert torch.isfinite(volume.values).all()
    assert chamfer(volume, bowl) < 0.008


def test_the_photos_have_the_last_word_over_depth_that_all_views_get_wrong(photograph):
    photos = [
        replace(photo, depth=np.where(photo.depth > 0, photo.depth + 0.06, 0).astype(np.float32))
        for photo in photograph(sphere(), count=16, depth=True)
    ]

    def off(*weight):
        depth = DepthConfig(fit_scale="none", weight=weight)
        return chamfer(fit(photos, steps=(60, 60), depth=depth), sphere())

    fading, stubborn = off(0.1, 0.01), off(10.0, 10.0)
    assert fading < 0.011
    assert stubborn > 1.4 * fading


def test_the_same_seed_gives_bit_equal_grids_and_another_seed_others(photograph):
    photos = photograph(sphere(), count=8, size=48)
    first, again, other = (
        fit(photos, steps=(10, 10), resolution=32, seed=seed).values for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_colours_depend_on_the_view_only_where_fixed_ones_explain_too_little(
    photograph, photograph_lit, textured_sphere, uneven_light
):
    ones = np.ones((2, 2), np.float32)
    metal = Material(
        base_color=np.ones((2, 2, 3), np.float32), roughness=0.15 * ones, metallic=ones, unlit=False
    )
    mirror = replace(textured_sphere, material=metal)
    steps = {"steps": (60, 20), "resolution": 32}
    box = 1.2 * BOX
    matte = photograph(sphere(), count=12)
    shiny = photograph_lit(mirror, uneven_light, count=12)
    for photos, as_if in ((matte, "off"), (shiny, "on")):
        found, off, on = (
            fit(photos, box, shiny=how, **steps).values for how in ("auto", "off", "on")
        )
        assert not torch.equal(on, off)
        assert torch.equal(found, off) == (as_if == "off")


def test_values_stay_in_range_and_the_border_empty(photograph):
    values = fit(photograph(sphere(), count=8, size=48), steps=(15, 15), resolution=32).values
    assert torch.isfinite(values).all()
    assert values[..., :3].min() >= 0
    assert values[..., :3].max() <= 1
    assert values[..., 3].abs().max() <= BAND
    for axis in range(3):
        for end in (0, -1):
            assert (values.select(axis, end)[..., 3] > 0).all()


def test_small_photos_ask_for_a_coarser_grid(photograph):
    small, large = (
        fit(
            photograph(sphere(), count=6, size=size),
            steps=(1, 1),
            resolution=120,
            pixels_per_voxel=1.3,
        ).frame.voxel
        for size in (48, 96)
    )
    pixel = 3.2 / (1.25 * 96)
    assert 1.3 * pixel < large < 1.7 * pixel
    assert small > 1.2 * large


def test_progress_counts_every_step_to_the_end_and_stops_the_work(photograph):
    photos = photograph(sphere(), count=6, size=48)
    told = []

    def listen(stage, done, total, **numbers):
        told.append((stage, done, total))
        assert np.isfinite(numbers["psnr"])

    fit(photos, progress=listen, steps=(30, 26), resolution=32)
    assert told == [("volume", done, 56) for done in (25, 30, 55, 56)]

    def stop(stage, done, total, **numbers):
        raise Cancelled

    with pytest.raises(Cancelled):
        fit(photos, progress=stop, steps=(30, 26), resolution=32)
