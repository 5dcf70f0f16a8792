# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of known shapes from known cameras."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from photocast.data import Camera, Material, Mesh, Scene
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear
from photocast.stages.orbit import orbit_camera
from photocast.stages.render import Rendered, draw, drawable, render_view
from photocast.stages.turntable import turntable_frames, webp


def front_camera(width: int, height: int, *, cx: float | None = None) -> Camera:
    """At the origin, looking along +Z with a right angle over the width."""
    x = width / 2 if cx is None else cx
    return Camera(width, height, width / 2, width / 2, x, height / 2, np.eye(4))


def square(depth: float, half: float, color: tuple[float, float, float]) -> Mesh:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32) * half
    return Mesh(
        vertices=np.column_stack([corners, np.full(4, depth)]).astype(np.float32),
        faces=np.array([[0, 2, 1], [0, 3, 2]], dtype=np.int32),
        colors=np.tile(np.array(color, dtype=np.float32), (4, 1)),
    )


@pytest.mark.parametrize("size", [(64, 64), (37, 23), (30, 91)])
def test_a_square_lands_where_the_camera_projects_it(device, size):
    camera = front_camera(*size)
    mesh = square(3.0, 0.9, (1, 1, 1))
    picture = render_view(Scene(mesh, {}), camera, device=device)
    corners, _ = camera.project(mesh.vertices)
    low = np.clip(corners.min(axis=0), 0, size)
    high = np.clip(corners.max(axis=0), 0, size)
    # Antialiasing sums up to the covered area.
    assert picture.alpha.sum() / 255 == pytest.approx(np.prod(high - low), rel=0.03)
    ys, xs = np.nonzero(picture.alpha > 127)
    np.testing.assert_allclose([xs.min(), ys.min()], low, atol=1)
    np.testing.assert_allclose([xs.max() + 1, ys.max() + 1], high, atol=1)


def test_depth_is_the_distance_along_the_axis_and_zero_outside(device):
    picture = render_view(
        Scene(square(3.0, 0.9, (1, 1, 1)), {}), front_camera(32, 32), device=device
    )
    seen = picture.depth > 0
    np.testing.assert_allclose(picture.depth[seen], 3.0, rtol=1e-5)
    assert seen.sum() == pytest.approx((0.9 / 3 * 32) ** 2, rel=0.1)
    assert picture.depth.dtype == np.float32


def test_the_nearer_surface_wins():
    near, far = square(2.0, 0.5, (1, 0, 0)), square(4.0, 3.0, (0, 0, 1))
    both = Mesh(
        vertices=np.concatenate([far.vertices, near.vertices]),
        faces=np.concatenate([far.faces, near.faces + 4]),
        colors=np.concatenate([far.colors, near.colors]),
    )
    picture = render_view(Scene(both, {}), front_camera(64, 64))
    assert picture.rgb[32, 32].tolist() == [255, 0, 0]
    assert picture.rgb[32, 12].tolist() == [0, 0, 255]


def test_row_zero_is_the_top():
    mesh = square(2.0, 2.0, (0, 0, 0))
    shade = (mesh.vertices[:, 1:2] < 0).astype(np.float32)  # -Y is up in the camera frame
    picture = render_view(
        Scene(replace(mesh, colors=np.repeat(shade, 3, axis=1)), {}), front_camera(16, 16)
    )
    assert picture.rgb[0].mean() > picture.rgb[15].mean() + 100


@pytest.mark.parametrize("code", [0, 1, 60, 128, 254, 255])
def test_a_flat_texture_comes_back_bit_exact(code):
    mesh = square(2.0, 2.0, (0, 0, 0))
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    material = Material(base_color=linear_from_srgb(np.full((8, 8, 3), code, np.uint8)))
    textured = replace(mesh, colors=None, uvs=uvs, uv_faces=mesh.faces, material=material)
    picture = render_view(Scene(textured, {}), front_camera(16, 16))
    assert (picture.rgb[picture.alpha > 0] == code).all()


