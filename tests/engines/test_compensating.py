# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos correct the second flow: by the right gradient, to a smaller difference, or not at all.

The model is tiny and seeded, so its objects mean nothing; what one latent looks like is another
one's photo.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from photocast.config import CompensationConfig, GenerateConfig, PlaceConfig
from photocast.data import Camera, Photo, Picture
from photocast.engines.generate import Generate, engine
from photocast.engines.generate.compensating import (
    compensated,
    draw_latent,
    trusted,
    wanted_squares,
)
from photocast.engines.generate.networks import Networks
from photocast.engines.generate.placing import Placing
from photocast.engines.generate.sampling import Latent, sample_latent, sample_structure
from photocast.engines.generate.views import see
from photocast.errors import Cancelled, ConfigError
from photocast.nets.compensation import view_losses
from photocast.nets.flexicubes import extract_mesh
from photocast.nets.seeded import write_test_weights
from photocast.nets.voxels import Voxels
from photocast.nets.weights import WeightFolder
from photocast.progress import silent
from photocast.stages.place_targets import cameras_at
from photocast.stages.place_views import Placed, PlacedView

CPU = torch.device("cpu")
SIZE = 96
EYES = ((2, 0.3, 0.5), (-0.5, 2, 0.8), (0.4, -1.6, -1.5))


def toward_middle(eye):
    eye = np.array(eye, dtype=float)
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = [right, np.cross(forward, right), forward]
    pose[:3, 3] = -pose[:3, :3] @ eye
    return Camera(SIZE, SIZE, 150, 150, SIZE / 2, SIZE / 2, pose)


CAMERAS = [toward_middle(eye) for eye in EYES]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    weights = write_test_weights(tmp_path_factory.mktemp("weights")).root
    return GenerateConfig(
        weights=str(weights),
        structure_steps=4,
        detail_steps=4,
        texture=64,
        seed=3,
        place=PlaceConfig(rotations=24),
        compensation=CompensationConfig(enabled=True, size=48),
    )


@pytest.fixture(scope="module")
def networks(config):
    return Networks(WeightFolder(Path(config.weights)), CPU, torch.float32)


@pytest.fixture(scope="module")
def seen(networks, config):
    """Conditions, and a latent sampled without correction."""
    images = torch.rand(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    conditions = see(networks, images)
    coords = sample_structure(networks, conditions, config, silent).coords
    middle = ((coords[:, 1:] >= 2) & (coords[:, 1:] <= 5)).all(1)
    voxels = Voxels(coords[middle])  # fewer, which is quicker
    return conditions, sample_latent(networks, conditions, voxels, config, silent)


@pytest.fixture(scope="module")
def placing(networks, seen, config):
    """Photos of another latent on the same voxels, from cameras that are known."""
    conditions, latent = seen
    return shown(networks, conditions, latent.voxels, config)


def shown(networks, conditions, voxels, config):
    goal = sample_latent(networks, conditions, voxels, replace(config, seed=4), silent)
    with torch.no_grad(), networks.use("slat_decoder_mesh") as decoder:
        drawn = draw_latent(decoder, goal, cameras_at(CAMERAS, SIZE, 1.0, CPU), SIZE)
    rgb = (drawn.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    photos = [
        Photo(f"{number}", camera, rgb[number].copy(), (rgb[number].any(-1) * 255).astype(np.uint8))
        for number, camera in enumerate(CAMERAS)
    ]
    return Placing(Placed(tuple(PlacedView(photo, 0.95, 0.9) for photo in photos)), 0.5)


@pytest.fixture
def movable(seen):
    """Features that gradient reaches, on voxels without tables from inference mode."""
    features, voxels = seen[1]
    return features.clone().requires_grad_(), Voxels(voxels.coords.clone())


def slope(function, x, direction, step=0.01):
    """Central difference along a direction."""
    with torch.no_grad():
        more, less = function(x + step * direction), function(x - step * direction)
    return float(more - less) / (2 * step)


def test_gradient_through_decoder_and_mesh_agrees_with_finite_differences(networks, movable):
    x, voxels = movable
    faces = []

    def weighed(features):
        with networks.use("slat_decoder_mesh") as decoder:
            cubes, fine = decoder(features, voxels)
            mesh = extract_mesh(fine.coords[:, 1:], cubes, 4 * decoder.resolution)
        faces.append(mesh.faces)
        values = torch.cat([mesh.vertices, mesh.attributes], 1)
        weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(2))
        return (values * weights).double().sum()

    (gradient,) = torch.autograd.grad(weighed(x), x)
    length = gradient.norm()
    found = slope(weighed, x.detach(), gradient / length)
    assert faces[0].equal(faces[1])
    assert faces[0].equal(faces[2])
    assert found == pytest.approx(float(length), rel=0.005)


def test_gradient_through_the_whole_picture_agrees_with_finite_differences(networks, movable):
    x, voxels = movable
    cameras = cameras_at(CAMERAS, SIZE, 1.0, CPU)
    noise = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    weights = F.avg_pool2d(noise, 9, 1, 4)

    def weighed(features):
        with networks.use("slat_decoder_mesh") as decoder:
            drawn = draw_latent(decoder, Latent(features, voxels), cameras, SIZE)
        return (drawn * weights).double().sum()

    (gradient,) = torch.autograd.grad(weighed(x), x)
    length = gradient.norm()
    assert slope(weighed, x.detach(), gradient / length) == pytest.approx(float(length), rel=0.02)


def test_networks_that_were_loaded_in_inference_mode_let_gradient_through(config, movable):
    x, voxels = movable
    fresh = Networks(WeightFolder(Path(config.weights)), CPU, torch.float32)
    with torch.inference_mode(), fresh.use("slat_decoder_mesh"):
        pass
    with fresh.use("slat_decoder_mesh") as decoder:
        decoder(x, voxels)[0].sum().backward()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("fields", "share"),
    [({}, 1.0), ({"stay": 0.0, "rate": 0.5}, 0.6)],
)
def test_the_corrected_object_is_nearer_to_the_photos(
    networks, seen, placing, config, fields, share
):
    conditions, latent = seen
    config = replace(config, compensation=replace(config.compensation, **fields))
    made = compensated(networks, conditions, latent, placing, config, silent)
    assert made.kept
    assert made.facts["difference_after"] < share * made.facts["difference_before"]
    # and so it is when measured anew, through other voxel tables
    cameras, targets = wanted_squares(trusted(placing, config.compensation), 48, CPU)
    with torch.no_grad(), networks.use("slat_decoder_mesh") as decoder:
        before, after = (
            float(view_losses(draw_latent(decoder, one, cameras, 48), targets).mean())
            for one in (latent, made.latent)
        )
    assert after < share * before
    assert before == pytest.approx(made.facts["difference_before"], abs=1e-4)
    assert f"{after:.4f} after, over 3 photos" in made.told


