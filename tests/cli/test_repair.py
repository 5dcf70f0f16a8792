# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast repair`` as a user meets it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photocast.cli.boundary import run
from photocast.formats.frame_mark import frame_up
from photocast.formats.meshes import load_mesh, save_mesh


@pytest.fixture
def broken(textured_sphere, tmp_path) -> Path:
    """Three triangles are missing, in a world whose up is +Z."""
    mesh = replace(
        textured_sphere, faces=textured_sphere.faces[3:], uv_faces=textured_sphere.uv_faces[3:]
    )
    path = tmp_path / "broken.glb"
    save_mesh(path, mesh, up=np.array([0.0, 0.0, 1.0]))
    return path


def test_a_repair_says_what_it_changed_and_keeps_texture_and_frame(broken, tmp_path, capsys):
    out = tmp_path / "mended.glb"
    options = ["--fill-holes", "all", "--quiet"]
    assert run(["repair", str(broken), str(out), *options]) == 0
    said = capsys.readouterr().out
    assert f"{out}: pass, 100 of 100 by profile print; before the repair fail" in said
    assert "holes: 1 holes of " in said
    mesh = load_mesh(out)
    assert mesh.material.base_color is not None
    np.testing.assert_allclose(frame_up(out), [0, 0, 1], atol=1e-6)
    before = load_mesh(broken)
    assert run(["check", str(out), "--profile", "print"]) == 0
    kept = mesh.vertices[mesh.faces[: len(before.faces)]]
    assert np.isin(before.vertices[before.faces].reshape(-1, 3), kept.reshape(-1, 3)).all()


def test_what_cannot_be_mended_still_fails_with_exit_code_4(broken, tmp_path, capsys):
    out = tmp_path / "mended.ply"
    assert run(["repair", str(broken), str(out), "--fill-holes", "none", "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert told["after"] == told["before"]
    (change,) = told["changes"]
    assert change["step"] == "holes"
    assert "left open" in change["text"]
    assert out.is_file()


def test_a_good_mesh_is_left_alone(textured_sphere, tmp_path, capsys):
    path = tmp_path / "good.ply"
    save_mesh(path, textured_sphere)
    assert run(["repair", str(path), str(tmp_path / "same.ply"), "--quiet"]) == 0
    assert "nothing was to be mended" in capsys.readouterr().out
    assert (tmp_path / "same.ply").read_bytes() == path.read_bytes()


def test_an_unknown_format_is_told_before_any_work(broken, tmp_path, capsys):
    assert run(["repair", str(broken), str(tmp_path / "out.xyz")]) == 3
    assert "[mesh.unknown_format]" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"glTF", b"\0" * 40, b"glTF" + b"\xff" * 60])
def test_up_of_a_damaged_file_is_unknown(content, tmp_path):
    path = tmp_path / "x.glb"
    path.write_bytes(content)
    assert frame_up(path) is None
    assert frame_up(tmp_path / "none.glb") is None


def test_simplify_writes_every_level_and_says_how_far_it_is_away(textured_sphere, tmp_path, capsys):
    path, out = tmp_path / "ball.glb", tmp_path / "small.glb"
    save_mesh(path, textured_sphere, up=np.array([0.0, 0.0, 1.0]))
    options = ["--faces", "400", "--levels", "2", "--json", "--quiet"]
    assert run(["simplify", str(path), str(out), *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [level["file"] for level in told["levels"]] == ["small.glb", "small_lod1.glb"]
    for level, most in zip(told["levels"], (400, 200), strict=True):
        made = load_mesh(tmp_path / level["file"])
        assert len(made.faces) == level["faces"] <= most
        assert made.material.base_color is not None
        assert 0 < level["distance"] < 0.03
        np.testing.assert_allclose(frame_up(tmp_path / level["file"]), [0, 0, 1], atol=1e-6)
