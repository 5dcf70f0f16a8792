# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of shapes whose picture is known."""

import math

import cv2
import numpy as np
import pytest
import torch
import trimesh
import warp as wp

from photocast.errors import ConfigError
from photocast.kernels.pathtrace_material import Surface
from photocast.ops import pathtrace as op
from photocast.ops.pathtrace import (
    EnvironmentSampler,
    PathtraceOptions,
    Pinhole,
    RayMesh,
    pathtrace,
)

SIZE = 48


def material(*, base: float, specular: float, roughness: float):
    """One colour all over, as a Warp function."""

    @wp.func
    def surface_at(position: wp.vec3, normal: wp.vec3) -> Surface:
        surface = Surface()
        surface.base_color = wp.vec3(wp.static(base))
        surface.specular = wp.static(specular)
        surface.roughness = wp.static(roughness)
        surface.normal = normal
        return surface

    return surface_at


WHITE = material(base=1.0, specular=0.0, roughness=1.0)
GREY = material(base=0.5, specular=0.0, roughness=1.0)


def sphere(*, radius=0.5, center=(0.0, 0.0, 0.0)) -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=5, radius=radius)
    return ball.apply_translation(center)


def ray_mesh(mesh: trimesh.Trimesh, device: torch.device) -> RayMesh:
    vertices = torch.tensor(np.array(mesh.vertices), dtype=torch.float32, device=device)
    return RayMesh(vertices, torch.tensor(np.array(mesh.faces), dtype=torch.int32))


def camera() -> Pinhole:
    """On -Y, looking along +Y, upright in a +Z up world; off-centre, not square."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 1] = torch.tensor([0.0, 0.0, -1.0])
    pose[:3, 2] = torch.tensor([0.0, 1.0, 0.0])
    pose[:3, 3] = torch.tensor([0.0, -3.0, 0.0])
    return Pinhole(
        width=SIZE + 8,
        height=SIZE,
        focal=(2.2 * SIZE, 2.0 * SIZE),
        center=(SIZE / 2 + 5.3, SIZE / 2 - 1.7),
        world_from_camera=pose,
    )


def pixel_rays(view: Pinhole) -> np.ndarray:
    """World directions through the pixel centres, of length 1 along the viewing axis, (h, w, 3)."""
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    local = np.stack(
        [(x - view.center[0]) / view.focal[0], (y - view.center[1]) / view.focal[1], x * 0 + 1], -1
    )
    return local @ view.world_from_camera.numpy()[:3, :3].T


def sphere_hits(view: Pinhole, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Depth (h, w), NaN beside the sphere, and outward normal (h, w, 3), by the quadratic."""
    rays = pixel_rays(view)
    eye = view.world_from_camera.numpy()[:3, 3]
    a, b, c = (rays**2).sum(-1), rays @ eye, eye @ eye - radius**2
    root = b**2 - a * c
    depth = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.nan)
    return depth, (eye + rays * depth[..., None]) / radius


def even_light(device: torch.device, radiance: float = 1.0) -> EnvironmentSampler:
    return EnvironmentSampler(torch.full((8, 16, 3), radiance, device=device))


def picture(shape: trimesh.Trimesh, light, surface_at, **options) -> tuple[np.ndarray, np.ndarray]:
    color, depth = pathtrace(
        ray_mesh(shape, light.radiance.device),
        light,
        camera(),
        surface_at=surface_at,
        options=PathtraceOptions(**options),
    )
    return color.cpu().numpy(), depth.cpu().numpy()


def inside(color: np.ndarray) -> np.ndarray:
    """Colours of the pixels that the object covers entirely, (n, 3)."""
    seen = color[color[..., 3] == 1][:, :3]
    assert len(seen) > 300
    return seen


