# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Marks are red where the faces are, paler where they are hidden, and nowhere else."""

import io

import numpy as np
import pytest
from PIL import Image

from photocast.stages.heat_map import COLD_TO_HOT, heat_map_png, marked_png
from photocast.stages.orbit import orbit_camera
from photocast.stages.render import drawable

UP = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def ball(textured_sphere):
    cameras = [
        orbit_camera(textured_sphere.vertices, UP, azimuth_deg=azimuth, size=(120, 120))
        for azimuth in (0, 180)
    ]
    middles = textured_sphere.vertices[textured_sphere.faces].mean(axis=1)
    return drawable(textured_sphere), cameras, middles


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def redness(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0] - picture[..., 1:].max(axis=-1)


def test_marks_are_seen_in_front_and_through_the_object(ball):
    item, cameras, middles = ball
    picture = pixels(marked_png(item, cameras, middles[:, 2] > 0.6))
    assert picture.shape == (120, 248, 3)
    front, back = redness(picture)[:, :120], redness(picture)[:, 128:]
    assert (front > 100).sum() > 1000
    assert (back > 100).sum() == 0
    assert (back > 30).sum() > 500


def test_without_marks_nothing_is_red(ball):
    item, cameras, middles = ball
    assert redness(pixels(marked_png(item, cameras, middles[:, 2] > 9))).max() < 20


def test_numbers_run_from_cold_to_hot_and_unknown_stays_grey(ball):
    item, cameras, middles = ball
    for value, stop in ((60.0, COLD_TO_HOT[0]), (0.0, COLD_TO_HOT[-1]), (-5.0, COLD_TO_HOT[-1])):
        picture = pixels(heat_map_png(item, cameras, np.full(len(middles), value), 60.0, 0.0))
        color = picture[60, 60] / picture[60, 60].max()
        np.testing.assert_allclose(color, np.array(stop) / max(stop), atol=0.1)
    grey = pixels(heat_map_png(item, cameras, np.full(len(middles), np.nan), 60.0, 0.0))[60, 60]
    assert np.ptp(grey) < 12