def test_a_texture_is_upright_and_not_mirrored():
    codes = np.zeros((2, 2, 3), np.uint8)
    codes[0, 0], codes[0, 1], codes[1, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    mesh = square(1.0, 1.0, (0, 0, 0))
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    material = Material(base_color=linear_from_srgb(codes))
    textured = replace(mesh, colors=None, uvs=uvs, uv_faces=mesh.faces, material=material)
    rgb = render_view(Scene(textured, {}), front_camera(8, 8)).rgb
    assert rgb[0, 0].argmax() == 0
    assert rgb[0, 7].argmax() == 1
    assert rgb[7, 0].argmax() == 2


def test_coverage_mixes_in_srgb_over_a_background():
    rgb = np.full((1, 2, 3), 200, np.uint8)
    picture = Rendered(rgb, np.array([[0, 51]], np.uint8), np.zeros((1, 2), np.float32))
    assert picture.over((10, 20, 30))[0].tolist() == [[10, 20, 30], [48, 56, 64]]
    np.testing.assert_array_equal(
        picture.over(100), picture.over(np.full((1, 2, 3), 100, np.uint8))
    )


def test_silhouette_colours_are_straight_not_darkened():
    picture = render_view(Scene(square(3.0, 0.87, (1, 1, 1)), {}), front_camera(33, 33))
    edge = (picture.alpha > 0) & (picture.alpha < 255)
    assert edge.any()
    assert (picture.rgb[edge] >= 254).all()


@pytest.mark.parametrize("style", ["color", "clay", "normal", "depth", "base_color"])
def test_supersampling_agrees_with_the_plain_picture(textured_sphere, style):
    scene = Scene(textured_sphere, {})
    camera = orbit_camera(textured_sphere.vertices, scene.up, size=(48, 40))
    one = render_view(scene, camera, style=style)
    four = render_view(scene, camera, style=style, supersample=2)
    assert four.rgb.shape == one.rgb.shape == (40, 48, 3)
    assert abs(one.alpha.astype(int).sum() / four.alpha.astype(int).sum() - 1) < 0.01
    inside = (one.alpha == 255) & (four.alpha == 255)
    assert np.abs(one.rgb[inside].astype(int) - four.rgb[inside]).mean() < 8


def test_clay_is_grey_and_turns_dark_towards_the_rim(textured_sphere):
    camera = orbit_camera(textured_sphere.vertices, np.array([0, 1, 0]), size=(64, 64))
    picture = render_view(Scene(textured_sphere, {}), camera, style="clay")
    assert (picture.rgb[..., 0] == picture.rgb[..., 2]).all()
    assert picture.rgb[24, 24, 0] > picture.rgb[52, 52, 0] + 40


def test_normals_point_at_the_camera_in_the_middle(textured_sphere):
    camera = orbit_camera(textured_sphere.vertices, np.array([0, 1, 0]), size=(65, 65))
    picture = render_view(Scene(textured_sphere, {}), camera, style="normal")
    np.testing.assert_allclose(picture.rgb[32, 32], [127, 127, 255], atol=6)
    assert picture.rgb[10, 32, 1] > 200  # +Y up is green


def test_the_depth_style_is_bright_where_near(textured_sphere):
    camera = orbit_camera(textured_sphere.vertices, np.array([0, 1, 0]), size=(65, 65))
    picture = render_view(Scene(textured_sphere, {}), camera, style="depth")
    nearest = np.unravel_index(np.where(picture.depth > 0, picture.depth, 99).argmin(), (65, 65))
    assert picture.rgb[nearest].min() == 255


def test_without_any_colour_the_picture_is_clay():
    mesh = replace(square(2.0, 1.0, (0, 0, 0)), colors=None)
    plain, clay = (
        render_view(Scene(mesh, {}), front_camera(16, 16), style=style)
        for style in ("color", "clay")
    )
    np.testing.assert_array_equal(plain.rgb, clay.rgb)


def test_the_base_colour_of_an_unlit_mesh_is_what_it_looks_like(textured_sphere):
    camera = orbit_camera(textured_sphere.vertices, np.array([0, 1, 0]), size=(32, 32))
    painted = square(3.0, 0.9, (0.2, 0.5, 0.8))
    for mesh, at in ((textured_sphere, camera), (painted, front_camera(32, 32))):
        plain, base = (
            render_view(Scene(mesh, {}), at, style=style) for style in ("color", "base_color")
        )
        np.testing.assert_array_equal(plain.rgb, base.rgb)
        np.testing.assert_array_equal(plain.alpha, base.alpha)


def test_a_principal_point_moves_the_picture():
    scene = Scene(square(3.0, 0.5, (1, 1, 1)), {})
    middle = render_view(scene, front_camera(64, 64)).alpha
    moved = render_view(scene, front_camera(64, 64, cx=42.0)).alpha
    np.testing.assert_array_equal(np.roll(middle, 10, axis=1), moved)


def test_an_object_behind_the_camera_or_nothing_leaves_an_empty_picture():
    behind = render_view(Scene(square(-3.0, 1.0, (1, 1, 1)), {}), front_camera(8, 8))
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    for picture in (behind, render_view(Scene(empty, {}), front_camera(8, 8))):
        assert picture.alpha.max() == 0
        assert picture.depth.max() == 0


def test_one_upload_draws_the_same_as_many(textured_sphere):
    camera = orbit_camera(textured_sphere.vertices, np.array([0, 1, 0]), size=(32, 32))
    item = drawable(textured_sphere)
    np.testing.assert_array_equal(
        draw(item, camera).rgb, render_view(Scene(textured_sphere, {}), camera).rgb
    )


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (0, -1, 0), (1, 2, 3)])
@pytest.mark.parametrize("elevation_deg", [-90, -30, 0, 45, 90])
def test_an_orbit_sees_the_whole_object_upright(textured_sphere, up, elevation_deg):
    direction = np.array(up) / np.linalg.norm(up)
    vertices = textured_sphere.vertices * [1, 2, 0.5] + [5, 0, -3]
    for azimuth_deg in (0, 77, 200):
        camera = orbit_camera(
            vertices, direction, azimuth_deg=azimuth_deg, elevation_deg=elevation_deg, size=(90, 60)
        )
        pixels, depth = camera.project(vertices)
        assert (depth > 0).all()
        assert ((pixels > 0) & (pixels < [90, 60])).all()
        if abs(elevation_deg) < 90:
            middle = (vertices.max(axis=0) + vertices.min(axis=0)) / 2
            (low, high), _ = camera.project(np.stack([middle, middle + 0.1 * direction]))
            assert high[1] < low[1]
            assert high[0] == pytest.approx(low[0], abs=1e-6)


