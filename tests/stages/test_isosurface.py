# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From a fitted volume to a mesh that every later stage may rely on."""

import numpy as np
import pytest
import torch

from photocast.config import MeshConfig
from photocast.data.grid_frame import GridFrame
from photocast.errors import PhotocastError
from photocast.stages.isosurface import extract_mesh
from photocast.stages.validate import check_mesh
from photocast.stages.volume import BAND, Volume

FRAME = GridFrame.around(np.array([[-1.0, -1.2, -0.9], [1.0, 1.2, 0.9]]), 44)


def volume_of(distance, frame=FRAME):
    """A volume from a signed distance in world units."""
    axes = [np.arange(n) for n in frame.size]
    points = frame.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
    values = torch.zeros(*frame.size, 4)
    values[..., 3] = torch.from_numpy(distance(points) / frame.voxel).clamp(-BAND, BAND)
    return Volume(values, frame)


def ball(radius, center=(0, 0, 0)):
    return lambda p: np.linalg.norm(p - np.array(center), axis=-1) - radius


def torus(p):
    return np.hypot(np.hypot(p[..., 0], p[..., 1]) - 0.65, p[..., 2]) - 0.22


def gyroid(p):
    """Many thin handles: the hardest for decimation."""
    x, y, z = np.moveaxis(8 * p, -1, 0)
    sheet = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    return np.maximum((np.abs(sheet) - 0.5) / 8, np.linalg.norm(p, axis=-1) - 0.85)


def facts(mesh):
    return {check.name: check for check in check_mesh(mesh)}


def assert_sound(mesh):
    failed = [check for check in check_mesh(mesh) if check.passed is False]
    assert not failed, failed


@pytest.mark.parametrize("face_count", [400, 60_000])
@pytest.mark.parametrize(("shape", "genus"), [(ball(0.8), 0), (torus, 1)])
def test_one_sound_surface_of_the_right_genus_and_size(shape, genus, face_count):
    mesh = extract_mesh(volume_of(shape), MeshConfig(face_count=face_count))
    assert_sound(mesh)
    assert facts(mesh)["mesh.components"].value == 1
    assert facts(mesh)["mesh.genus"].value == genus
    assert len(mesh.faces) <= face_count
    true = 4 / 3 * np.pi * 0.8**3 if genus == 0 else 2 * np.pi**2 * 0.65 * 0.22**2
    assert facts(mesh)["mesh.volume"].value == pytest.approx(true, rel=0.06)
    assert np.abs(shape(mesh.vertices)).max() < 0.5 * FRAME.voxel


@pytest.mark.parametrize("face_count", [500, 3000, 60_000])
def test_a_sponge_stays_closed_and_manifold(face_count):
    mesh = extract_mesh(volume_of(gyroid), MeshConfig(face_count=face_count))
    assert len(mesh.faces) <= face_count
    for name in ("mesh.watertight", "mesh.winding_consistent", "mesh.volume"):
        assert facts(mesh)[name].passed, name


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_stays_closed_and_manifold(seed):
    noise = np.random.default_rng(seed).normal(size=FRAME.size) * 0.15
    mesh = extract_mesh(
        volume_of(lambda p: ball(0.6)(p) + noise), MeshConfig(face_count=4000, min_part=0.05)
    )
    for name in ("mesh.watertight", "mesh.winding_consistent", "mesh.volume"):
        assert facts(mesh)[name].passed, name


def two_balls(p):
    return np.minimum(ball(0.6, (-0.3, 0, 0))(p), ball(0.1, (0.8, 0.9, 0))(p))


@pytest.mark.parametrize(("min_part", "parts"), [(0.1, 1), (0.001, 2)])
def test_parts_below_the_least_share_are_dropped(min_part, parts):
    mesh = extract_mesh(volume_of(two_balls), MeshConfig(min_part=min_part))
    assert facts(mesh)["mesh.components"].value == parts
    assert_sound(mesh)


def test_bubbles_inside_the_solid_are_filled():
    hollow = extract_mesh(volume_of(lambda p: np.abs(ball(0.6)(p)) - 0.15), MeshConfig())
    assert facts(hollow)["mesh.components"].value == 1
    assert facts(hollow)["mesh.volume"].value == pytest.approx(4 / 3 * np.pi * 0.75**3, rel=0.03)


def test_an_empty_volume_says_what_to_do():
    with pytest.raises(PhotocastError, match="photocast inspect") as caught:
        extract_mesh(volume_of(lambda p: p[..., 0] * 0 + 1.0), MeshConfig())
    assert caught.value.code == "optimize.empty"
