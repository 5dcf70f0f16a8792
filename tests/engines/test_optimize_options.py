# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine ``optimize`` in a hurry, from a given mesh, and short of memory."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from photocast.config import (
    AppearanceConfig,
    CarveConfig,
    InitConfig,
    MeshConfig,
    OptimizeConfig,
    RefineConfig,
    UnwrapConfig,
    VolumeConfig,
)
from photocast.data import Capture, Mesh, View
from photocast.deadline import Deadline, Paced
from photocast.engines.optimize import Optimize, engine
from photocast.errors import MeshError, PhotocastError
from photocast.formats.meshes import load_mesh, save_mesh
from photocast.progress import silent
from photocast.stages.mesh_distance import mesh_distances
from photocast.stages.unwrap import unwrap
from photocast.stages.validate import check_mesh

SMALL = OptimizeConfig(
    volume=VolumeConfig(
        resolution=40, steps=(60, 40), rays_per_step=2048, min_steps=1, carve=CarveConfig(steps=40)
    ),
    mesh=MeshConfig(face_count=1500),
    refine=RefineConfig(epochs=1, batch=3),
    appearance=AppearanceConfig(size=256, min_steps=10, epochs=(1.0, 1.0, 1.0)),
)


def egg() -> Mesh:
    ball = trimesh.creation.icosphere(3)
    vertices = ball.vertices * [0.8, 0.6, 0.5] + [0.05, -0.1, 0.0]
    return Mesh(vertices.astype(np.float32), ball.faces.astype(np.int32))


@pytest.fixture(scope="module")
def photos(photograph):
    return photograph(egg(), count=12, size=48)


@pytest.fixture(scope="module")
def capture(photos) -> Capture:
    views = tuple(View(p.name, Path(f"{p.name}.png"), p.camera) for p in photos)
    return Capture(Path("egg"), "blender", views, mask_source="alpha")


@pytest.fixture
def run(photos, capture, tmp_path):
    def go(config: OptimizeConfig = SMALL, progress=silent, **init):
        if init:
            config = replace(config, init=InitConfig(size=64, **init))
        return Optimize().run(photos, capture, config, tmp_path / "cache", progress)

    return go


def failed(mesh: Mesh) -> list[str]:
    return [check.name for check in check_mesh(mesh) if check.passed is False]


def complete(scene) -> bool:
    maps = scene.mesh.material
    return all(
        found is not None and np.isfinite(found).all()
        for found in (maps.base_color, maps.roughness, maps.metallic, maps.normal)
    )


def test_a_run_that_is_late_from_the_start_still_makes_a_whole_result(run):
    deadline = Deadline(1e-3)
    told = []
    scene = run(progress=Paced(lambda *report, **numbers: told.append(report), deadline))
    assert complete(scene)
    assert failed(scene.mesh) == []
    assert mesh_distances(scene.mesh, egg(), point_count=5000).chamfer < 0.05
    # too few photos to carve
    assert set(deadline.cuts) == {"volume", "light", "refine", "appearance"}
    assert {stage: done for stage, (done, _) in deadline.cuts.items()} == {
        "volume": 2,
        "light": 1,
        "refine": 1,
        "appearance": 3,
    }
    last = {stage: (done, total) for stage, done, total in told}
    assert all(done == total for done, total in last.values()), last


def test_a_run_with_little_time_takes_about_that_long(run):
    long = replace(SMALL.volume, steps=(100_000, 100_000), epochs=1e6)
    eager = replace(
        SMALL,
        volume=replace(long, carve=CarveConfig(steps=100_000)),
        refine=RefineConfig(epochs=10_000),
        appearance=replace(SMALL.appearance, epochs=(1e5, 1e5, 1e5)),
    )
    run(SMALL)  # kernels are compiled
    start = time.monotonic()
    deadline = Deadline(8)
    scene = run(eager, progress=Paced(silent, deadline))
    took = time.monotonic() - start
    assert took < 8 + 6
    assert complete(scene)
    assert failed(scene.mesh) == []
    assert sum(done for done, _ in deadline.cuts.values()) > 20
    assert mesh_distances(scene.mesh, egg(), point_count=5000).chamfer < 0.03


def test_a_shape_made_in_a_hurry_is_not_taken_for_a_good_one_later(run):
    hasty = run(progress=Paced(silent, Deadline(1e-3)))
    good = run()
    assert hasty.mesh.vertices.shape != good.mesh.vertices.shape or not np.array_equal(
        hasty.mesh.vertices, good.mesh.vertices
    )


def test_enough_time_changes_nothing(run):
    free, timed = run(), run(progress=Paced(silent, Deadline(10_000)))
    np.testing.assert_array_equal(free.mesh.vertices, timed.mesh.vertices)
    np.testing.assert_array_equal(free.mesh.material.base_color, timed.mesh.material.base_color)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_for_material_alone_the_geometry_stays_bit_for_bit(suffix, run, tmp_path):
    path = tmp_path / f"scan{suffix}"
    save_mesh(path, unwrap(egg(), UnwrapConfig(size=256)))
    given = load_mesh(path)
    scene = run(mesh=str(path), use="material")
    np.testing.assert_array_equal(scene.mesh.vertices, given.vertices)
    np.testing.assert_array_equal(scene.mesh.faces, given.faces)
    np.testing.assert_array_equal(scene.mesh.uvs, given.uvs)
    np.testing.assert_array_equal(scene.mesh.uv_faces, given.uv_faces)
    assert complete(scene)
    assert scene.facts["init"]["kept_uvs"]
    assert scene.facts["init"]["iou"] > 0.9


