# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast convert`` as a user meets it."""

import json

import numpy as np
import pytest

from photocast.cli.boundary import run
from photocast.data import Camera
from photocast.formats.cameras_json import cameras_json
from photocast.formats.meshes import load_mesh, save_mesh


@pytest.fixture
def glb(textured_sphere, tmp_path):
    save_mesh(tmp_path / "in.glb", textured_sphere)
    return tmp_path / "in.glb"


def test_a_mesh_is_converted_and_what_is_lost_is_said(glb, tmp_path, capsys, textured_sphere):
    out = tmp_path / "new" / "out.stl"
    assert run(["convert", str(glb), str(out)]) == 0
    assert "720 triangles. Not in it: uvs, base_color." in capsys.readouterr().out
    back = load_mesh(out)
    np.testing.assert_array_equal(
        back.vertices[back.faces], textured_sphere.vertices[textured_sphere.faces]
    )


def test_json_names_all_files(glb, tmp_path, capsys):
    assert run(["convert", str(glb), str(tmp_path / "out.gltf"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == ["out.gltf", "out.bin", "out_base_color.png"]
    assert (told["ok"], told["face_count"], told["lost"]) == (True, 720, [])
    assert all((tmp_path / name).is_file() for name in told["files"])


def test_scale_and_the_captures_up_reach_the_print(textured_sphere, tmp_path):
    tall = type(textured_sphere)(
        textured_sphere.vertices * np.float32([1, 1, 3]), textured_sphere.faces
    )
    save_mesh(tmp_path / "mesh.glb", tall)
    camera = Camera(8, 6, 9.0, 9.0, 4.0, 3.0, np.eye(4))
    up = np.array([0.0, 0.0, 1.0])
    (tmp_path / "cameras.json").write_bytes(cameras_json({"a": camera}, up))
    out = tmp_path / "print.3mf"
    assert run(["convert", str(tmp_path), str(out), "--scale", "0.05"]) == 0
    lib3mf = pytest.importorskip("lib3mf", reason="lib3mf is not installed (extra dev)")
    model = lib3mf.get_wrapper().CreateModel()
    model.QueryReader("3mf").ReadFromFile(str(out))
    box = model.GetOutbox()
    size = np.array(list(box.MaxCoordinate)) - np.array(list(box.MinCoordinate))
    assert size[2] == pytest.approx(300, abs=0.01)  # 2 m times 3 times 0.05, upright


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["in.glb", "out.fbx"], "convert.suffix"),
        (["in.glb", "out"], "convert.suffix"),
        (["in.glb", "in.glb"], "convert.same"),
        (["in.glb", "out.obj", "--scale", "0"], "convert.scale"),
        (["in.glb", "out.obj", "--scale", "nan"], "convert.scale"),
    ],
)
def test_a_wrong_command_is_one_sentence(glb, monkeypatch, capsys, arguments, code):
    monkeypatch.chdir(glb.parent)
    before = sorted(glb.parent.iterdir())
    assert run(["convert", *arguments]) == 2
    assert f"[{code}]" in capsys.readouterr().err
    assert sorted(glb.parent.iterdir()) == before


def test_a_hostile_mesh_is_exit_code_3(tmp_path, capsys):
    (tmp_path / "in.stl").write_bytes(b"x" * 84)
    assert run(["convert", str(tmp_path / "in.stl"), str(tmp_path / "out.glb")]) == 3
    assert "in.stl" in capsys.readouterr().err


def test_usdz_without_its_package_says_what_to_install(glb, tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pxr", None)
    assert run(["convert", str(glb), str(tmp_path / "out.usdz")]) == 2
    assert "photocast[usd]" in capsys.readouterr().err
    assert not (tmp_path / "out.usdz").exists()
