# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The two commands as people chain them: make a capture, score a result."""

import json
import shutil

import pytest

from photocast.cli.evaluate import Split, evaluate
from photocast.cli.sample import sample
from photocast.errors import UserError


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "rocket"
    sample(folder, views=4, test_views=2, size=64, samples=16, quiet=True)
    return folder


@pytest.fixture
def result(capture, tmp_path):
    """The truth itself as a result."""
    (tmp_path / "result").mkdir()
    shutil.copy(capture / "ground_truth.ply", tmp_path / "result" / "mesh.ply")
    return tmp_path / "result"


def test_the_truth_scores_perfectly_but_for_the_light_it_was_not_given(capture, result, capsys):
    evaluate(result, capture, as_json=True, quiet=True)
    scores = json.loads(capsys.readouterr().out)
    assert scores["ok"] is True
    assert [view["name"] for view in scores["views"]] == ["test/r_0", "test/r_1"]
    assert scores["mesh"]["chamfer"] < 1e-6
    assert scores["mesh"]["f_score_half_percent"] == 1
    assert scores["mean"]["mask_iou"] > 0.95
    assert 15 < scores["mean"]["psnr_white"] < 35


def test_scores_are_also_told_in_words(capture, result, capsys):
    evaluate(result, capture, split=Split.train, quiet=True)
    out = capsys.readouterr().out
    assert out.startswith("4 photos, mean scores:")
    for label in ("PSNR over white", "SSIM inside the mask", "F-score at 1 %"):
        assert label in out


def test_without_a_truth_only_the_photos_are_compared(capture, result, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(capture, bare)
    (bare / "ground_truth.ply").unlink()
    evaluate(result / "mesh.ply", bare, as_json=True, quiet=True)
    assert json.loads(capsys.readouterr().out)["mesh"] is None


def test_photos_set_aside_by_number_are_found_again(capture, result, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(capture, bare)
    (bare / "transforms_test.json").unlink()
    with pytest.raises(UserError, match="--holdout") as caught:
        evaluate(result, bare, quiet=True)
    assert caught.value.code == "evaluate.no_test_photos"
    evaluate(result, bare, holdout=3, as_json=True, quiet=True)
    scores = json.loads(capsys.readouterr().out)
    assert [view["name"] for view in scores["views"]] == ["r_0", "r_3"]


def test_a_folder_without_a_mesh_is_refused(capture):
    with pytest.raises(UserError, match=r"mesh\.glb, mesh\.obj, mesh\.ply") as caught:
        evaluate(capture, capture, quiet=True)
    assert caught.value.code == "evaluate.no_mesh"


def test_base_colour_and_another_light_are_scored_against_the_truth(
    capture, result, tmp_path, capsys
):
    # The truth as its own result: its base colour is right, its pictures are not lit.
    evaluate(
        result,
        capture,
        albedo=capture / "ground_truth.ply",
        relit=capture / "transforms_test.json",
        light=capture / "ground_truth_light.hdr",
        as_json=True,
        quiet=True,
    )
    scores = json.loads(capsys.readouterr().out)
    assert scores["albedo"]["albedo_psnr"] == 100
    assert scores["albedo"]["albedo_scale"] == pytest.approx([1, 1, 1])
    assert scores["relit"]["relit_views"] == 2
    assert scores["relit"]["relit_psnr_white"] == pytest.approx(scores["mean"]["psnr_white"])
    assert scores["relit"]["relit_psnr_white_scaled"] == pytest.approx(
        scores["relit"]["relit_psnr_white"]
    )
    evaluate(
        result,
        capture,
        relit=capture / "transforms_test.json",
        light=capture / "ground_truth_light.hdr",
        quiet=True,
    )
    said = capsys.readouterr().out
    assert "relit, over white" in said
    assert "colour scaled" not in said
    assert "base colour" not in said


@pytest.mark.parametrize("given", ["relit", "light"])
def test_photos_under_another_light_need_that_light_and_the_other_way_round(capture, result, given):
    missing = {"relit": "light", "light": "relit"}[given]
    with pytest.raises(UserError, match=f"--{missing} is missing") as caught:
        evaluate(result, capture, quiet=True, **{given: capture / "transforms_test.json"})
    assert caught.value.code == "evaluate.relit"