@pytest.mark.parametrize("uvs", ["none", "bad"])
def test_without_good_uvs_the_mesh_is_unwrapped_and_its_geometry_stays(uvs, run, tmp_path):
    mesh = egg()
    if uvs == "bad":
        flat = unwrap(mesh, UnwrapConfig(size=256))
        mesh = replace(flat, uvs=flat.uvs * np.float32(0.01))
    save_mesh(tmp_path / "scan.ply", mesh)
    given = load_mesh(tmp_path / "scan.ply")
    scene = run(mesh=str(tmp_path / "scan.ply"), use="material")
    np.testing.assert_array_equal(scene.mesh.vertices, given.vertices)
    np.testing.assert_array_equal(scene.mesh.faces, given.faces)
    assert failed(scene.mesh) == []
    assert not scene.facts["init"]["kept_uvs"]


def test_refining_moves_the_vertices_of_the_mesh_towards_the_object(run, tmp_path):
    mesh = egg()
    random = np.random.default_rng(0)
    rough = mesh.vertices + random.normal(0, 0.004, mesh.vertices.shape)
    save_mesh(tmp_path / "scan.ply", Mesh(rough.astype(np.float32), mesh.faces))
    eager = replace(SMALL, refine=RefineConfig(epochs=6, smooth=1.0))
    scene = run(eager, mesh=str(tmp_path / "scan.ply"))
    assert len(scene.mesh.vertices) == len(mesh.vertices)
    before = np.linalg.norm(rough - mesh.vertices, axis=1).mean()
    after = np.linalg.norm(scene.mesh.vertices - mesh.vertices, axis=1).mean()
    assert 0 < after < before
    assert complete(scene)


def test_several_bodies_with_dirt_between_them_are_refined(run, tmp_path):
    mesh = egg()
    dirt = np.array([[0, 0, 1], [len(mesh.vertices)] * 3], np.int32)
    other = mesh.vertices * np.float32(0.3)
    faces = np.concatenate([mesh.faces, dirt, mesh.faces + len(mesh.vertices) + 1])
    vertices = np.concatenate([mesh.vertices, [[0, 0, 0]], other])
    save_mesh(tmp_path / "scan.ply", Mesh(vertices.astype(np.float32), faces.astype(np.int32)))
    scene = run(mesh=str(tmp_path / "scan.ply"))
    assert len(scene.mesh.faces) == 2 * len(mesh.faces)
    assert complete(scene)


def test_a_huge_mesh_is_reduced_for_refining_with_a_word_about_it(run, tmp_path):
    save_mesh(tmp_path / "scan.ply", egg())
    scene = run(mesh=str(tmp_path / "scan.ply"), face_count=400)
    assert len(scene.mesh.faces) <= 400
    assert "1,280 triangles" in scene.warnings[0]
    whole = run(mesh=str(tmp_path / "scan.ply"), face_count=400, use="material")
    assert len(whole.mesh.faces) == 1280
    assert whole.warnings == ()


def test_a_mesh_elsewhere_is_refused_before_any_heavy_work(run, tmp_path):
    mesh = egg()
    turned = (mesh.vertices * 1000)[:, [0, 2, 1]] * [1, 1, -1]
    save_mesh(tmp_path / "scan.ply", Mesh(turned.astype(np.float32), mesh.faces))
    stages = []
    with pytest.raises(MeshError, match=r"90 degrees about X and scaling by 0\.001") as caught:
        run(progress=lambda stage, *_, **__: stages.append(stage), mesh=str(tmp_path / "scan.ply"))
    assert caught.value.code == "init.misaligned"
    assert set(stages) == {"align"}
    scene = run(mesh=str(tmp_path / "scan.ply"), align=True)
    assert "scaling by 0.001" in scene.warnings[0]
    assert mesh_distances(scene.mesh, mesh, point_count=5000).chamfer < 0.02


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("Failed to allocate 9 bytes")],
)
def test_when_memory_runs_out_once_the_result_is_smaller_and_says_so(error, run, monkeypatch):
    sizes = []
    dressed = engine.dressed

    def short(shape, photos, config, progress, **changes):
        sizes.append(config.appearance.size)
        if len(sizes) == 1:
            raise error
        return dressed(shape, photos, config, progress, **changes)

    monkeypatch.setattr(engine, "dressed", short)
    scene = run()
    assert sizes == [256, 128]
    assert complete(scene)
    assert "appearance.size was 128 instead of 256" in scene.warnings[0]


def test_when_memory_runs_out_twice_the_user_learns_what_to_do(run, monkeypatch):
    def short(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(engine, "find_shape", short)
    with pytest.raises(PhotocastError, match="--device cpu") as caught:
        run()
    assert caught.value.code == "memory.exhausted"


def test_other_errors_are_not_tried_again(run, monkeypatch):
    calls = []

    def broken(*_, **__):
        calls.append(1)
        raise RuntimeError("no such thing")

    monkeypatch.setattr(engine, "find_shape", broken)
    with pytest.raises(RuntimeError, match="no such thing"):
        run()
    assert len(calls) == 1


def test_a_run_without_xatlas_says_that_the_charts_are_our_own(
    photos, capture, tmp_path, monkeypatch
):
    (tmp_path / "xatlas.py").write_text("raise ImportError", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    save_mesh(tmp_path / "egg.ply", egg())
    init = InitConfig(mesh=str(tmp_path / "egg.ply"), use="material")
    config = replace(SMALL, init=init, unwrap=UnwrapConfig(atlas="xatlas"))
    scene = Optimize().run(photos, capture, config, tmp_path / "cache", silent)
    (warning,) = [text for text in scene.warnings if "xatlas" in text]
    assert "pip install 'photocast[xatlas]'" in warning
    assert scene.mesh.uvs is not None
