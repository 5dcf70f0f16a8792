# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Meshes turned, moved, scaled and made of other triangles are found again; others are told."""

import json
import sys
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from photocast.cli.boundary import run
from photocast.data import Mesh
from photocast.formats.meshes import save_mesh
from photocast.stages.reference import compare
from photocast.stages.registration import moved, register, size_ratio
from photocast.stages.report_schema import report_schema

AWAY = np.eye(4)
AWAY[:3, :3] = Rotation.random(random_state=3).as_matrix()
AWAY[:3, 3] = 3.0, -2.0, 7.0


def as_mesh(shape: trimesh.Trimesh) -> Mesh:
    return Mesh(np.asarray(shape.vertices, np.float32), np.asarray(shape.faces, np.int32))


def chair(rounds: int = 2) -> Mesh:
    """No two sides of it look alike: one armrest, and legs of three heights."""
    boxes = [
        ((0.5, 0.5, 0.06), (0, 0, 0)),
        ((0.5, 0.06, 0.6), (0, 0.22, 0.3)),
        ((0.06, 0.4, 0.06), (0.22, 0.02, 0.25)),
        ((0.06, 0.06, 0.5), (0.2, 0.2, -0.25)),
        ((0.06, 0.06, 0.3), (-0.2, 0.2, -0.15)),
        ((0.06, 0.06, 0.5), (-0.2, -0.2, -0.25)),
    ]
    parts = []
    for sides, middle in boxes:
        part = trimesh.creation.box(sides)
        part.apply_translation(middle)
        parts.append(part)
    shape = trimesh.util.concatenate(parts)
    for _ in range(rounds):
        shape = shape.subdivide()
    return as_mesh(shape)


def placed(mesh: Mesh, transform: np.ndarray) -> Mesh:
    return replace(mesh, vertices=moved(mesh.vertices, transform).astype(np.float32))


def sized(scale: float) -> np.ndarray:
    return AWAY @ np.diag([scale, scale, scale, 1.0])


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "chair.ply"
    save_mesh(path, chair())
    return path


@pytest.fixture
def no_open3d(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)


# --- with Open3D


@pytest.mark.open3d
def test_a_mesh_in_another_frame_of_other_triangles_is_found_again(open3d_tool):
    found = register(open3d_tool, placed(chair(3), AWAY), chair(1))
    back = found.reference_from_mesh @ AWAY
    np.testing.assert_allclose(back, np.eye(4), atol=1e-3)
    assert found.fitness > 0.999
    assert found.inlier_rmse < 1e-3
    assert found.misfit < 1e-3
    assert found.rival_misfit > 0.01


@pytest.mark.open3d
def test_noise_and_a_missing_half_are_no_hindrance(open3d_tool):
    whole = chair()
    noise = 0.004 * np.random.default_rng(0).standard_normal(whole.vertices.shape)
    right = whole.vertices[whole.faces].mean(axis=1)[:, 0] > -0.1
    half = Mesh((whole.vertices + noise).astype(np.float32), whole.faces[right])
    found = register(open3d_tool, placed(half, AWAY), whole)
    np.testing.assert_allclose(found.reference_from_mesh @ AWAY, np.eye(4), atol=0.01)
    assert found.fitness > 0.95


@pytest.mark.open3d
@pytest.mark.parametrize("scale", [0.02, 1000.0])
def test_a_scale_is_found_where_it_is_asked_for(open3d_tool, scale):
    there = sized(scale)
    found = register(open3d_tool, placed(chair(), there), chair(), with_scale=True)
    np.testing.assert_allclose(found.reference_from_mesh @ there, np.eye(4), atol=3e-3)


@pytest.mark.open3d
def test_the_same_seed_gives_the_same_placement(open3d_tool):
    one, two = (register(open3d_tool, placed(chair(), AWAY), chair(), seed=5) for _ in range(2))
    np.testing.assert_allclose(one.reference_from_mesh, two.reference_from_mesh, atol=1e-9)


@pytest.mark.open3d
def test_another_object_is_told(open3d_tool, reference):
    ball = as_mesh(trimesh.creation.icosphere(3, radius=0.45))
    found = compare(placed(ball, AWAY), reference, align=True)
    (warning,) = found.warnings
    assert "may be another object" in warning
    fitness = {check.name: check.value for check in found.checks}["reference.fitness"]
    assert fitness < 0.5


