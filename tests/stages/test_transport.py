# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Light at vertices against integrals over the sky, and energy that is neither made nor lost."""

import math

import numpy as np
import pytest
import torch
import trimesh
from torch.testing import assert_close

from photocast.geometry.environment import (
    VISIBILITY_WEIGHTS,
    harmonics,
    map_directions,
    texel_solid_angles,
)
from photocast.geometry.vertex_normals import vertex_normals
from photocast.ops.shade import Layout
from photocast.stages.transport import Transport

MAP = (32, 64)


class Shape:
    """A mesh with its transport; UVs do not matter here."""

    def __init__(self, mesh, device="cpu"):
        faces = np.ascontiguousarray(mesh.faces, np.int32)
        positions = mesh.vertices.astype(np.float32)
        self.normals = torch.tensor(vertex_normals(positions, faces), device=device)
        self.vertices = torch.tensor(positions, device=device)
        none = torch.zeros(1, 2, device=device)
        table = torch.tensor(faces, device=device)
        self.layout = Layout(table, torch.zeros_like(table), none, torch.zeros(1, 4, device=device))
        self.transport = Transport(self.vertices, self.normals, self.layout)

    def irradiance(self, environment):
        """E / pi at the vertices."""
        light = self.transport.incident(environment.to(self.vertices.device)).light
        return (light * harmonics(self.normals)[..., None]).sum(1).cpu()

    def send(self, radiance):
        """Let faces send light."""
        whole = radiance.expand(len(self.layout.faces), 3).contiguous().to(self.vertices.device)
        self.transport.bounce(whole, self.vertices, self.layout)


def ball(inside_out=False):
    mesh = trimesh.creation.icosphere(3)
    if inside_out:
        mesh.invert()
    return mesh


def corner():
    """Three sides of a box that meet at the origin, seen from inside."""
    box = trimesh.creation.box(extents=(1, 1, 1))
    for _ in range(4):
        box = box.subdivide()
    box.apply_translation((0.5, 0.5, 0.5))
    middle = box.triangles_center
    box.update_faces((middle < 1e-6).any(axis=1))
    box.remove_unreferenced_vertices()
    box.invert()
    return box


def at(mesh, place):
    return int(np.linalg.norm(mesh.vertices - place, axis=1).argmin())


def smooth_light():
    """More from +Z and a little coloured, positive everywhere."""
    z, x = map_directions(*MAP)[:, 2], map_directions(*MAP)[:, 0]
    return torch.stack([1 + 0.8 * z, 1 + 0.3 * z * z, 1 - 0.5 * x], 1).float().view(*MAP, 3)


def test_a_ball_alone_gets_the_cosine_integral_of_the_sky(device):
    shape = Shape(ball(), device)
    light = smooth_light()
    ways, angles = map_directions(*MAP).float(), texel_solid_angles(*MAP).float()
    cosine = (shape.normals.cpu() @ ways.T).clamp(min=0) * angles / math.pi
    exact = cosine @ light.view(-1, 3)
    error = (shape.irradiance(light) - exact).abs() / exact
    assert error.max() < 0.06
    assert error.mean() < 0.015


def test_a_ball_alone_hides_nothing_and_lights_nothing(device):
    shape = Shape(ball(), device)
    before = shape.irradiance(smooth_light())
    shape.send(torch.tensor([5.0, 5.0, 5.0]))
    assert torch.equal(shape.irradiance(smooth_light()), before)
    ways = map_directions(8, 16).float().to(device)
    assert_close(shape.transport.open @ harmonics(ways).T, torch.ones(len(before), 128).to(device))


def test_the_corner_of_a_box_sees_an_eighth_of_the_sky():
    mesh = corner()
    shape, here = Shape(mesh), at(mesh, 0)
    hidden = 1 - float(shape.transport.open[here, 0] / VISIBILITY_WEIGHTS[0]) / (4 * math.pi)
    # of the half above the tangent plane, all but the octant between the walls
    assert hidden == pytest.approx(1 / 2 - 1 / 8, abs=0.015)
    found = shape.irradiance(torch.ones(*MAP, 3))[here]
    # of the cosine around (1, 1, 1) / sqrt(3) over the octant
    assert_close(found, torch.full((3,), math.sqrt(3) / 4), rtol=0.05, atol=0)


