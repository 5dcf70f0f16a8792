# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fewer triangles, still closed, near the old surface, and with the old picture on them."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from photocast.data import Light, Material, Mesh
from photocast.errors import UserError
from photocast.stages.mesh_distance import mesh_distances
from photocast.stages.orbit import orbit_camera
from photocast.stages.render import draw, drawable
from photocast.stages.simplify import simplify
from photocast.stages.validate import check_mesh

UP = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def detailed(textured_sphere) -> Mesh:
    """The sphere with its chequers, with nine times as many triangles."""
    mesh = textured_sphere
    corners, uvs = mesh.vertices[mesh.faces].astype(float), mesh.uvs[mesh.uv_faces].astype(float)
    steps = [(i, j) for i in range(3) for j in range(3 - i)]
    cells = [((i, j), (i + 1, j), (i, j + 1)) for i, j in steps]
    cells += [((i + 1, j), (i + 1, j + 1), (i, j + 1)) for i, j in steps if i + j < 2]
    weights = np.array([[[3 - i - j, i, j] for i, j in cell] for cell in cells]) / 3
    places = np.einsum("kab,fbc->fkac", weights, corners).reshape(-1, 3)
    spread = np.einsum("kab,fbc->fkac", weights, uvs).reshape(-1, 2)
    _, first, vertex = np.unique(places.round(6), axis=0, return_index=True, return_inverse=True)
    return replace(
        mesh,
        vertices=places[first].astype(np.float32),
        faces=vertex.reshape(-1, 3).astype(np.int32),
        uvs=spread.astype(np.float32),
        uv_faces=np.arange(len(spread), dtype=np.int32).reshape(-1, 3),
        material=replace(mesh.material, unlit=True),
    )


def pictures(mesh: Mesh, light: Light | None = None):
    item = drawable(mesh, light=light)
    cameras = [
        orbit_camera(mesh.vertices, UP, azimuth_deg=a, elevation_deg=e, size=(160, 160))
        for a, e in ((20, 10), (140, -30), (260, 40))
    ]
    return [draw(item, camera, supersample=2) for camera in cameras]


def psnr(one: Mesh, other: Mesh, light: Light | None = None) -> float:
    """Of the pixels that both cover whole [dB]: outlines are not what is asked here."""
    errors = []
    for a, b in zip(pictures(one, light), pictures(other, light), strict=True):
        both = (a.alpha == 255) & (b.alpha == 255)
        errors.append(((a.rgb[both].astype(float) - b.rgb[both]) ** 2).mean() / 255**2)
    return float(-10 * np.log10(np.mean(errors)))


def test_the_texture_comes_along(detailed):
    made = simplify(detailed, 1600)
    assert len(made.faces) <= 1600 < len(detailed.faces) / 3
    assert made.material.base_color.shape == (128, 128, 3)
    assert [c.name for c in check_mesh(made) if c.passed is False] == []
    assert psnr(detailed, made) > 28
    flat = replace(made, material=Material(base_color=np.full((2, 2, 3), 0.3, np.float32)))
    assert psnr(detailed, flat) < 20, "the picture hardly shows the texture"


def test_levels_halve_the_maps(detailed):
    sizes = [simplify(detailed, 1000, level=k).material.base_color.shape[0] for k in range(3)]
    assert sizes == [128, 64, 64]


def test_relief_that_triangles_lose_goes_into_the_normal_map(uneven_light):
    ball = trimesh.creation.icosphere(5)
    bumps = 1 + 0.02 * np.sin(14 * ball.vertices).prod(axis=1, keepdims=True)
    around = np.arctan2(ball.vertices[:, 2], ball.vertices[:, 0]) / (2 * np.pi) + 0.5
    uvs = np.stack([around, ball.vertices[:, 1] / 2 + 0.5], axis=1).astype(np.float32)
    faces = ball.faces.astype(np.int32)
    grey = Material(
        base_color=np.full((256, 256, 3), 0.5, np.float32),
        roughness=np.full((4, 4), 0.6, np.float32),
        metallic=np.zeros((4, 4), np.float32),
        unlit=False,
    )
    mesh = Mesh((ball.vertices * bumps).astype(np.float32), faces, uvs, faces, material=grey)
    made = simplify(mesh, 600)
    assert made.material.normal.shape == (256, 256, 3)
    np.testing.assert_allclose(np.linalg.norm(made.material.normal, axis=2), 1, atol=0.2)
    smooth = replace(made, material=replace(made.material, normal=None))
    assert psnr(mesh, made, uneven_light) > psnr(mesh, smooth, uneven_light) + 2


def test_colours_of_vertices_come_from_the_nearest_places():
    ball = trimesh.creation.icosphere(4)
    places = ball.vertices.astype(np.float32)
    mesh = Mesh(places, ball.faces.astype(np.int32), colors=places * 0.5 + np.float32(0.5))
    made = simplify(mesh, 700)
    np.testing.assert_allclose(made.colors, made.vertices * 0.5 + 0.5, atol=0.02)
    assert mesh_distances(made, mesh, point_count=5000).chamfer < 0.01


def test_what_is_small_enough_stays_as_it_is(textured_sphere):
    assert simplify(textured_sphere, len(textured_sphere.faces)) is textured_sphere


@pytest.mark.parametrize("count", [20, 60, 400])
def test_a_closed_surface_stays_closed_and_no_larger_than_asked(count):
    torus = trimesh.creation.torus(1.0, 0.4)
    mesh = Mesh(torus.vertices.astype(np.float32), torus.faces.astype(np.int32))
    made = simplify(mesh, count)
    found = {check.name: check.value for check in check_mesh(made)}
    assert 4 <= len(made.faces) <= count
    assert found["mesh.watertight"] is True


def test_fewer_than_a_tetrahedron_is_refused(textured_sphere):
    with pytest.raises(UserError, match="least is 4") as caught:
        simplify(textured_sphere, 3)
    assert caught.value.code == "simplify.faces"
