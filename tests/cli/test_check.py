# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast check`` as a user meets it: verdicts, exit codes, files, sentences."""

import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from photocast.cli.boundary import run
from photocast.data import Mesh, Scene
from photocast.formats.meshes import save_mesh
from photocast.stages.check_result import check_result
from photocast.stages.export import export_report
from photocast.stages.face_layers import read_face_layers
from photocast.stages.validate import check_file


@pytest.fixture
def good(textured_sphere, tmp_path) -> Path:
    path = tmp_path / "good.glb"
    save_mesh(path, textured_sphere)
    return path


@pytest.fixture
def broken(textured_sphere, tmp_path) -> Path:
    """A hole, a flipped and a repeated triangle."""
    faces = textured_sphere.faces[7:].copy()
    faces[40] = faces[40, ::-1]
    faces = np.vstack([faces, faces[300:301]])
    path = tmp_path / "broken <b>.ply"
    save_mesh(path, Mesh(textured_sphere.vertices, faces))
    return path


def test_a_good_mesh_passes_with_exit_code_0(good, capsys):
    assert run(["check", str(good), "--profile", "print"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{good}: pass, 100 of 100, profile print")
    assert re.search(r"Watertight +yes", out)


def test_a_broken_mesh_fails_with_exit_code_4_and_says_why(broken, capsys):
    assert run(["check", str(broken), "--profile", "print"]) == 4
    out = capsys.readouterr().out
    assert ": fail, " in out
    assert "fail: Watertight: no; must be yes." in out
    assert "fail: Repeated triangles: 1; must be 0. Triangles that are part of it: 2." in out


def test_a_warning_is_no_failure(broken, tmp_path, capsys):
    rules = tmp_path / "mild.toml"
    rules.write_text('[rules."mesh.watertight"]\nwarn = "= yes"\n', encoding="utf-8")
    assert run(["check", str(broken), "--profile", str(rules)]) == 0
    assert ": warn, 60 of 100, profile mild" in capsys.readouterr().out


def test_json_on_stdout_is_json_alone(broken, capsys):
    assert run(["check", str(broken), "--json", "-"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "fail"
    assert document["decided_by"] == ["mesh.winding_consistent"]


def test_files_are_written_where_asked(broken, tmp_path, capsys):
    names = {name: str(tmp_path / name) for name in ("r.json", "r.html", "f.pcfl")}
    options = ["--json", names["r.json"], "--html", names["r.html"], "--layers", names["f.pcfl"]]
    assert run(["check", str(broken), *options]) == 4
    capsys.readouterr()
    document = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    layers = read_face_layers((tmp_path / "f.pcfl").read_bytes())
    by_name = {check["name"]: check["value"] for check in document["checks"]}
    assert layers["marks.mesh.flipped_faces"].sum() == by_name["mesh.flipped_faces"] == 1
    assert len(layers["aspect"]) == by_name["mesh.faces"]


class Page(HTMLParser):
    """Tags of a page in order, with what is open at the end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_offline_and_can_be_read_by_all(broken, tmp_path, capsys):
    html = tmp_path / "r.html"
    run(["check", str(broken), "--html", str(html), "--second-opinions"])
    capsys.readouterr()
    text = html.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert "http" not in text
    assert "<b>" not in text, "the file's name is not escaped"
    assert not any(tag in ("script", "link", "iframe") for tag, _ in page.tags)
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) >= 4  # from around, angles, and at least two issues
    for image in images:
        assert image["src"].startswith("data:image/png;base64,")
        assert len(image["alt"]) > 20
    charts = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(charts) >= 3
    assert all(chart["role"] == "img" and len(chart["aria-label"]) > 20 for chart in charts)
    assert all(attrs.get("scope") in ("row", "col") for tag, attrs in page.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert len(links) > 30
    assert {link[1:] for link in links} <= ids
    assert "@media print" in text


def luminance(color: str) -> float:
    """Of sRGB (WCAG 2.2, relative luminance)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", [0, 1])
def test_words_stand_out_from_what_they_stand_on(theme):
    from photocast.stages.report_style import REPORT_STYLE

    block = re.findall(r":root \{(.*?)\}", REPORT_STYLE, re.S)[theme]
    color = dict(re.findall(r"--(\S+): (#\w{6})", block))
    pairs = [("ink", "card"), ("soft", "card"), ("ink", "page"), ("soft", "page"),
             ("good", "good-back"), ("bad", "bad-back"), ("note", "note-back")]  # fmt: skip
    for front, back in pairs:
        bright, dark = sorted((luminance(color[front]), luminance(color[back])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (front, back)


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["none.glb"], "mesh.missing", 3),
        (["FILE", "--profile", "pretty"], "profile.unknown", 2),
        (["FILE", "--profile", "BAD"], "profile.invalid", 2),
        (["FOLDER"], "evaluate.no_mesh", 2),
        (["NOISE"], "mesh.damaged", 3),
    ],
)
def test_what_is_wrong_is_one_sentence(good, tmp_path, capsys, arguments, code, exit_code):
    (tmp_path / "bad.toml").write_text('[rules."mesh.volume"]\nfail = "big"\n', encoding="utf-8")
    (tmp_path / "noise.glb").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    names = {"FILE": good, "BAD": tmp_path / "bad.toml", "FOLDER": tmp_path / "folder",
             "NOISE": tmp_path / "noise.glb"}  # fmt: skip
    assert run(["check", *[str(names.get(a, a)) for a in arguments]]) == exit_code
    error = capsys.readouterr().err
    assert f"[{code}]" in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


@pytest.fixture
def result(textured_sphere, tmp_path) -> Path:
    """A result folder whose run compared two photos."""
    from photocast.data import Check

    scene = Scene(textured_sphere, {})
    save_mesh(tmp_path / "mesh.glb", scene.mesh)
    checked = check_file(tmp_path / "mesh.glb", "result").joined(
        [Check("image.mask_iou", 0.97), Check("image.psnr_inside", 31.5, "dB")]
    )
    views = [{"name": "one", "mask_iou": 0.99}, {"name": "two", "mask_iou": 0.95}]
    report = replace(checked.report, run={"views": views, "versions": {"photocast": "0"}})
    pictures = {"preview.png": b"p", "turntable.webp": b"t"}
    export_report(report, tmp_path, pictures, compared=True, layers=checked.layers)
    return tmp_path


def test_scores_of_photos_come_from_the_run_that_made_the_file(result, capsys):
    assert run(["check", str(result), "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in document["checks"]}
    assert checks["image.mask_iou"]["value"] == 0.97
    assert checks["image.mask_iou"]["verdict"] == "pass"
    assert (checks["image.psnr_inside"]["value"], checks["image.psnr_inside"]["unit"]) == (
        31.5, "dB")  # fmt: skip
    assert checks["image.lpips"]["value"] is None
    assert [photo["name"] for photo in document["photos"]] == ["one", "two"]
    assert document["run"]["versions"] == {"photocast": "0"}


def test_scores_of_another_file_are_not_believed(result, textured_sphere):
    save_mesh(result / "mesh.glb", replace(textured_sphere, vertices=textured_sphere.vertices * 2))
    report = check_result(result).report
    found = {check.name: check for check in report.checks}["image.mask_iou"]
    assert found.value is None
    assert "another mesh" in found.note
    assert report.run == {}


@pytest.mark.parametrize("text", ["", "[]", '{"checks": 3}', '{"checks": [{"name": 1}]}'])
def test_a_damaged_report_beside_the_file_is_no_crash(result, text):
    (result / "report.json").write_text(text, encoding="utf-8")
    checks = {check.name: check for check in check_result(result).report.checks}
    assert checks["image.psnr"].value is None
    assert checks["image.psnr"].note