def test_walls_hide_what_lies_behind_them():
    mesh = corner()
    shape, here = Shape(mesh), at(mesh, (0.05, 0.5, 0))  # on the floor, close to the wall x = 0
    ways = map_directions(*MAP)
    sides = [((ways @ torch.tensor(w).double()) > 0.5).view(*MAP, 1).expand(*MAP, 3).float()
             for w in ([-1.0, 0, 0], [1.0, 0, 0])]  # fmt: skip
    hidden, seen = (shape.irradiance(side)[here, 0] for side in sides)
    assert seen > 0.1
    assert hidden < 0.02 * seen


def test_light_is_linear_and_its_gradient_is_its_transpose():
    shape = Shape(corner())
    random = torch.Generator().manual_seed(0)
    a, b = (torch.rand(*MAP, 3, generator=random) for _ in range(2))
    incident = shape.transport.incident
    assert_close(incident(2 * a + b).light, 2 * incident(a).light + incident(b).light)
    weight = torch.randn(incident(a).light.shape, generator=random)
    leaf = a.clone().requires_grad_()
    (grad,) = torch.autograd.grad((incident(leaf).light * weight).sum(), leaf)
    assert_close((grad * b).sum(), (incident(b).light * weight).sum(), rtol=1e-4, atol=1e-4)


def test_in_a_white_furnace_every_place_gets_all_that_there_is(device):
    """What walls take from the sky they give back if they shine like it."""
    shape = Shape(corner(), device)
    dark = shape.irradiance(torch.ones(*MAP, 3))
    assert dark.min() < 0.6
    shape.send(torch.ones(3))
    assert_close(shape.irradiance(torch.ones(*MAP, 3)), torch.ones_like(dark), rtol=0, atol=0.02)


def test_no_sky_leaks_into_a_closed_room():
    shape = Shape(ball(inside_out=True))
    assert shape.irradiance(torch.full((*MAP, 3), 100.0)).abs().max() < 1e-3


def test_bounces_in_a_closed_room_add_up_to_the_geometric_series():
    shape = Shape(ball(inside_out=True))
    albedo, glow = torch.tensor([0.2, 0.5, 0.8]), 0.7
    sky = torch.zeros(*MAP, 3)
    radiance = torch.full((3,), glow)
    wanted = radiance.clone()
    for _ in range(40):
        shape.send(radiance)
        found = shape.irradiance(sky)
        assert_close(found, wanted.expand_as(found), rtol=0.02, atol=0)
        radiance = glow + albedo * found.mean(0)
        wanted = glow + albedo * wanted
    assert_close(found.mean(0), glow / (1 - albedo), rtol=0.02, atol=0)
    bounced = albedo * found.mean(0)
    assert_close(bounced, glow * albedo / (1 - albedo), rtol=0.02, atol=0)


def test_the_glow_is_the_mean_by_area():
    mesh = corner()
    shape = Shape(mesh)
    areas = mesh.area_faces
    floor = mesh.triangles_center[:, 2] < 1e-6
    radiance = torch.tensor(np.where(floor[:, None], [3.0, 0, 0], [0, 0.6, 0])).float()
    shape.transport.bounce(radiance, shape.vertices, shape.layout)
    share = areas[floor].sum() / areas.sum()
    glow = shape.transport.incident(torch.zeros(*MAP, 3)).glow[0]
    assert glow.tolist() == pytest.approx((3 * share, 0.6 * (1 - share), 0), rel=1e-4)


def test_colour_comes_from_the_wall_that_has_it():
    mesh = corner()
    shape = Shape(mesh)
    wall = mesh.triangles_center[:, 0] < 1e-6
    radiance = torch.tensor(np.where(wall[:, None], [1.0, 0, 0], [0, 0, 0])).float()
    shape.transport.bounce(radiance, shape.vertices, shape.layout)
    found = shape.irradiance(torch.zeros(*MAP, 3))
    near, far = (at(mesh, (x, 0.5, 0)) for x in (0.06, 0.94))
    assert found[near, 0] > 0.3
    assert found[far, 0] < 0.4 * found[near, 0]
    assert not found[:, 1:].any()