def test_equal_seeds_give_equal_corrections(networks, seen, placing, config):
    conditions, latent = seen
    config = replace(config, compensation=replace(config.compensation, iterations=2))
    one, two = (
        compensated(networks, conditions, latent, placing, config, silent) for _ in range(2)
    )
    assert one.kept
    assert one.latent.features.equal(two.latent.features)


def test_steps_before_the_start_are_not_touched(networks, seen, placing, config):
    conditions, latent = seen
    never = replace(config, compensation=replace(config.compensation, start=0.0))
    made = compensated(networks, conditions, latent, placing, never, silent)
    assert not made.kept
    assert made.latent is latent
    assert made.facts["difference_after"] == made.facts["difference_before"]
    assert "no better" in made.told


def test_only_photos_whose_places_are_trusted_take_part(networks, seen, placing, config):
    a, b, c = placing.found.views
    doubtful = Placing(Placed((a, replace(b, overlap=0.8), replace(c, likeness=0.1))), 0.5)
    assert [photo.name for photo in trusted(doubtful, config.compensation)] == ["0"]
    conditions, latent = seen
    made = compensated(networks, conditions, latent, doubtful, config, silent)
    assert made.latent is latent
    assert made.facts == {"kept": False, "photos": ["0"]}
    assert "1 of 3 are placed well enough (overlap of outlines 0.85, confidence 0.5)" in made.told


def test_photos_are_compared_on_black():
    rgb = np.full((40, 40, 3), 200, np.uint8)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 255
    camera = replace(CAMERAS[0], width=40, height=40, cx=20, cy=20)
    cameras, pictures = wanted_squares([Photo("a", camera, rgb, mask)], 44, CPU)
    assert pictures.shape == (1, 3, 44, 44)
    assert pictures[0, :, 22, 22].mul(255).round().tolist() == [200] * 3
    assert pictures[0, :, 0].max() == 0
    # the square is 20 pixels wide and begins at 9
    assert cameras.intrinsics[0].tolist() == pytest.approx([330, 330, 24.2, 24.2])