def test_alpha_is_the_share_of_the_pixel_that_the_silhouette_covers(device):
    turn = trimesh.transformations.rotation_matrix(0.9, [1, 0.4, 0.2])
    ring = trimesh.creation.torus(0.4, 0.12).apply_transform(turn)
    color, _ = picture(ring, even_light(device), GREY, sample_count=256)
    view, fine = camera(), 32  # sub-pixels per side of the reference
    world = view.world_from_camera.numpy()
    local = (ring.vertices - world[:3, 3]) @ world[:3, :3]
    pixels = local[:, :2] / local[:, 2:] * view.focal + view.center
    canvas = np.zeros((view.height * fine, view.width * fine), np.uint8)
    for triangle in pixels[ring.faces]:
        # OpenCV's first sub-pixel centre is 0, ours 0.5.
        corners = np.rint((triangle * fine - 0.5) * 256).astype(np.int32)
        cv2.fillConvexPoly(canvas, corners, 1, shift=8)
    cells = canvas.reshape(view.height, fine, view.width, fine)
    coverage = cells.mean(axis=(1, 3), dtype=np.float64)
    # OpenCV also paints sub-pixels that an edge only touches: half a sub-pixel all around.
    np.testing.assert_allclose(color[..., 3], coverage, atol=0.08)
    assert color[..., 3].sum() == pytest.approx(coverage.sum(), rel=0.01)
    assert (color[..., :3][color[..., 3] == 0] == 0).all()


def test_depth_is_the_distance_to_a_sphere_along_the_axis(device):
    _, depth = picture(sphere(), even_light(device), GREY, sample_count=1)
    exact, normal = sphere_hits(camera(), 0.5)
    facing = (
        -(normal * pixel_rays(camera())).sum(-1) > 0.3
    )  # at the rim the mesh is a little inside
    assert facing.sum() > 400
    np.testing.assert_allclose(depth[facing], exact[facing], atol=1e-3)
    around = cv2.dilate(np.isfinite(exact).astype(np.uint8), np.ones((3, 3)))
    assert (depth[around == 0] == 0).all()


@pytest.mark.parametrize(("surface_at", "albedo"), [(WHITE, 1.0), (GREY, 0.5)])
def test_a_matte_sphere_in_even_light_shows_albedo_times_light(device, surface_at, albedo):
    color, _ = picture(sphere(), even_light(device, 0.8), surface_at, sample_count=256)
    np.testing.assert_allclose(inside(color), albedo * 0.8, rtol=0.05)
    assert inside(color).mean() == pytest.approx(albedo * 0.8, rel=2e-3)


def test_white_shapes_that_see_each_other_vanish_in_even_light(device):
    # What is shadowed comes back by reflection; only paths longer than the limit are lost.
    pair = sphere(center=(-0.3, 0, 0), radius=0.3) + sphere(center=(0.3, 0, 0), radius=0.3)
    color, _ = picture(pair, even_light(device), WHITE, sample_count=64, bounce_count=8)
    assert inside(color).mean() == pytest.approx(1.0, abs=5e-3)
    direct, _ = picture(pair, even_light(device), WHITE, sample_count=64, bounce_count=0)
    assert inside(direct).mean() < 0.97


def test_a_linear_light_gives_the_closed_form_shading(device):
    # Radiance 1 + w.d gives a matte surface of normal n the radiance albedo (1 + 2/3 n.d).
    toward = np.array([0.6, -0.48, 0.64])
    polar = (np.arange(64)[:, None] + 0.5) / 64 * math.pi
    turn = (np.arange(128) + 0.5) / 64 * math.pi
    flat = np.cos(turn) * toward[0] + np.sin(turn) * toward[1]
    radiance = 1 + np.sin(polar) * flat + np.cos(polar) * toward[2]
    light = torch.tensor(radiance, dtype=torch.float32, device=device)[..., None].repeat(1, 1, 3)
    color, _ = picture(sphere(), EnvironmentSampler(light), GREY, sample_count=256, bounce_count=0)
    _, normal = sphere_hits(camera(), 0.5)
    inner = color[..., 3] == 1
    error = color[inner][:, 0] - 0.5 * (1 + 2 / 3 * normal[inner] @ toward)
    assert np.abs(error).max() < 0.04
    assert abs(error.mean()) < 1e-3