def test_a_turntable_turns_once_at_a_steady_pace(textured_sphere):
    calls = []
    frames = turntable_frames(
        Scene(textured_sphere, {}), frames=6, size=48, progress=lambda *a, **k: calls.append(a)
    )
    assert calls == [("turntable", done, 6) for done in range(1, 7)]
    assert {frame.shape for frame in frames} == {(48, 48, 3)}
    for one, other in zip(frames, frames[1:] + frames[:1], strict=True):
        assert np.abs(one.astype(int) - other).mean() > 1


def test_a_turntable_is_an_endless_animation(textured_sphere, tmp_path):
    from PIL import Image

    (tmp_path / "t.webp").write_bytes(
        webp(turntable_frames(Scene(textured_sphere, {}), frames=5, size=32))
    )
    with Image.open(tmp_path / "t.webp") as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (5, (32, 32), 0)


def test_drawing_keeps_no_gradient(textured_sphere):
    item = drawable(textured_sphere)
    item.texture.texels.requires_grad_(True)
    camera = orbit_camera(textured_sphere.vertices, np.array([0, 1, 0]), size=(16, 16))
    assert draw(item, camera).rgb.any()
    assert item.texture.texels.grad is None
    assert torch.is_grad_enabled()


def test_linear_light_is_averaged_not_codes():
    # Half black, half white, seen as one pixel: linear 0.5 is code 188, not 128.
    mesh = square(1.0, 1.0, (0, 0, 0))
    codes = np.indices((64, 64)).sum(axis=0) % 2
    material = Material(base_color=np.repeat(codes[..., None], 3, axis=2).astype(np.float32))
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    textured = replace(mesh, colors=None, uvs=uvs, uv_faces=mesh.faces, material=material)
    picture = render_view(Scene(textured, {}), front_camera(4, 4))
    np.testing.assert_allclose(picture.rgb, srgb_from_linear(np.array(0.5)), atol=2)
