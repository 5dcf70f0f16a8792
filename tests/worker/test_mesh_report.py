# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh from outside is checked in a child of its own."""

import json

import pytest

from photocast.children import ask
from photocast.formats.meshes import save_mesh


def test_a_good_mesh_gets_a_report_as_json_and_as_a_page(textured_sphere, tmp_path):
    path, out = tmp_path / "upload" / "mesh.glb", tmp_path / "out"
    path.parent.mkdir()
    save_mesh(path, textured_sphere)
    answer = ask("mesh_report", [str(path), "--profile", "print", "--out", str(out)])
    assert answer["ok"], answer
    assert {file.name for file in out.iterdir()} == set(answer["files"])
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["verdict"] == answer["verdict"]
    assert (out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "data", "profile", "code"),
    [
        ("a.stl", b"PK\3\4 an archive", "view", "mesh.archive"),
        ("a.obj", b"v 0 0 0\n", "/etc/passwd", "profile.unknown"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_a_code(name, data, profile, code, tmp_path):
    (tmp_path / name).write_bytes(data)
    words = [str(tmp_path / name), "--profile", profile, "--out", str(tmp_path / "out")]
    answer = ask("mesh_report", words)
    assert not answer["ok"]
    assert answer["error"]["code"] == code
    assert not (tmp_path / "out").exists()