@pytest.mark.open3d
def test_an_object_that_looks_alike_from_several_sides_is_told(open3d_tool, tmp_path):
    brick = as_mesh(trimesh.creation.box((1, 2, 3)).subdivide().subdivide())
    save_mesh(tmp_path / "brick.ply", brick)
    found = compare(placed(brick, AWAY), tmp_path / "brick.ply", align=True)
    (warning,) = found.warnings
    assert "turned by another 180 degrees" in warning
    assert {check.name: check.value for check in found.checks}["reference.fitness"] > 0.999


@pytest.mark.open3d
def test_the_command_says_where_the_mesh_was_laid(open3d_tool, reference, tmp_path, capsys):
    save_mesh(tmp_path / "away.ply", placed(chair(), AWAY))
    words = ["check", str(tmp_path / "away.ply"), "--reference", str(reference), "--align"]
    files = [tmp_path / "r.json", tmp_path / "r.html"]
    run([*words, "--json", str(files[0]), "--html", str(files[1])])
    assert "Laid onto the reference by this matrix:" in capsys.readouterr().out
    document = json.loads(files[0].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(report_schema()).validate(document)
    np.testing.assert_allclose(document["reference_from_mesh"] @ AWAY, np.eye(4), atol=1e-3)
    checks = {check["name"]: check for check in document["checks"]}
    assert checks["reference.chamfer"]["value"] < 1e-4
    assert checks["reference.inlier_rmse"]["unit"] == "unit"
    assert document["warnings"] == []
    assert "<h2>Alignment</h2>" in files[1].read_text(encoding="utf-8")


@pytest.mark.open3d
def test_units_that_differ_are_told_and_nothing_is_compared(open3d_tool, reference):
    found = compare(placed(chair(), sized(1000.0)), reference, align=True)
    assert {check.value for check in found.checks} == {None}
    assert "1000 times as large" in found.warnings[0]
    assert "--align-scale" in found.warnings[0]


# --- without it


def test_without_open3d_nothing_is_laid_anywhere_and_the_report_says_why(
    no_open3d, reference, tmp_path, capsys
):
    save_mesh(tmp_path / "away.ply", placed(chair(), AWAY))
    words = ["check", str(tmp_path / "away.ply"), "--reference", str(reference), "--align"]
    run([*words, "--json", "-"])
    document = json.loads(capsys.readouterr().out)
    checks = [c for c in document["checks"] if c["name"].startswith("reference.")]
    assert len(checks) == 10
    for check in checks:
        assert check["value"] is None
        assert "not run: Open3D is not installed: pip install 'photocast[open3d]'" in check["note"]
    assert document["reference_from_mesh"] is None
    assert "pip install 'photocast[open3d]'" in document["warnings"][0]


def test_in_one_frame_a_mesh_is_compared_without_open3d(no_open3d, reference):
    same = {c.name: c.value for c in compare(chair(3), reference).checks}
    assert same["reference.chamfer"] < 1e-6
    assert same["reference.f_score_half_percent"] == 1
    turned = {c.name: c.value for c in compare(placed(chair(), AWAY), reference).checks}
    assert turned["reference.chamfer"] > 1


def test_rules_may_ask_for_agreement_with_the_reference(reference, tmp_path, capsys):
    rules = tmp_path / "near.toml"
    rules.write_text('[rules."reference.chamfer"]\nfail = "<= 0.01"\n', encoding="utf-8")
    for transform, code in ((np.eye(4), 0), (AWAY, 4)):
        save_mesh(tmp_path / "made.ply", placed(chair(), transform))
        words = ["check", str(tmp_path / "made.ply"), "--profile", str(rules)]
        assert run([*words, "--reference", str(reference)]) == code
    assert "fail: Chamfer distance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code"),
    [(["--align"], "check.align"), (["--reference", "none.ply"], "mesh.missing")],
)
def test_a_reference_must_be_given_and_be_there(reference, capsys, more, code):
    assert run(["check", str(reference), *more]) > 0
    assert f"[{code}]" in capsys.readouterr().err


def test_the_size_of_a_mesh_does_not_depend_on_its_frame_or_its_triangles():
    assert size_ratio(placed(chair(1), sized(25.0)), chair(3)) == pytest.approx(25, rel=0.01)
