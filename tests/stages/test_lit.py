# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A finished mesh under a light looks as integrals over that light say."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from photocast.data import Camera, Light, Material, Mesh
from photocast.geometry.environment import map_directions, texel_solid_angles
from photocast.stages.lit import LitMesh, face_points, layout_of
from photocast.stages.render import draw_raster, drawable

CPU = torch.device("cpu")


def looking_down(size=16):
    """From z = 3 along -Z at a square of side 2."""
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1, -1])
    pose[:3, 3] = [0, 0, 3]
    return Camera(size, size, size, size, size / 2, size / 2, pose)


def plate(count=8, **maps):
    """A square in the plane z = 0, facing +Z; u grows along +X, v along -Y."""
    s, t = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
    uv = np.stack([s, t], -1).reshape(-1, 2) / count
    vertices = np.column_stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1], 0 * uv[:, 0]])
    i, j = (part.ravel() for part in np.mgrid[0:count, 0:count])
    a = i * (count + 1) + j
    b, c, d = a + count + 1, a + count + 2, a + 1
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)]).astype(np.int32)
    given = {
        "base_color": np.full((4, 4, 3), 0.5, np.float32),
        "roughness": np.ones((4, 4), np.float32),
        **maps,
    }
    material = Material(**given, unlit=False)
    return Mesh(vertices.astype(np.float32), faces, uv.astype(np.float32), faces, material=material)


def seen(mesh, light, camera):
    raster = draw_raster(drawable(mesh), camera)
    picture = LitMesh(mesh, light, "cpu").seen(raster, camera)
    return picture[0][raster.face[0] >= 0]


def from_side(way, size=(32, 64)):
    """A soft lamp from one direction."""
    cosine = map_directions(*size) @ torch.tensor(way, dtype=torch.float64)
    lamp = (4 * (cosine - 1)).exp().view(*size, 1).expand(*size, 3)
    return Light(lamp.float().numpy().copy())


def irradiance(light, normal):
    """E / pi by brute force."""
    ways = map_directions(*light.environment.shape[:2])
    angles = texel_solid_angles(*light.environment.shape[:2])
    cosine = (ways @ torch.tensor(normal, dtype=torch.float64)).clamp(min=0)
    flat = torch.tensor(light.environment, dtype=torch.float64).view(-1, 3)
    return float((cosine * angles) @ flat[:, 0] / math.pi)


@pytest.mark.parametrize(("roughness", "metallic"), [(1.0, 0.0), (0.3, 0.0), (0.5, 1.0)])
def test_a_white_ball_in_an_even_light_is_as_bright_as_the_light(
    textured_sphere, roughness, metallic
):
    material = Material(
        base_color=np.ones((4, 4, 3), np.float32),
        roughness=np.full((4, 4), roughness, np.float32),
        metallic=np.full((4, 4), metallic, np.float32),
        unlit=False,
    )
    ball = replace(textured_sphere, material=material)
    colors = seen(ball, Light(np.full((8, 16, 3), 0.7, np.float32)), looking_down(24))
    assert len(colors) > 100
    assert_close(colors, torch.full_like(colors, 0.7), rtol=0.02, atol=0)


def test_a_dull_plate_shows_its_colour_times_the_light_that_falls_on_it():
    light = from_side((0.6, 0.0, 0.8))
    colors = seen(plate(), light, looking_down())
    wanted = 0.5 * irradiance(light, (0, 0, 1.0))
    # four percent are reflected instead, from about as bright a side of the sky
    assert_close(colors.mean(), torch.tensor(wanted).float(), rtol=0.08, atol=0)


@pytest.mark.parametrize(("x", "y"), [(0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5)])
def test_a_normal_map_leans_the_light_as_a_leaning_surface_would(x, y):
    """Red is along growing u (+X here), green up in the picture (+Y here)."""
    normal = np.array([x, y, math.sqrt(1 - x * x - y * y)], np.float32)
    light = from_side((0.6, 0.48, 0.64))
    flat = seen(plate(), light, looking_down()).mean()
    bent = seen(plate(normal=np.tile(normal, (4, 4, 1))), light, looking_down()).mean()
    wanted = irradiance(light, normal.tolist()) / irradiance(light, (0, 0, 1.0))
    assert float(bent / flat) == pytest.approx(wanted, rel=0.1)


def test_maps_of_different_sizes_go_together():
    given = {
        "roughness": np.full((8, 8), 0.5, np.float32),
        "metallic": np.full((4, 2), 0.0, np.float32),
        "normal": np.tile(np.array([0, 0, 1], np.float32), (2, 2, 1)),
    }
    bare = seen(plate(roughness=given["roughness"]), Light(), looking_down())
    assert_close(seen(plate(**given), Light(), looking_down()), bare)


def test_the_middle_of_a_face_knows_its_place_its_way_up_and_its_size():
    vertices, normals, layout = layout_of(plate(), CPU)
    points = face_points(layout, normals)
    assert points.face.tolist() == list(range(len(layout.faces)))
    assert_close(points.view, torch.tensor([0.0, 0, 1]).expand(len(points.view), 3))
    assert_close(points.level.exp2(), torch.full((len(points.level),), 1 / 8))
    weights = torch.cat([points.bary, 1 - points.bary.sum(1, keepdim=True)], 1)
    place = (vertices[layout.faces.long()] * weights[..., None]).sum(1)
    assert_close(place, vertices[layout.faces.long()].mean(1))
