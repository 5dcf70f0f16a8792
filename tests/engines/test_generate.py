# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine ``generate`` on a tiny seeded model: its results mean nothing but follow the laws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from photocast.config import GenerateConfig, PlaceConfig
from photocast.data import Picture
from photocast.engines.generate import Generate
from photocast.engines.generate.networks import Networks, precision_for
from photocast.engines.generate.sampling import draw_noise, sample_structure, sampler_config
from photocast.engines.generate.views import reference_first, see
from photocast.errors import Cancelled, CaptureError, ConfigError, PhotocastError, WeightsError
from photocast.nets.samplers import GuidanceStyle
from photocast.nets.seeded import write_test_weights
from photocast.nets.weights import WeightFolder
from photocast.progress import silent
from photocast.stages.validate import check_mesh

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_test_weights(tmp_path_factory.mktemp("weights")).root


@pytest.fixture
def config(weights):
    return GenerateConfig(
        weights=str(weights),
        structure_steps=4,
        detail_steps=3,
        texture=128,
        seed=3,
        place=PlaceConfig(rotations=24),
    )


@pytest.fixture(scope="module")
def pictures():
    """Discs of different colours on grey."""
    y, x = np.mgrid[0:80, 0:96]
    made = []
    for number in range(3):
        mask = ((x - 40 - 5 * number) ** 2 + (y - 40) ** 2 < 900).astype(np.uint8) * 255
        rgb = np.full((80, 96, 3), 128, np.uint8)
        rgb[mask > 0] = [60 * number, 200, 255 - 60 * number]
        made.append(Picture(f"view{number}", rgb, mask))
    return tuple(made)


@pytest.fixture(scope="module")
def made(weights, pictures):
    """A finished run, and what it told."""
    told = []
    listen = lambda stage, done, total, **numbers: told.append((stage, done, total))  # noqa: E731
    config = GenerateConfig(
        weights=str(weights),
        structure_steps=4,
        detail_steps=3,
        texture=128,
        seed=3,
        place=PlaceConfig(rotations=24),
    )
    return Generate().run(pictures, config, listen), told


def test_it_makes_a_closed_textured_mesh_and_gaussians(made):
    scene, gaussians = made[0].scene, made[0].gaussians
    assert [check for check in check_mesh(scene.mesh) if check.passed is False] == []
    assert scene.mesh.material.base_color.shape == (128, 128, 3)
    assert scene.mesh.material.base_color.std() > 0.001
    assert np.abs(scene.mesh.vertices).max() < 0.5
    assert len(gaussians.xyz) == 4 * scene.facts["voxels"]
    # what it makes looks like no photo: none is placed, and the decoder's colours stay
    assert scene.cameras == {}
    assert made[0].photos == ()
    assert any("None of the 3 photos could be placed" in warning for warning in scene.warnings)
    assert scene.facts["placing"]["texels_from_photos"] == 0
    assert [view["used"] for view in scene.facts["placing"]["views"].values()] == [False] * 3
    assert any("means nothing" in warning for warning in scene.warnings)
    assert any("made up" in warning for warning in scene.warnings)


def test_progress_tells_every_stage_to_its_end(made):
    last = {stage: (done, total) for stage, done, total in made[1]}
    assert {"look", "structure", "details", "mesh", "unwrap", "place"} <= set(last)
    assert all(done == total for done, total in last.values()), last


def test_equal_seeds_give_equal_objects_and_memory_makes_no_difference(made, config, pictures):
    again = Generate().run(pictures, replace(config, low_memory=True), silent)
    assert np.array_equal(again.scene.mesh.vertices, made[0].scene.mesh.vertices)
    base, other = (run.scene.mesh.material.base_color for run in (again, made[0]))
    assert np.array_equal(base, other)
    assert again.gaussians.xyz.equal(made[0].gaussians.xyz)


def test_charts_may_be_those_of_xatlas(made, config, pictures):
    pytest.importorskip("xatlas", reason="xatlas is not installed (extra xatlas)")
    other = Generate().run(pictures, replace(config, atlas="xatlas"), silent)
    assert not any("UV map is our own" in warning for warning in other.scene.warnings)
    ours, theirs = made[0].scene.mesh, other.scene.mesh
    assert np.array_equal(ours.vertices, theirs.vertices)
    assert not np.array_equal(ours.uvs, theirs.uvs)


def test_photos_that_are_trusted_give_their_cameras_and_colours(made, config, pictures):
    trusting = PlaceConfig(rotations=24, least_confidence=0.0)
    other = Generate().run(pictures, replace(config, place=trusting), silent)
    assert list(other.scene.cameras) == [photo.name for photo in other.photos]
    assert set(other.scene.cameras) == {"view0", "view1", "view2"}
    assert not any("could not be placed" in warning for warning in other.scene.warnings)
    for picture in pictures:
        camera = other.scene.cameras[picture.name]
        assert (camera.height, camera.width) == picture.mask.shape
        rows, columns = np.nonzero(picture.mask > 127)
        center = camera.project(other.scene.mesh.vertices.mean(axis=0)[None])[0][0]
        np.testing.assert_allclose(center, [columns.mean(), rows.mean()], atol=8)
    assert other.scene.facts["placing"]["texels_from_photos"] >= 0


