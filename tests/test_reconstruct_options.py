# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast reconstruct`` with little time, and from a mesh, with real presets."""

import json
import math
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from photocast.cli.boundary import run as command
from photocast.config import InitConfig, ReconstructConfig
from photocast.data import Mesh
from photocast.errors import ConfigError
from photocast.formats.meshes import load_mesh, save_mesh
from photocast.ops.warm_up import warm_up
from photocast.pipeline import _spread, reconstruct
from photocast.stages.mesh_distance import mesh_distances


def ring() -> Mesh:
    made = trimesh.creation.torus(0.6, 0.28, major_sections=48, minor_sections=24)
    return Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


@pytest.fixture(scope="module")
def capture(tmp_path_factory, photograph) -> Path:
    """A torus in Blender's layout."""
    folder = tmp_path_factory.mktemp("captures") / "ring"
    folder.mkdir()
    frames = []
    photos = photograph(ring(), 14, 64)
    for photo in photos:
        rgba = np.dstack([photo.rgb, photo.mask])
        Image.fromarray(rgba).save(folder / f"{photo.name}.png")
        pose = photo.camera.world_from_camera @ np.diag([1.0, -1, -1, 1])
        frames.append({"file_path": f"./{photo.name}", "transform_matrix": pose.tolist()})
    angle = 2 * math.atan(photos[0].camera.width / 2 / photos[0].camera.fx)
    table = {"camera_angle_x": angle, "frames": frames}
    (folder / "transforms_train.json").write_text(json.dumps(table), encoding="utf-8")
    return folder


def test_ten_seconds_are_enough_for_a_whole_result(capture, tmp_path):
    warm_up(torch.device("cpu"))  # kernels are compiled once per machine
    import_module("torch._dynamo")  # comes with the first optimiser, and takes seconds

    start = time.monotonic()
    result = reconstruct(capture, tmp_path / "out", ReconstructConfig(max_seconds=10))
    took = time.monotonic() - start
    assert took < 10 + 8
    failed = [check.name for check in result.report.checks if check.passed is False]
    assert failed == []
    assert mesh_distances(result.scene.mesh, ring(), point_count=5000).chamfer < 0.03
    assert result.scene.mesh.material.base_color is not None
    (warning,) = [text for text in result.report.warnings if "limit" in text]
    assert "limit of 10 s" in warning
    assert "volume" in warning
    steps = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["steps"]
    assert {"volume", "refine", "appearance"} <= set(steps)  # too few photos to carve
    assert all(1 <= stage["done"] <= stage["planned"] for stage in steps.values())
    assert steps["volume"]["done"] < steps["volume"]["planned"]
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").count(
        "limit of 10 s"
    ) == 1


@pytest.mark.parametrize("seconds", [0, 4.9, -3, math.nan])
def test_hopeless_limits_are_refused_with_the_least_sensible_one(seconds):
    with pytest.raises(ConfigError, match="at least 5 s"):
        ReconstructConfig(max_seconds=seconds)


def test_a_result_is_a_start_for_material_alone_from_the_command_line(capture, tmp_path, capsys):
    save_mesh(tmp_path / "scan.ply", ring())
    arguments = ["reconstruct", str(capture), "--out", str(tmp_path / "out"), "--quiet", "--json"]
    arguments += ["--preset", "draft", "--max-seconds", "20", "--device", "cpu"]
    start = ["--init", str(tmp_path / "scan.ply"), "--init-use", "material"]
    assert command(arguments + start) == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    given, made = load_mesh(tmp_path / "scan.ply"), load_mesh(tmp_path / "out" / "mesh.glb")
    corners = lambda mesh: np.sort(mesh.vertices[mesh.faces].reshape(-1, 9), axis=0)  # noqa: E731
    np.testing.assert_array_equal(corners(made), corners(given))
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["options"]["init"]["use"] == "material"
    assert record["engine"]["init"]["iou"] > 0.9
    assert "scan.ply" in record["inputs"]
    assert "volume" not in record["seconds"]
    # and its own output once more, with its UVs
    start = ["--init", str(tmp_path / "out" / "mesh.glb"), "--init-use", "material"]
    arguments[3] = str(tmp_path / "again")
    assert command(arguments + start) == 0
    again = load_mesh(tmp_path / "again" / "mesh.glb")
    np.testing.assert_array_equal(again.uvs[again.uv_faces], made.uvs[made.uv_faces])
    np.testing.assert_array_equal(corners(again), corners(made))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--init", "nowhere.glb"], "mesh.missing"),
        (["--init", "scan.fbx"], "mesh.unknown_format"),
        (["--init-align"], "config.invalid"),
        (["--init-use", "material"], "config.invalid"),
        (["--max-seconds", "1"], "config.invalid"),
        (["--init-use", "paint"], "usage"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(more, code, capture, tmp_path, capsys):
    out = tmp_path / "out"
    assert command(["reconstruct", str(capture), "--out", str(out), "--json", *more]) != 0
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code
    assert not out.exists()


def test_the_settings_of_a_start_have_limits():
    with pytest.raises(ConfigError, match=r"init\.views = 0"):
        InitConfig(views=0)
    with pytest.raises(ConfigError, match=r"init\.use"):
        InitConfig(mesh="a.ply", use="paint")


@pytest.mark.parametrize(("count", "wanted"), [(100, 10), (2, 3), (4, 4)])
def test_fewer_photos_are_spread_evenly(count, wanted):
    photos = list(range(10))
    chosen = _spread(photos, count)
    assert len(chosen) == wanted
    assert chosen == sorted(set(chosen))
    gaps = np.diff([*chosen, 10])
    assert gaps.max() - gaps.min() <= 1
