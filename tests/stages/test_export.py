# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A result folder is complete or untouched, and keeps what else lies in it."""

import io
import itertools
import json
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from photocast.data import Check, Photo, Report, Scene
from photocast.errors import ConfigError, PhotocastError, UserError
from photocast.formats.cameras_json import load_cameras
from photocast.formats.meshes import load_mesh
from photocast.stages.export import export, mesh_formats, place_files
from photocast.stages.orbit import orbit_camera
from photocast.stages.preview import object_psnr, preview_png, spread
from photocast.stages.render import render_view
from photocast.stages.report import report_json, run_json
from photocast.stages.report_page import ReportImage, report_page
from photocast.stages.run_record import StageClock, describe_run

REPORT = Report(
    checks=(
        Check("mesh.watertight", True, limit="yes", passed=True),
        Check("image.psnr", 27.25, unit="dB", limit=">= 25", passed=True, note="4 views"),
        Check("uv.overlap", 0.25, limit="<= 0.001", passed=False),
        Check("mesh.genus", None, note="not closed"),
    ),
    warnings=("Photo <b>7</b> & 8 are blurred.",),
    run={
        "versions": {"photocast": "0.1.0"},
        "seconds": {"hull": 2.0, "texture": 61.0},
        "views": [{"name": "a<script>", "psnr": 27.0}, {"name": "b", "psnr": 27.5}],
    },
)


@pytest.fixture(scope="module")
def scene(textured_sphere) -> Scene:
    up = np.array([0.0, 0.0, 1.0])
    cameras = {
        f"view{index}": orbit_camera(
            textured_sphere.vertices, up, azimuth_deg=index * 40, size=(64, 48)
        )
        for index in range(6)
    }
    return Scene(textured_sphere, cameras, up=up)


@pytest.fixture(scope="module")
def photos(scene) -> list[Photo]:
    taken = []
    for name, camera in scene.cameras.items():
        picture = render_view(scene, camera)
        taken.append(Photo(name, camera, picture.rgb, picture.alpha))
    return taken


@pytest.fixture(scope="module")
def result(scene, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "deep" / "result"
    report = export(scene, REPORT, out, formats=["ply", "obj", "glb"], photos=photos)
    return out, report


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def test_everything_promised_is_there_and_nothing_else(result):
    out, _ = result
    assert {path.name for path in out.iterdir()} == {
        "mesh.glb", "mesh.ply", "mesh.obj", "mesh.mtl", "mesh.png",
        "cameras.json", "preview.png", "turntable.webp", "report.json", "report.html", "run.json",
    }  # fmt: skip


def test_mesh_and_cameras_come_back_in_the_captures_frame(result, scene):
    out, _ = result
    for name in ("mesh.glb", "mesh.ply", "mesh.obj"):
        np.testing.assert_array_equal(load_mesh(out / name).vertices, scene.mesh.vertices)
    found = load_cameras(out / "cameras.json")
    np.testing.assert_array_equal(found.up, scene.up)
    assert list(found.cameras) == list(scene.cameras)


def test_the_report_knows_the_size_of_every_mesh_file(result):
    out, report = result
    document = json.loads((out / "report.json").read_bytes())
    sizes = {c["name"]: c["value"] for c in document["checks"] if c["name"].startswith("file.")}
    assert sizes == {
        f"file.{path.name}": path.stat().st_size for path in out.iterdir() if path.stem == "mesh"
    }
    assert [check.name for check in report.checks] == [c["name"] for c in document["checks"]]
    assert (document["format"], document["version"]) == ("photocast-report", 2)
    assert document["passed"] is False


def test_the_page_is_self_contained_accessible_and_escaped(result):
    out, _ = result
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert "http" not in text
    assert not any(tag in ("script", "link", "iframe") for tag, _ in page.tags)
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 2
    for image in images:
        assert image["src"].startswith("data:image/")
        assert len(image["alt"]) > 20
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert ("html", {"lang": "en"}) in page.tags
    for wanted in ("Photo <b>7</b> & 8", "a<script>", "27.25 dB", "≥ 25", "1 min 03 s", "1 failed"):
        assert wanted in page.text
    assert "prefers-color-scheme: dark" in text


def test_a_page_without_checks_claims_nothing():
    page = Page(report_page(Report(()), title="bare").decode())
    assert "passed" not in page.text
    assert page.open == []


def test_a_page_escapes_titles_and_captions():
    image = ReportImage(b"x", "image/png", alt='say "hi"', caption="<i>")
    page = Page(report_page(Report(()), title="<i>&", images=[image]).decode())
    assert "i" not in [tag for tag, _ in page.tags]
    assert ("img", {"src": "data:image/png;base64,eA==", "alt": 'say "hi"'}) in page.tags


def test_numbers_json_cannot_hold_become_null():
    report = Report(
        (Check("a", float("nan")), Check("b", np.float32(0.5)), Check("c", np.bool_(True))),
        run={"list": (np.int64(3), float("inf")), "array": np.eye(2), "path": io},
    )
    values = [check["value"] for check in json.loads(report_json(report))["checks"]]
    assert values == [None, 0.5, True]
    run = json.loads(run_json(report))
    assert run["list"] == [3, None]
    assert run["array"] == [[1, 0], [0, 1]]
    assert run["format"] == "photocast-run"


def test_old_files_are_replaced_and_strangers_left_alone(tmp_path):
    (tmp_path / "mesh.glb").write_bytes(b"old")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    place_files(tmp_path, {"mesh.glb": b"new", "run.json": b"{}"})
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"mesh.glb": b"new", "notes.txt": b"mine", "run.json": b"{}"}


