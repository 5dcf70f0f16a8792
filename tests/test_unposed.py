# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos without cameras in, a result folder out, by the command that people type."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast.cli.boundary import run
from photocast.engines.choose import choose_engine
from photocast.errors import CaptureError
from photocast.formats.gaussian_ply import write_gaussian_ply
from photocast.formats.meshes import load_mesh
from photocast.formats.ply_tables import read_ply_tables
from photocast.nets.gaussian_decoder import PLY_FIELDS
from photocast.nets.seeded import write_test_weights
from photocast.stages.pictures import decode_pictures, find_pictures


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_test_weights(tmp_path_factory.mktemp("weights")).root


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four RGBA photos of a disc; no cameras."""
    folder = tmp_path_factory.mktemp("photos")
    y, x = np.mgrid[0:72, 0:90]
    for number in range(4):
        alpha = ((x - 40) ** 2 + (y - 36) ** 2 < 600).astype(np.uint8) * 255
        rgb = np.dstack([x * 2, y * 3, np.full_like(x, 60 * number)]).astype(np.uint8)
        Image.fromarray(np.dstack([rgb, alpha])).save(folder / f"p{number}.png")
    return folder


def command(photos, out, weights, *more):
    common = ["--engine", "generate", "--preset", "draft", "--device", "cpu", "--quiet"]
    return [
        *("reconstruct", str(photos), "--out", str(out), "--weights", str(weights)),
        *(*common, *more),
    ]


@pytest.fixture(scope="module")
def out(photos, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("result")
    more = ["--formats", "glb,obj", "--reference", "p2", "--refine", "--compensate"]
    assert run(command(photos, out, weights, *more)) == 0
    return out


def test_the_result_folder_is_complete(out):
    names = {path.name for path in out.iterdir()}
    assert {"mesh.glb", "mesh.obj", "gaussians.ply", "preview.png", "turntable.webp"} <= names
    assert {"report.html", "report.json", "run.json", "cameras.json"} <= names
    mesh = load_mesh(out / "mesh.glb")
    assert len(mesh.faces) > 100
    assert mesh.material.base_color is not None


def test_the_record_says_that_a_test_model_made_it(out):
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["engine"]["test_weights"] is True
    assert record["engine"]["photos"] == ["p2", "p0", "p1", "p3"]
    assert record["options"]["settings"]["structure_steps"] == 12
    assert len(record["inputs"]) == 4
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert any("means nothing" in warning for warning in report["warnings"])
    values = {check["name"]: check["value"] for check in report["checks"]}
    assert values["mesh.faces"] > 100
    # no photo could be placed, so there is nothing to compare with: not known, and never a number
    assert any("None of the 4 photos could be placed" in text for text in report["warnings"])
    assert all(value is None for name, value in values.items() if name.startswith("image."))
    assert values["cameras.count"] == 0
    placing = record["engine"]["placing"]["views"]
    assert {view["confidence"] < 0.5 for view in placing.values()} == {True}
    assert "means nothing" in (out / "report.html").read_text(encoding="utf-8")


def test_the_gaussians_are_a_ply_that_viewers_know(out):
    table = read_ply_tables((out / "gaussians.ply").read_bytes())["vertex"]
    assert tuple(table.scalars) == PLY_FIELDS
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert len(table.scalars["x"]) == record["engine"]["gaussians"]
    assert all(np.isfinite(values).all() for values in table.scalars.values())


def test_gaussians_that_do_not_fit_their_fields_are_refused():
    with pytest.raises(ValueError, match="do not fit 2 fields"):
        write_gaussian_ply(np.zeros((3, 4), np.float32), ("x", "y"))


def test_refining_is_asked_for_and_told_where_it_cannot_be(out):
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert any("was not refined: 0 photos" in text for text in report["warnings"])
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["engine"]["refinement"] == {"kept": False}


def test_compensation_is_asked_for_and_told_where_it_cannot_be(out):
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert any("did not correct the object: 0 of 4" in text for text in report["warnings"])
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["engine"]["compensation"] == {"kept": False, "photos": []}
    assert record["options"]["settings"]["compensation"]["enabled"] is True


@pytest.mark.parametrize("option", ["--refine", "--compensate"])
def test_options_for_what_is_generated_are_refused_where_nothing_is(tmp_path, capsys, option):
    sample = Path(__file__).parents[1] / "examples" / "sample"
    assert run(["reconstruct", str(sample), "--out", str(tmp_path / "out"), option]) == 2
    assert option in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "option"),
    [
        (["--holdout", "4"], "--holdout"),
        (["--max-size", "256"], "--max-size"),
        (["--max-seconds", "60"], "--max-seconds"),
        (["--poses", "off"], "--poses"),
    ],
)
def test_options_that_need_cameras_are_refused(photos, weights, tmp_path, capsys, more, option):
    assert run(command(photos, tmp_path / "out", weights, *more)) == 2
    assert option in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_weights_are_told_with_the_command(photos, tmp_path, capsys):
    assert run(command(photos, tmp_path / "out", tmp_path / "none")) == 3
    shown = capsys.readouterr().err
    assert "photocast weights fetch generate" in shown
    assert "weights.missing_file" in shown


def test_masks_may_lie_in_a_folder(photos, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for path in sorted(photos.glob("*.png")):
        rgba = np.asarray(Image.open(path))
        Image.fromarray(rgba[..., :3]).save(tmp_path / "images" / path.name)
        Image.fromarray(rgba[..., 3]).save(tmp_path / "masks" / path.name)
    capture = find_pictures(tmp_path)
    assert capture.mask_source == "file"
    for ours, path in zip(decode_pictures(capture), sorted(photos.glob("*.png")), strict=True):
        assert np.array_equal(ours.mask, np.asarray(Image.open(path))[..., 3])
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "masks" / "p0.png")
    with pytest.raises(CaptureError, match="5x5 and its photo 90x72") as caught:
        decode_pictures(capture)
    assert caught.value.code == "capture.size"


def test_one_photo_with_a_mask_file_is_enough(photos, tmp_path):
    rgba = np.asarray(Image.open(photos / "p0.png"))
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.flip(rgba[..., :3], 1)).save(tmp_path / "p0.png")
    Image.fromarray(rgba[..., 3]).save(tmp_path / "masks" / "p0.png")
    (picture,) = decode_pictures(find_pictures(tmp_path))
    assert np.array_equal(picture.mask, rgba[..., 3])


def test_auto_generates_where_there_are_no_cameras_and_says_why(photos, weights, tmp_path):
    arguments = command(photos, tmp_path / "out", weights)
    arguments[arguments.index("generate")] = "auto"
    assert run(arguments) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["options"]["engine"] == "generate"
    warnings = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))[
        "warnings"
    ]
    assert "4 photos but no cameras" in warnings[0]


def test_auto_optimizes_where_photos_have_cameras():
    name, reason = choose_engine(Path(__file__).parents[1] / "examples" / "sample")
    assert name == "optimize"
    assert "32 photos have cameras" in reason


def test_auto_refuses_a_folder_that_no_engine_can_use(tmp_path):
    with pytest.raises(CaptureError) as caught:
        choose_engine(tmp_path)
    assert caught.value.code == "capture.no_photos"


@pytest.mark.parametrize(
    ("value", "alpha", "code"),
    [
        (None, None, "capture.no_photos"),
        (7, None, "capture.no_masks"),
        (7, 0, "capture.masks_empty"),
    ],
)
def test_photos_that_show_no_object_are_refused(tmp_path, value, alpha, code):
    if value is not None:
        noise = np.random.default_rng(value).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        for number in range(3):
            layers = [noise] if alpha is None else [noise, np.full((40, 40), alpha, np.uint8)]
            Image.fromarray(np.dstack(layers)).save(tmp_path / f"{number}.png")
    with pytest.raises(CaptureError) as caught:
        decode_pictures(find_pictures(tmp_path))
    assert caught.value.code == code


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CaptureError) as caught:
        find_pictures(tmp_path / "none")
    assert caught.value.code == "capture.no_folder"