def test_an_estimate_without_a_surface_draws_black_and_destroys_nothing(config, movable):
    x, voxels = movable
    fresh = Networks(WeightFolder(Path(config.weights)), CPU, torch.float32)
    with fresh.use("slat_decoder_mesh") as decoder:
        decoder.out_layer.bias[:8] = 9.0  # everything outside
        drawn = draw_latent(decoder, Latent(x, voxels), cameras_at(CAMERAS, 32, 1.0, CPU), 32)
    assert drawn.shape == (3, 3, 32, 32)
    assert not drawn.any()
    (gradient,) = torch.autograd.grad(drawn.sum(), x)
    assert not gradient.any()


def test_it_is_told_before_each_look_and_can_be_cancelled_there(networks, seen, placing, config):
    conditions, latent = seen
    told = []

    def listen(stage, done, total, **numbers):
        told.append((stage, done, total))
        if len(told) == stop:
            raise Cancelled

    # of times 1, 0.9, 0.75 and 0.5 only the last is corrected: three steps, two looks, one step
    stop, wanted = 0, [1, 2, 3, 3, 3, 4]
    config = replace(config, compensation=replace(config.compensation, iterations=2))
    compensated(networks, conditions, latent, placing, config, listen)
    assert told == [("compensate", done, 4) for done in wanted]
    for stop in (2, 5):
        told.clear()
        with pytest.raises(Cancelled):
            compensated(networks, conditions, latent, placing, config, listen)
        assert len(told) == stop


@pytest.fixture(scope="module")
def pictures():
    """Two balls of colour on grey."""
    y, x = np.mgrid[0:64, 0:64]
    mask = ((x - 32) ** 2 + (y - 32) ** 2 < 500).astype(np.uint8) * 255
    colors = [np.dstack([x * 4, y * 4, np.full_like(x, 90 * n)]).astype(np.uint8) for n in (1, 2)]
    return tuple(Picture(f"p{number}", rgb, mask) for number, rgb in enumerate(colors))


def test_the_engine_decodes_and_places_what_was_corrected(networks, seen, config, monkeypatch):
    conditions, _ = seen
    whole = sample_structure(networks, conditions, config, silent)  # of any conditions
    placing = shown(networks, conditions, whole, config)
    # as if the search had found the cameras: a seeded VGGT tells nothing of where photos were taken
    monkeypatch.setattr(engine, "place", lambda *arguments: placing)
    photos = [view.photo for view in placing.found.views]
    pictures = [Picture(photo.name, photo.rgb, photo.mask) for photo in photos]
    config = replace(config, compensation=replace(config.compensation, stay=0.0))
    told = []
    listen = lambda stage, done, total, **numbers: told.append(stage)  # noqa: E731
    made = Generate().run(pictures, config, listen)
    facts = made.scene.facts["compensation"]
    assert facts["kept"]
    assert facts["photos"] == ["0", "1", "2"]
    assert facts["difference_after"] < facts["difference_before"]
    assert any("The photos corrected the object" in text for text in made.scene.warnings)
    stages = [stage for stage, after in zip(told, [*told[1:], ""], strict=True) if stage != after]
    assert stages[stages.index("compensate") :][:4] == ["compensate", "mesh", "unwrap", "place"]
    # the cameras stay where they were, but for a short fit
    for photo in photos:
        moved = made.scene.cameras[photo.name].center - photo.camera.center
        assert np.linalg.norm(moved) < 0.1 * np.linalg.norm(photo.camera.center)


def test_with_too_few_trusted_photos_the_result_is_the_same_and_the_report_says_why(
    config, pictures
):
    asked = Generate().run(pictures, config, silent)
    plain = replace(config, compensation=CompensationConfig())
    other = Generate().run(pictures, plain, silent)
    assert np.array_equal(asked.scene.mesh.vertices, other.scene.mesh.vertices)
    base, same = (run.scene.mesh.material.base_color for run in (asked, other))
    assert np.array_equal(base, same)
    assert asked.gaussians.xyz.equal(other.gaussians.xyz)
    assert asked.scene.facts["compensation"] == {"kept": False, "photos": []}
    assert "compensation" not in other.scene.facts
    more = set(asked.scene.warnings) - set(other.scene.warnings)
    assert len(more) == 1
    assert "The photos did not correct the object: 0 of 2" in more.pop()


@pytest.mark.parametrize(
    "fields",
    [{"start": 1.5}, {"rate": -1.0}, {"iterations": 0}, {"betas": (0.5, 1.0)}, {"size": 4}],
)
def test_settings_outside_their_limits_are_refused(fields):
    with pytest.raises(ConfigError, match=rf"compensation\.{next(iter(fields))} = "):
        CompensationConfig(**fields)
