# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every registered engine must keep, whoever wrote it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from photocast.config import (
    AppearanceConfig,
    CarveConfig,
    MeshConfig,
    OptimizeConfig,
    RefineConfig,
    VolumeConfig,
)
from photocast.data import Capture, Mesh, Scene, View
from photocast.engines.base import BUILT_IN, engine_names, load_engine
from photocast.errors import Cancelled, CaptureError, ConfigError
from photocast.progress import silent
from photocast.stages.mesh_distance import mesh_distances
from photocast.stages.render import over, render_view
from photocast.stages.validate import check_mesh

SMALL = {
    OptimizeConfig: OptimizeConfig(
        volume=VolumeConfig(
            resolution=40, steps=(40, 20), rays_per_step=2048, carve=CarveConfig(steps=0)
        ),
        mesh=MeshConfig(face_count=1500),
        refine=RefineConfig(epochs=1),
        appearance=AppearanceConfig(size=256, epochs=(1.0, 1.0, 2.0), min_steps=20),
    )
}
UP = np.array([0.0, 0.6, 0.8])


def egg() -> Mesh:
    ball = trimesh.creation.icosphere(4)
    vertices = ball.vertices * [0.8, 0.6, 0.5] + [0.05, -0.1, 0.0]
    return Mesh(vertices.astype(np.float32), ball.faces.astype(np.int32))


@pytest.fixture(scope="module")
def photos(photograph):
    return photograph(egg(), count=12, size=48)


def capture_of(photos, **changes) -> Capture:
    views = tuple(View(p.name, Path(f"{p.name}.png"), p.camera) for p in photos)
    return replace(Capture(Path("egg"), "blender", views, mask_source="alpha", up=UP), **changes)


@pytest.fixture(scope="module", params=engine_names())
def engine(request):
    return load_engine(request.param)


@pytest.fixture(scope="module")
def settings(engine):
    return SMALL.get(engine.config_type) or engine.config_type()


@pytest.fixture(scope="module")
def made(engine, settings, photos, tmp_path_factory):
    """A finished run: its scene, its cache, and the stages it told of."""
    cache = tmp_path_factory.mktemp("engine") / "cache"
    told = []
    listen = lambda stage, done, total, **numbers: told.append((stage, done, total, numbers))  # noqa: E731
    scene = engine.run(photos, capture_of(photos), settings, cache, listen)
    return scene, cache, told


def test_a_capture_with_masks_is_accepted(engine, photos):
    engine.check(capture_of(photos))


def test_a_capture_without_masks_is_refused_with_what_would_help(engine, photos):
    if not engine.needs_cameras:
        pytest.skip("an engine that needs no cameras may need no masks")
    with pytest.raises(CaptureError, match="transparency") as caught:
        engine.check(capture_of(photos, mask_source="none"))
    assert caught.value.code == "capture.no_masks"


def test_the_scene_is_a_textured_closed_mesh_with_the_cameras_of_its_photos(made, photos):
    scene = made[0]
    assert isinstance(scene, Scene)
    assert scene.mesh.uvs is not None
    color = scene.mesh.material.base_color
    assert color.dtype == np.float32
    assert np.isfinite(color).all()
    assert 0 <= color.min() < color.max() <= 1
    assert color.std() > 0.05
    assert [check for check in check_mesh(scene.mesh) if check.passed is False] == []
    assert set(scene.cameras) == {photo.name for photo in photos}
    for photo in photos:
        assert scene.cameras[photo.name] == photo.camera
    np.testing.assert_array_equal(scene.up, UP)


def test_a_lit_scene_looks_like_the_photos_it_was_made_from(made, photos):
    scene = made[0]
    if not scene.mesh.material.unlit:
        assert scene.light.environment.min() >= 0
        assert scene.light.environment.max() > 0
    errors = []
    for photo in photos:
        got = render_view(scene, photo.camera, supersample=2).over(255).astype(float)
        errors.append(((got - over(photo.rgb, photo.mask, 255)) ** 2).mean())
    assert 10 * np.log10(255**2 / np.mean(errors)) > 22


def test_the_mesh_lies_where_the_object_was(made):
    assert mesh_distances(made[0].mesh, egg(), point_count=20_000).chamfer < 0.01


def test_progress_tells_true_shares_and_numbers(made):
    assert made[2]
    for stage, done, total, numbers in made[2]:
        assert stage
        assert 0 <= done <= total
        assert all(np.isfinite(value) for value in numbers.values())
    last = {stage: (done, total) for stage, done, total, _ in made[2]}
    assert all(done == total for done, total in last.values()), last


def test_an_engine_that_is_cancelled_at_its_first_word_keeps_nothing(
    engine, settings, photos, tmp_path
):
    def stop(stage, done, total, **numbers):
        raise Cancelled

    with pytest.raises(Cancelled):
        engine.run(photos, capture_of(photos), settings, tmp_path / "cache", stop)
    assert not (tmp_path / "cache").exists()


def test_a_box_that_the_capture_names_is_part_of_what_is_kept(engine, settings, photos, made):
    cache = made[1]

    class Worked(Exception):
        pass

    def stop(stage, done, total, **numbers):
        if stage in ("shape", "volume"):
            raise Worked

    box = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
    with pytest.raises(Worked):
        engine.run(photos, capture_of(photos, box=box), settings, cache, stop)


def test_the_photos_are_not_changed(engine, settings, photos, photograph, made):
    for photo, fresh in zip(photos, photograph(egg(), count=12, size=48), strict=True):
        np.testing.assert_array_equal(photo.rgb, fresh.rgb)
        np.testing.assert_array_equal(photo.mask, fresh.mask)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ConfigError, match="optimize, generate") as caught:
        load_engine("magic")
    assert caught.value.code == "engine.unknown"


def test_engines_are_listed_in_order_and_by_import_path():
    assert set(BUILT_IN) <= set(engine_names())
    assert list(engine_names()) == sorted(engine_names())
    assert all(path.count(":") == 1 for path in BUILT_IN.values())


def test_silence_is_a_progress_too(engine, settings, photos, made):
    again = engine.run(photos, capture_of(photos), settings, made[1], silent)
    np.testing.assert_array_equal(again.mesh.vertices, made[0].mesh.vertices)
    for name in ("base_color", "roughness", "metallic", "normal"):
        np.testing.assert_array_equal(
            getattr(again.mesh.material, name), getattr(made[0].mesh.material, name)
        )
    np.testing.assert_array_equal(again.light.environment, made[0].light.environment)