def test_another_seed_gives_another_object(made, config, pictures):
    other = Generate().run(pictures, replace(config, seed=4), silent)
    assert not other.gaussians.xyz.equal(made[0].gaussians.xyz)


def test_the_reference_comes_first_and_is_told(made, config, pictures):
    facts = made[0].scene.facts
    assert (facts["reference"], facts["photos"]) == ("view0", ["view0", "view1", "view2"])
    other = Generate().run(pictures, replace(config, reference="view2"), silent)
    assert other.scene.facts["photos"] == ["view2", "view0", "view1"]
    assert not other.gaussians.features_dc.equal(made[0].gaussians.features_dc)


def test_photos_after_the_reference_may_come_in_any_order(weights):
    networks = Networks(WeightFolder(weights), CPU, torch.float32)
    images = torch.rand(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    straight, swapped = see(networks, images), see(networks, images[[0, 2, 1]])
    torch.testing.assert_close(straight.structure, swapped.structure, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(straight.views, [swapped.views[i] for i in (0, 2, 1)], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    turned = see(networks, images[[1, 0, 2]])
    assert not torch.allclose(straight.views[0], turned.views[1], atol=1e-5)


def test_low_memory_holds_no_network_between_stages(weights):
    folder = WeightFolder(weights)
    for low_memory, held in ((True, ()), (False, ("vggt",))):
        networks = Networks(folder, CPU, torch.float32, low_memory=low_memory)
        with networks.use("vggt"):
            assert networks.loaded == ("vggt",)
        assert networks.loaded == held


def test_half_precision_gives_nearly_the_same_conditions(weights):
    images = torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    full, half = (
        see(Networks(WeightFolder(weights), CPU, dtype), images)
        for dtype in (torch.float32, torch.bfloat16)
    )
    error = (half.structure - full.structure).norm() / full.structure.norm()
    assert 0 < error < 2e-2
    assert precision_for(CPU) == torch.float32


def test_noise_is_drawn_as_in_one_run_of_the_original():
    torch.manual_seed(42)
    structure, details = torch.randn(1, 8, 4, 4, 4), torch.randn(33, 8)
    ours = draw_noise(42, 4, 33)
    assert ours[0].equal(structure)
    assert ours[1].equal(details)


def test_guidance_follows_the_settings():
    config = GenerateConfig(guidance="mixed", detail_strength=5.0, detail_steps=7)
    sampler = sampler_config(config, "details")
    assert sampler.steps == 7
    assert sampler.guidance.style is GuidanceStyle.mixed
    assert sampler.guidance.strength == 5.0


def test_too_many_voxels_are_refused_with_numbers(weights, config):
    networks = Networks(WeightFolder(weights), CPU, torch.float32)
    conditions = see(networks, torch.rand(1, 3, 56, 56))
    with pytest.raises(PhotocastError, match=r"216 voxels .* 1 to 200") as caught:
        sample_structure(networks, conditions, replace(config, max_voxels=200), silent)
    assert caught.value.code == "generate.voxels"


def test_a_mask_without_an_object_names_the_photo(config, pictures):
    empty = replace(pictures[1], mask=np.zeros_like(pictures[1].mask))
    with pytest.raises(CaptureError, match="view1") as caught:
        Generate().run((pictures[0], empty), config, silent)
    assert caught.value.code == "capture.mask_empty"


def test_an_unknown_reference_lists_the_photos(config, pictures):
    with pytest.raises(ConfigError, match="view0, view1, view2") as caught:
        Generate().run(pictures, replace(config, reference="x"), silent)
    assert caught.value.code == "generate.reference"


def test_without_weights_the_command_is_named(config, pictures, tmp_path):
    with pytest.raises(WeightsError, match="photocast weights fetch generate"):
        Generate().run(pictures, replace(config, weights=str(tmp_path)), silent)


@pytest.mark.parametrize("at", ["look", "structure", "details", "mesh", "unwrap", "place"])
def test_it_can_be_cancelled_at_every_stage(config, pictures, at):
    def stop(stage, done, total, **numbers):
        if stage == at:
            raise Cancelled

    with pytest.raises(Cancelled):
        Generate().run(pictures, config, stop)


def test_order_of_photos():
    assert reference_first(["a", "b", "c"], "") == [0, 1, 2]
    assert reference_first(["a", "b", "c"], "c") == [2, 0, 1]


@pytest.mark.parametrize(
    "fields",
    [{"structure_steps": 0}, {"guided": (0.9, 0.1)}, {"guidance": "other"}, {"max_voxels": 0}],
)
def test_settings_outside_their_limits_are_refused(fields):
    with pytest.raises(ConfigError):
        GenerateConfig(**fields)
