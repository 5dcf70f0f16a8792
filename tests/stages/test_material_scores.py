# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of base colour and of pictures under another light, for results whose faults are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from photocast.data import Camera, Mesh, Photo, Scene
from photocast.errors import CaptureError, MeshError
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear
from photocast.stages.lit_drawing import render_for_scores
from photocast.stages.material_scores import (
    read_relit_photos,
    score_albedo,
    score_relit,
    with_scaled_base_color,
)
from photocast.stages.metrics import MAX_PSNR
from photocast.stages.orbit import orbit_camera

UP = np.array([0.0, 1.0, 0.0])


@pytest.fixture
def cameras(textured_sphere) -> list[Camera]:
    return [
        orbit_camera(textured_sphere.vertices, UP, azimuth_deg=angle, size=(40, 40))
        for angle in (0, 130)
    ]


def colors_of(mesh: Mesh):
    return render_for_scores(Scene(mesh, {}), style="base_color")


def tinted(mesh: Mesh, *factors: float) -> Mesh:
    return with_scaled_base_color(mesh, factors)


def test_the_truth_itself_is_perfect_with_factors_of_one(textured_sphere, cameras):
    render = colors_of(textured_sphere)
    scores = score_albedo(render, render, cameras)
    assert scores.albedo_psnr == MAX_PSNR
    assert scores.albedo_psnr_linear == MAX_PSNR
    assert scores.albedo_scale == pytest.approx((1, 1, 1))


def test_a_factor_per_channel_is_forgiven_and_told(textured_sphere, cameras):
    darker = tinted(textured_sphere, 0.5, 0.8, 0.25)
    scores = score_albedo(colors_of(darker), colors_of(textured_sphere), cameras)
    assert scores.albedo_scale == pytest.approx((2, 1.25, 4), rel=0.02)
    assert scores.albedo_psnr > 40


def test_one_factor_serves_all_views():
    # Twice as bright in one view and half in the other: no single factor mends that.
    camera = Camera(8, 8, 8.0, 8.0, 4.0, 4.0, np.eye(4))
    cameras = [camera, replace(camera, fx=9.0)]
    whole = np.full((8, 8), 255, np.uint8)

    def flat(first: float, second: float):
        def render(at: Camera):
            value = first if at.fx == 8 else second
            return np.tile(srgb_from_linear(np.array(value)), (8, 8, 3)), whole

        return render

    scores = score_albedo(flat(0.4, 0.1), flat(0.2, 0.2), cameras)
    factor = (0.4 * 0.2 + 0.1 * 0.2) / (0.4**2 + 0.1**2)
    assert scores.albedo_scale == pytest.approx((factor,) * 3, rel=0.01)
    errors = [factor * 0.4 - 0.2, factor * 0.1 - 0.2]
    wanted = np.mean([-20 * np.log10(abs(error)) for error in errors])
    assert scores.albedo_psnr_linear == pytest.approx(wanted, abs=0.1)
    shown = [
        srgb_from_linear(np.array(factor * value)) / 255.0 - srgb_from_linear(np.array(0.2)) / 255.0
        for value in (0.4, 0.1)
    ]
    wanted = np.mean([-20 * np.log10(abs(error)) for error in shown])
    assert scores.albedo_psnr == pytest.approx(wanted, abs=0.6)  # 8 bits


def test_only_what_both_cover_is_compared(textured_sphere, cameras):
    larger = replace(textured_sphere, vertices=textured_sphere.vertices * np.float32(1.2))
    scores = score_albedo(colors_of(larger), colors_of(textured_sphere), cameras)
    assert 10 < scores.albedo_psnr < 40


def test_a_result_elsewhere_shares_no_pixel(textured_sphere, cameras):
    away = replace(textured_sphere, vertices=textured_sphere.vertices + np.float32(50))
    with pytest.raises(MeshError, match="no common pixel in 2 views") as caught:
        score_albedo(colors_of(away), colors_of(textured_sphere), cameras)
    assert caught.value.code == "evaluate.no_overlap"


def test_the_base_colour_is_drawn_without_light_whatever_the_material_says(
    textured_sphere, cameras
):
    material = replace(textured_sphere.material, unlit=False)
    lit = replace(textured_sphere, material=material)
    np.testing.assert_array_equal(
        colors_of(lit)(cameras[0])[0], colors_of(textured_sphere)(cameras[0])[0]
    )


def test_scaling_multiplies_linear_colours_and_stops_at_white(textured_sphere):
    bright = tinted(textured_sphere, 1.0, 2.0, 50.0).material.base_color
    plain = textured_sphere.material.base_color
    np.testing.assert_array_equal(bright[..., 0], plain[..., 0])
    np.testing.assert_allclose(bright[..., 1], np.minimum(plain[..., 1] * 2, 1), rtol=1e-6)
    assert bright.max() == 1
    painted = replace(textured_sphere, colors=np.full((len(textured_sphere.vertices), 3), 0.4, "f"))
    np.testing.assert_allclose(tinted(painted, 1, 2, 3).colors[0], [0.4, 0.8, 1.0], rtol=1e-6)


def test_relit_photos_are_scored_plain_and_with_scaled_colours(textured_sphere, cameras):
    # An unlit mesh looks the same in every light, so its own pictures are the relit photos.
    truth = render_for_scores(Scene(textured_sphere, {}))
    photos = [Photo(f"{i}", camera, *truth(camera)) for i, camera in enumerate(cameras)]
    dark = tinted(textured_sphere, 0.5, 0.5, 0.5)
    mended = tinted(dark, 2, 2, 2)
    scores = score_relit(
        photos, render_for_scores(Scene(dark, {})), render_for_scores(Scene(mended, {}))
    )
    assert scores.relit_views == 2
    assert scores.relit_psnr_white < 25
    assert scores.relit_psnr_inside < scores.relit_psnr_white
    assert scores.relit_psnr_white_scaled > 45
    assert scores.relit_psnr_inside_scaled > 40
    alone = score_relit(photos, truth)
    assert alone.relit_psnr_white > 90
    assert alone.relit_psnr_white_scaled is None


def test_photos_under_another_light_are_read_by_the_name_of_their_file(tmp_path):
    rgba = np.zeros((12, 12, 4), np.uint8)
    rgba[3:9, 3:9] = (200, 100, 50, 255)
    (tmp_path / "relit").mkdir()
    frames = []
    for index in range(2):
        Image.fromarray(rgba).save(tmp_path / "relit" / f"r_{index}.png")
        pose = np.eye(4)
        pose[2, 3] = 4 + index
        frames.append({"file_path": f"./relit/r_{index}", "transform_matrix": pose.tolist()})
    file = tmp_path / "transforms_relit.json"
    file.write_text(json.dumps({"camera_angle_x": 0.7, "frames": frames}), encoding="utf-8")
    photos = read_relit_photos(file)
    assert len(photos) == 2
    assert photos[0].mask[5, 5] == 255
    assert linear_from_srgb(photos[0].rgb[5, 5])[0] == pytest.approx(0.578, abs=0.01)
    (tmp_path / "relit" / "r_0.png").unlink()
    (tmp_path / "relit" / "r_1.png").unlink()
    with pytest.raises(CaptureError, match=r"transforms_relit\.json names no photo") as caught:
        read_relit_photos(file)
    assert caught.value.code == "evaluate.no_photos"
