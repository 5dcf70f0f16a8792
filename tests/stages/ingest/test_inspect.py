# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Inspection finds the facts, says what is suspicious, and draws it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from photocast.cli.inspect import inspect
from photocast.formats.images import read_photo
from photocast.stages.ingest import read_capture
from photocast.stages.inspect import inspect_capture
from photocast.stages.inspect_picture import draw_inspection


def run(*arguments: object):
    app = typer.Typer()
    app.command()(inspect)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def checks_of(inspection):
    return {check.name: check for check in inspection.report.checks}


def test_the_facts_of_a_good_capture(layout, object_bounds):
    written = layout()
    written.blender()
    written.blender("transforms_test.json", "test")
    found = inspect_capture(read_capture(written.root))
    checks = checks_of(found)
    assert found.report.passed
    assert found.report.warnings == ()
    assert checks["capture.layout"].value == "blender"
    assert checks["capture.views"].value == 12
    assert checks["capture.test_views"].value == 12
    assert checks["photos.size"].value == "64x48"
    assert checks["cameras.focal"].value == "90"
    assert checks["masks.agreement"].value > 0.95
    assert checks["cameras.widest_gap"].value == pytest.approx(30, abs=2)
    assert np.abs(found.box - object_bounds).max() < 0.25


def test_inverted_poses_are_a_warning_that_names_the_repair(layout):
    written = layout()
    written.llff()
    capture = read_capture(written.root)
    wrong = tuple(
        replace(v, camera=replace(v.camera, camera_from_world=v.camera.world_from_camera))
        for v in capture.views
    )
    found = inspect_capture(replace(capture, views=wrong))
    assert not found.report.passed
    assert any("poses inverted" in warning for warning in found.report.warnings)


def test_a_gap_in_the_ring_fails_its_check(layout, cameras):
    written = layout(cameras(24)[:10])
    written.blender()
    check = checks_of(inspect_capture(read_capture(written.root)))["cameras.widest_gap"]
    assert check.passed is False
    assert check.value > 200


def test_the_picture_shows_cameras_box_and_masks(layout):
    written = layout()
    written.blender()
    picture = draw_inspection(inspect_capture(read_capture(written.root)))
    assert picture.dtype == np.uint8
    assert picture.shape == (1280, 1280, 3)
    colours = {"camera": (30, 90, 200), "box": (20, 150, 70)}
    for colour in colours.values():
        # Thin lines are antialiased: near the colour is enough.
        assert (np.abs(picture[:640].astype(int) - colour).max(axis=2) < 60).sum() > 300
    assert (np.abs(picture[640:].astype(int) - (255, 40, 40)).max(axis=2) < 60).sum() > 200


def test_the_command_prints_json_and_writes_a_picture(layout, tmp_path):
    written = layout()
    written.blender()
    result = run(written.root, "--json", "--out", tmp_path / "picture.png")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert facts["layout"] == "blender"
    assert len(facts["views"]) == 12
    assert np.shape(facts["box"]) == (2, 3)
    assert read_photo(tmp_path / "picture.png")[0].shape == (1280, 1280, 3)


def test_the_command_prints_a_table(layout):
    written = layout()
    written.nerfstudio()
    (written.root / "images" / "view_001.png").unlink()
    result = run(written.root)
    assert result.exit_code == 0
    assert "masks.agreement" in result.stdout
    assert "1 photos that are absent" in " ".join(result.stdout.split())
