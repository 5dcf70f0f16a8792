# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces with known colours, photographed by our own renderer and painted again."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from photocast.config import TextureConfig, UnwrapConfig
from photocast.data import Camera, Material, Mesh, Photo
from photocast.errors import CaptureError, ConfigError, MeshError
from photocast.formats.meshes import load_mesh
from photocast.formats.srgb import srgb_from_linear
from photocast.stages.ingest import decode_photos, read_capture
from photocast.stages.render import draw, drawable, over
from photocast.stages.texture import fitting_size, texture
from photocast.stages.texture_fill import fill_gutters, surface_texels, vertex_spread
from photocast.stages.unwrap import unwrap

CONFIG = TextureConfig(size=256)


def camera_at(center, size: int = 128) -> Camera:
    """Look at the origin, +Z up, the unit sphere well inside."""
    center = np.asarray(center, float)
    forward = -center / np.linalg.norm(center)
    right = np.cross(forward, [0.1, 0.2, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ center
    return Camera(size, size, 1.25 * size, 1.25 * size, size / 2, size / 2, pose)


def around(count: int, turn: float = 0.0) -> list[Camera]:
    """Cameras evenly over a sphere of radius 3.2 (a Fibonacci spiral)."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k + turn
    ring = np.sqrt(1 - z * z)
    return [
        camera_at(3.2 * np.array(c))
        for c in zip(ring * np.cos(angle), ring * np.sin(angle), z, strict=True)
    ]


def blob() -> Mesh:
    """A sphere with bumps: charts, curvature, no symmetry."""
    sphere = trimesh.creation.icosphere(5)
    v = sphere.vertices
    radius = 0.85 + 0.12 * np.sin(3 * v[:, 0] + 1) * np.cos(4 * v[:, 1]) * np.cos(2 * v[:, 2])
    return Mesh((v * radius[:, None]).astype(np.float32), sphere.faces.astype(np.int32))


def painted(pattern) -> Mesh:
    """The blob, coloured at its vertices."""
    mesh = blob()
    return replace(mesh, colors=pattern(mesh.vertices).astype(np.float32))


def waves(place):
    return 0.5 + 0.35 * np.sin(9 * place + [0, 1, 2])


def shoot(mesh: Mesh, cameras: list[Camera]) -> list[Photo]:
    item = drawable(mesh)
    photos = []
    for number, camera in enumerate(cameras):
        picture = draw(item, camera, supersample=2)
        photos.append(Photo(f"{number:02}", camera, picture.rgb, picture.alpha))
    return photos


def psnr(mesh: Mesh, photos: list[Photo]) -> float:
    item = drawable(mesh)
    errors = []
    for photo in photos:
        got = draw(item, photo.camera, supersample=2).over(255).astype(float)
        errors.append(((got - over(photo.rgb, photo.mask, 255)) ** 2).mean())
    return float(10 * np.log10(255**2 / np.mean(errors)))


@pytest.fixture(scope="module")
def bare() -> Mesh:
    return unwrap(blob(), UnwrapConfig(size=256))


@pytest.fixture(scope="module")
def wavy_photos() -> list[Photo]:
    return shoot(painted(waves), around(20))


@pytest.fixture(scope="module")
def wavy(bare, wavy_photos) -> Mesh:
    return texture(bare, wavy_photos, CONFIG)


def test_new_views_look_as_the_truth(wavy):
    assert wavy.material.base_color.shape == (256, 256, 3)
    assert wavy.material.base_color.dtype == np.float32
    assert psnr(wavy, shoot(painted(waves), around(7, turn=0.4))) > 42


def test_both_sides_of_a_seam_have_the_same_colour(wavy):
    # The middle of every edge, seen from both of its faces, between the texels as a viewer does.
    middle_uv = {}
    for face, uv_face in zip(wavy.faces, wavy.uv_faces, strict=True):
        for i in range(3):
            j = (i + 1) % 3
            key = tuple(sorted((int(face[i]), int(face[j]))))
            place = (wavy.uvs[uv_face[i]] + wavy.uvs[uv_face[j]]) / 2
            middle_uv.setdefault(key, []).append(place)
    pairs = np.array([p for p in middle_uv.values() if np.abs(p[0] - p[1]).max() > 1e-6])
    assert len(pairs) > 100
    sides = [bilinear(wavy.material.base_color, pairs[:, side]) for side in (0, 1)]
    steps = np.abs(np.subtract(*(srgb_from_linear(side).astype(int) for side in sides)))
    assert np.percentile(steps, 99) <= 8
    assert steps.mean() < 1.5


def bilinear(image, uv):
    x, y = (uv * image.shape[0] - 0.5).T
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    upper = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
    lower = image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx
    return upper * (1 - fy) + lower * fy


@pytest.mark.parametrize("cameras", [around(12), around(12)[:2]], ids=["all round", "one side"])
def test_one_colour_fills_every_texel(bare, cameras):
    """Seen, unseen and between charts alike; nothing of the green background gets in."""
    color = np.array([0.6, 0.2, 0.1])
    photos = [
        replace(photo, rgb=over(photo.rgb, photo.mask, (0, 255, 0)))
        for photo in shoot(painted(lambda place: np.broadcast_to(color, place.shape)), cameras)
    ]
    result = texture(bare, photos, CONFIG).material.base_color
    codes = srgb_from_linear(result).astype(int)
    assert np.abs(codes - srgb_from_linear(color)).max() <= 1


def test_photos_without_masks_take_the_outline_from_the_mesh(bare):
    color = np.array([0.6, 0.2, 0.1])
    photos = [
        replace(photo, rgb=over(photo.rgb, photo.mask, (0, 255, 0)), mask=None)
        for photo in shoot(painted(lambda place: np.broadcast_to(color, place.shape)), around(8))
    ]
    codes = srgb_from_linear(texture(bare, photos, CONFIG).material.base_color).astype(int)
    assert np.abs(codes - srgb_from_linear(color)).max() <= 1


def test_something_in_front_of_a_few_photos_leaves_no_stain(bare, wavy_photos):
    stained = []
    for number, photo in enumerate(wavy_photos):
        rgb = photo.rgb.copy()
        if number % 6 == 0:
            rgb[50:80, 50:80] = (20, 20, 20)
        stained.append(replace(photo, rgb=rgb))
    tests = shoot(painted(waves), around(7, turn=0.4))
    trusting = texture(bare, stained, replace(CONFIG, robust_rounds=0))
    assert psnr(texture(bare, stained, CONFIG), tests) > psnr(trusting, tests) + 15


def test_corrections_sharpen_the_first_average(bare, wavy_photos, wavy):
    tests = shoot(painted(waves), around(7, turn=0.4))
    average = texture(bare, wavy_photos, replace(CONFIG, iterations=0))
    assert psnr(wavy, tests) > psnr(average, tests) + 1


def test_the_same_photos_give_the_same_texture(bare, wavy_photos, wavy):
    again = texture(bare, wavy_photos, CONFIG)
    np.testing.assert_array_equal(again.material.base_color, wavy.material.base_color)


def test_keeping_fewer_pixels_still_gives_the_picture(bare, wavy_photos):
    thin = texture(bare, wavy_photos, replace(CONFIG, max_samples=40_000))
    assert psnr(thin, shoot(painted(waves), around(5, turn=0.4))) > 35


def test_progress_counts_photos_and_corrections(bare, wavy_photos):
    calls = []
    texture(
        bare,
        wavy_photos[:3],
        replace(CONFIG, iterations=2),
        progress=lambda stage, done, total, **numbers: calls.append((stage, done, total)),
    )
    assert calls == [("texture", done, 5) for done in range(1, 6)]


def test_no_photos_are_refused(bare):
    with pytest.raises(CaptureError) as caught:
        texture(bare, [])
    assert caught.value.code == "capture.no_photos"


def test_a_mesh_without_uvs_is_refused():
    with pytest.raises(MeshError, match="unwrap") as caught:
        texture(blob(), [])
    assert caught.value.code == "mesh.no_uvs"


@pytest.mark.parametrize("change", [{"size": 8}, {"min_cosine": 1.5}, {"levels": 0}])
def test_settings_outside_their_limits_are_refused(change):
    with pytest.raises(ConfigError, match=f"texture.{next(iter(change))}"):
        TextureConfig(**change)


def test_the_size_follows_the_pixels_on_the_surface():
    # A pixel is 3.2 / 160 wide on the blob, whose area is about 9: 194 texels on a side.
    photos = [Photo("a", camera, np.zeros((128, 128, 3), np.uint8), None) for camera in around(6)]
    assert fitting_size(blob(), photos) == 256
    near = [replace(photo, camera=photo.camera.resized(1024, 1024)) for photo in photos]
    assert fitting_size(blob(), near) == 2048


def test_a_texel_knows_its_place_on_the_surface(bare):
    texels = surface_texels(bare, 256)
    assert len(np.unique(texels.index)) == len(texels.index)
    np.testing.assert_allclose(texels.bary.sum(axis=1), 1, atol=1e-5)
    # UVs per vertex are unique inside a chart: find the one of the corner that is nearest.
    center = np.stack([texels.index % 256, texels.index // 256], axis=1) + 0.5
    corner_uv = {}
    for face, uv_face in zip(bare.faces, bare.uv_faces, strict=True):
        corner_uv[tuple(face)] = bare.uvs[uv_face]
    uv = np.array([corner_uv[tuple(v)] for v in texels.vertex])
    np.testing.assert_allclose((uv * texels.bary[..., None]).sum(axis=1) * 256, center, atol=1e-3)


def test_colours_spread_over_the_surface_within_their_range(bare):
    texels = surface_texels(bare, 256)
    place = (bare.vertices[texels.vertex] * texels.bary[..., None]).sum(axis=1)
    color = waves(place).astype(np.float32)
    trust = (bare.vertices[texels.vertex[:, 0], 2] > 0.3).astype(np.float32)
    spread = vertex_spread(bare, texels, color, trust)
    seen = color[trust > 0]
    assert (spread >= seen.min(axis=0) - 2e-3).all()
    assert (spread <= seen.max(axis=0) + 2e-3).all()
    high = bare.vertices[:, 2] > 0.5
    assert np.abs(spread - waves(bare.vertices))[high].mean() < 0.03


def test_gutters_keep_what_is_known_and_invent_no_new_colour():
    rng = np.random.default_rng(0)
    image = rng.random((37, 50, 3)).astype(np.float32)
    known = rng.random((37, 50)) < 0.05
    filled = fill_gutters(image, known)
    np.testing.assert_array_equal(filled[known], image[known])
    assert (filled >= image[known].min(axis=0) - 1e-6).all()
    assert (filled <= image[known].max(axis=0) + 1e-6).all()


def test_a_texture_only_replaces_the_base_colour(bare, wavy_photos):
    rough = np.full((4, 4), 0.3, np.float32)
    start = replace(bare, material=Material(roughness=rough))
    result = texture(start, wavy_photos[:2], replace(CONFIG, iterations=0))
    assert result.material.roughness is rough
    np.testing.assert_array_equal(result.uvs, bare.uvs)


@pytest.mark.data
def test_spot_is_painted_up_to_the_noise_of_its_photos(capture_folder):
    folder = capture_folder("spot")
    capture = read_capture(folder)
    decode = {"mask_source": capture.mask_source, "max_size": 256}
    photos = decode_photos(capture.views, **decode)
    truth = load_mesh(folder / "ground_truth.ply")
    mesh = unwrap(Mesh(truth.vertices, truth.faces), UnwrapConfig(size=512))
    result = texture(mesh, photos, TextureConfig(size=512))
    assert psnr(result, list(decode_photos(capture.test_views, **decode))) > 35.5