def coat_albedo(cosine: np.ndarray, roughness: float) -> np.ndarray:
    """Share of even light that a coat of reflectance 1 returns towards ``cosine``, by quadrature.

    Half vectors are drawn from the distribution; masking by Smith's Lambda, written as by Heitz.
    """
    u, v = (np.mgrid[:200, :200].reshape(2, -1) + 0.5) / 200
    alpha = roughness**2
    tangent = alpha * np.sqrt(u / (1 - u))
    half = np.stack([tangent * np.cos(2 * np.pi * v), tangent * np.sin(2 * np.pi * v), u * 0 + 1])
    half = half / np.linalg.norm(half, axis=0)

    def hidden(z: np.ndarray) -> np.ndarray:
        return (np.sqrt(1 + alpha**2 * (1 / z**2 - 1)) - 1) / 2

    results = []
    for z in cosine:
        eye = np.array([np.sqrt(1 - z * z), 0, z])
        along = eye @ half
        out = 2 * along * half[2] - z
        seen = (along > 0) & (out > 0)
        visible = 1 / (1 + hidden(z) + hidden(np.where(seen, out, 1)))
        results.append(np.where(seen, visible * along / (z * half[2]), 0).mean())
    return np.array(results)


@pytest.mark.parametrize("roughness", [0.2, 0.5, 1.0])
def test_a_coat_returns_as_much_light_as_its_formula_and_never_more_than_all(device, roughness):
    def shoot(base: float, specular: float) -> np.ndarray:
        surface_at = material(base=base, specular=specular, roughness=roughness)
        light = even_light(device)
        return picture(sphere(), light, surface_at, sample_count=256, bounce_count=0)[0]

    rays = pixel_rays(camera())
    _, normal = sphere_hits(camera(), 0.5)
    cosine = -(normal * rays).sum(-1) / np.linalg.norm(rays, axis=-1)
    nodes = np.linspace(0.05, 1, 30)
    coat = shoot(base=0.0, specular=1.0)
    seen = cosine[coat[..., 3] == 1]
    exact = np.interp(seen, nodes, coat_albedo(nodes, roughness)).mean()
    assert exact < 1
    assert inside(coat).mean() == pytest.approx(exact, abs=0.005)
    assert 0.8 < inside(shoot(base=1.0, specular=0.04)).mean() < 1.005


def test_a_light_on_one_side_leaves_the_other_dark(device):
    radiance = torch.zeros(32, 64, 3, device=device)
    radiance[14:18, 62:] = 50.0  # just before +X, near the horizon
    color, _ = picture(
        sphere(), EnvironmentSampler(radiance), GREY, sample_count=64, bounce_count=0
    )
    _, normal = sphere_hits(camera(), 0.5)
    inner = color[..., 3] == 1
    away, toward = inner & (normal[..., 0] < -0.25), inner & (normal[..., 0] > 0.25)
    assert min(away.sum(), toward.sum()) > 50
    assert (color[away][:, :3] == 0).all()
    assert (color[toward][:, :3] > 0).all()


def test_equal_seeds_give_equal_pictures_on_any_number_of_threads(device, monkeypatch):
    def shoot(seed: int, parts: int) -> np.ndarray:
        monkeypatch.setattr(op, "part_count", lambda device: parts)
        return picture(sphere(), even_light(device), GREY, sample_count=4, seed=seed)[0]

    one = shoot(3, 1)
    np.testing.assert_array_equal(one, shoot(3, 1))
    np.testing.assert_array_equal(one, shoot(3, 5))
    assert (one != shoot(4, 1)).any()


@pytest.mark.parametrize("wrong", [{"sample_count": 0}, {"sample_count": 24}, {"bounce_count": -1}])
def test_options_outside_their_limits_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=f"{name} = {value}"):
        PathtraceOptions(**wrong)
