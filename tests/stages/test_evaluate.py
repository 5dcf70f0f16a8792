# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of pictures that are right, wrong in a known way, or without masks."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from photocast.data import Camera, Photo
from photocast.errors import CaptureError
from photocast.stages.evaluate import evaluate, evaluate_views, mean_scores
from photocast.stages.metrics import MAX_PSNR

SIZE = 32


def photo(name: str, seed: int, *, masked: bool = True) -> Photo:
    rng = np.random.default_rng(seed)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[8:24, 6:20] = 255
    mask[8, 6:20] = 100  # a soft edge
    # Colours where nothing is must not matter.
    rgb = rng.integers(0, 200, (SIZE, SIZE, 3), dtype=np.uint8)
    pose = np.eye(4)
    pose[2, 3] = 3 + seed
    camera = Camera(SIZE, SIZE, 40.0, 40.0, SIZE / 2, SIZE / 2, pose)
    return Photo(name=name, camera=camera, rgb=rgb, mask=mask if masked else None)


PHOTOS = [photo("a", 1), photo("b", 2)]
BY_DEPTH = {p.camera.camera_from_world[2, 3]: p for p in PHOTOS}


def copy(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The photo itself, with other colours where it is transparent."""
    shown = BY_DEPTH[camera.camera_from_world[2, 3]]
    return np.where(shown.mask[..., None] == 0, 77, shown.rgb).astype(np.uint8), shown.mask


def test_the_photos_themselves_are_perfect():
    views = evaluate_views(copy, PHOTOS)
    assert [view.name for view in views] == ["a", "b"]
    for view in views:
        scores = asdict(view)
        del scores["name"]
        for name, value in scores.items():
            assert value == pytest.approx(MAX_PSNR if name.startswith("psnr") else 1)


def test_every_device_gives_the_same_scores(device):
    def darker(camera):
        rgb, alpha = copy(camera)
        return (rgb * 0.8).astype(np.uint8), alpha

    for here, there in zip(
        evaluate_views(darker, PHOTOS),
        evaluate_views(darker, PHOTOS, device=device),
        strict=True,
    ):
        numbers, others = ({**asdict(view), "name": 0} for view in (here, there))
        assert here.name == there.name
        assert numbers == pytest.approx(others, abs=1e-9)


def test_a_brighter_picture_has_the_error_of_its_brightness():
    def brighter(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        rgb, alpha = copy(camera)
        return rgb + np.uint8(20), alpha

    (view, _) = evaluate_views(brighter, PHOTOS)
    share = PHOTOS[0].mask / 255
    error = (share * 20 / 255) ** 2
    assert view.psnr_inside == pytest.approx(-10 * np.log10(error[share > 0.5].mean()))
    assert view.psnr_white == pytest.approx(-10 * np.log10(error.mean()))
    assert view.psnr_black == pytest.approx(view.psnr_white)
    assert view.mask_iou == 1
    assert view.ssim_inside < view.ssim_black < 1


def test_an_empty_picture_shows_the_background():
    def nothing(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), np.uint8)

    (view, _) = evaluate_views(nothing, PHOTOS)
    share = PHOTOS[0].mask[..., None] / 255
    color = PHOTOS[0].rgb / 255
    assert view.psnr_white == pytest.approx(-10 * np.log10(((share * (1 - color)) ** 2).mean()))
    assert view.psnr_black == pytest.approx(-10 * np.log10(((share * color) ** 2).mean()))
    assert view.mask_iou == 0


def test_without_a_mask_only_what_the_picture_covers_is_compared():
    bare = replace(PHOTOS[0], mask=None)
    (view,) = evaluate_views(copy, [bare])
    assert (view.psnr_white, view.psnr_black, view.ssim_white, view.mask_iou) == (None,) * 4
    assert view.psnr_inside == MAX_PSNR


def test_means_average_each_score_over_the_views_that_have_it():
    bare = replace(PHOTOS[1], mask=None)
    views = evaluate_views(copy, [PHOTOS[0], bare])
    views = (replace(views[0], psnr_inside=20.0), replace(views[1], psnr_inside=30.0))
    mean = mean_scores(views)
    assert mean.name == "mean"
    assert mean.psnr_inside == 25
    assert mean.mask_iou == views[0].mask_iou
    assert mean_scores(views[1:]).psnr_white is None


def test_progress_tells_of_every_view_and_the_mesh_is_scored(textured_sphere):
    seen = []

    def note(stage: str, done: int, total: int, **numbers: float) -> None:
        seen.append((stage, done, total))

    result = evaluate(PHOTOS, copy, meshes=(textured_sphere, textured_sphere), progress=note)
    assert seen == [("evaluate", 1, 2), ("evaluate", 2, 2)]
    assert result.mesh is not None
    assert result.mesh.chamfer < 1e-6
    assert evaluate(PHOTOS, copy).mesh is None


def test_no_photos_are_an_error():
    with pytest.raises(CaptureError, match="no photos"):
        evaluate_views(copy, [])