def test_a_failure_before_the_end_changes_no_file(tmp_path):
    (tmp_path / "mesh.glb").write_bytes(b"old")
    (tmp_path / ".run.json.partial").mkdir()  # the second file cannot be written
    with pytest.raises(PhotocastError, match="cannot be written") as caught:
        place_files(tmp_path, {"mesh.glb": b"new", "run.json": b"{}"})
    assert caught.value.code == "out.write"
    assert (tmp_path / "mesh.glb").read_bytes() == b"old"
    assert not (tmp_path / ".mesh.glb.partial").exists()


def test_what_is_no_longer_true_goes_when_the_new_files_come(tmp_path):
    for name in ("run.json", "preview.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"old")
    with pytest.raises(TypeError):
        place_files(tmp_path, {"mesh.glb": None}, stale=["run.json"])
    assert (tmp_path / "run.json").exists(), "until the new files are complete"
    place_files(tmp_path, {"mesh.glb": b"new"}, stale=["run.json", "absent.json"])
    assert {path.name for path in tmp_path.iterdir()} == {"mesh.glb", "preview.png", "notes.txt"}


def test_an_out_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="is a file") as caught:
        place_files(tmp_path / "out", {})
    assert caught.value.code == "out.file"


def test_a_format_that_cannot_be_written_here_is_said_before_the_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(UserError, match=r"photocast\[usd\]"):
        mesh_formats(["usdz"])
    assert mesh_formats(["3mf", "gltf"]) == (".glb", ".3mf", ".gltf")


def test_glb_is_always_written_first_and_unknown_formats_are_named():
    assert mesh_formats(["ply", ".GLB", "ply"]) == (".glb", ".ply")
    with pytest.raises(ConfigError, match="fbx"):
        mesh_formats(["fbx"])


def test_a_perfect_result_has_a_black_difference_and_a_high_psnr(scene, photos):
    with Image.open(io.BytesIO(preview_png(scene, photos))) as image:
        sheet = np.asarray(image)
    title, tile, gap, foot = 34, 300, 12, 26
    assert sheet.shape == (title + 4 * (tile + foot + gap), gap + 4 * (tile + gap), 3)
    for row in range(4):
        top, left = title + row * (tile + foot + gap), gap + 2 * (tile + gap)
        difference = sheet[top + 80 : top + 220, left + 80 : left + 220]
        assert difference.max() <= 8
        photo, render = sheet[top : top + tile, gap : gap + tile], sheet[top : top + tile, 324:624]
        assert np.abs(photo.astype(int) - render).mean() < 1
        assert photo.std() > 20


def test_a_photo_without_mask_is_compared_where_the_object_is(scene, photos):
    # A wild background must not count: it is no error of the mesh.
    noise = np.random.default_rng(1).integers(0, 256, photos[0].rgb.shape).astype(np.uint8)
    covered = (photos[0].mask > 0)[..., None]
    wild = replace(photos[0], rgb=np.where(covered, photos[0].rgb, noise), mask=None)
    with Image.open(io.BytesIO(preview_png(scene, [wild]))) as image:
        sheet = np.asarray(image)
    difference = sheet[34:334, 636:936]
    assert difference[100:200, 100:200].max() <= 8  # on the object
    assert difference[145:155, :12].max() == 0  # beside it


def test_a_preview_without_photos_shows_the_object_from_around(scene):
    with Image.open(io.BytesIO(preview_png(scene, rows=2))) as image:
        assert image.size == (12 + 3 * 312, 34 + 2 * 338)


def test_psnr_of_a_known_error():
    a, b = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    everywhere = np.ones((4, 4), bool)
    assert object_psnr(a, b, everywhere) == pytest.approx(-20 * np.log10(0.2))
    assert object_psnr(a, b, ~everywhere) is None


def test_photos_are_chosen_evenly(photos):
    assert [photo.name for photo in spread(photos, 3)] == ["view0", "view2", "view4"]
    assert spread(photos, 10) == photos


def test_a_run_names_versions_inputs_and_options(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    run = describe_run(
        options={"seed": 7}, seconds={"x": 1.23456}, inputs=[tmp_path / "a.txt"], root=tmp_path
    )
    assert run["inputs"] == {
        "a.txt": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
    assert run["options"] == {"seed": 7}
    assert run["seconds"] == {"x": 1.235}
    assert {"photocast", "python", "torch", "warp-lang"} <= set(run["versions"])
    assert run["peak_memory_bytes"]["main"] > 1e7
    json.dumps(run, allow_nan=False)


def test_the_clock_gives_time_to_the_stage_that_reports():
    import time

    seen = []
    clock = StageClock(lambda *args, **numbers: seen.append((args, numbers)))
    time.sleep(0.03)
    clock("first", 1, 2)
    clock("first", 2, 2, loss=0.5)
    time.sleep(0.05)
    clock("second", 1, 1)
    clock.lap("third")
    assert list(clock.seconds) == ["first", "second", "third"]
    assert sum(clock.seconds.values()) == pytest.approx(clock.total, abs=0.02)
    assert len(seen) == 3
    assert 0.03 <= clock.seconds["first"] < clock.seconds["second"]
    assert seen[1] == (("first", 2, 2), {"loss": 0.5})
