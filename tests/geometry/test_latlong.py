# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a texel looks, in each layout, and what a map becomes in another."""

import numpy as np
import pytest

from photocast.geometry.latlong import (
    MITSUBA,
    PHOTOCAST,
    VIEWER,
    directions,
    look_up,
    resampled,
)
from photocast.geometry.upright import upright_matrix

LAYOUTS = {"photocast": PHOTOCAST, "viewer": VIEWER, "mitsuba": MITSUBA}


def smooth(toward: np.ndarray) -> np.ndarray:
    """A light that tells all directions apart, (..., 3)."""
    return 2 + toward + 0.3 * toward[..., [1, 2, 0]] * toward[..., [2, 0, 1]]


def column_and_row(layout, toward) -> tuple[float, float]:
    """Where a direction lands, measured by looking up maps that hold their own indices."""
    height, width = 8, 16
    columns = np.broadcast_to(np.arange(width)[None, :, None], (height, width, 1))
    rows = np.broadcast_to(np.arange(height)[:, None, None], (height, width, 1))
    at = np.array(toward) / np.linalg.norm(toward)
    return float(look_up(columns, layout, at)[0]), float(look_up(rows, layout, at)[0])


@pytest.mark.parametrize(
    ("name", "toward", "column", "row"),
    [
        # The kernel of the path tracer: column 0 starts at +X and runs towards +Y, +Z on top.
        ("photocast", (0, 1, 0), 3.5, 3.5),
        ("photocast", (-1, 0, 0), 7.5, 3.5),
        ("photocast", (0, -1, 0), 11.5, 3.5),
        # three.js: u = 0.5 + atan2(z, x) / 2 pi, v = 1 - acos(y) / pi from below.
        ("viewer", (1, 0, 0), 7.5, 3.5),
        ("viewer", (0, 0, 1), 11.5, 3.5),
        ("viewer", (0, 0, -1), 3.5, 3.5),
        # Read off Mitsuba 3.9.1 itself, by evaluating its emitter on such maps.
        ("mitsuba", (1, 0, 0), 3.5, 3.5),
        ("mitsuba", (-1, 0, 0), 11.5, 3.5),
        ("mitsuba", (0, 0, 1), 7.5, 3.5),
        ("mitsuba", (1, 0, -1), 1.5, 3.5),
        ("mitsuba", (np.sin(0.3), 0, -np.cos(0.3)), 0.2639438, 3.5),
        ("mitsuba", (0.0, np.cos(0.1), -np.sin(0.1)), None, 0.22281665),
        ("mitsuba", (0.0, 1.0, 0.0), None, 0.0),
        ("mitsuba", (0.0, -1.0, 0.0), None, 7.0),
    ],
)
def test_a_direction_lands_where_the_convention_says(name, toward, column, row):
    found = column_and_row(LAYOUTS[name], toward)
    assert found[1] == pytest.approx(row, abs=1e-5)
    if column is not None:
        assert found[0] == pytest.approx(column, abs=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_looking_up_a_texels_own_direction_gives_the_texel(layout):
    image = np.random.default_rng(1).random((6, 12, 3))
    toward = directions(layout, 6, 12)
    np.testing.assert_allclose(np.linalg.norm(toward, axis=-1), 1, atol=1e-12)
    inner = slice(1, -1) if layout.rows_are_lines else slice(None)  # all columns meet in a pole
    np.testing.assert_allclose(look_up(image, layout, toward)[inner], image[inner], atol=1e-9)


def test_the_samples_light_and_the_map_agree_on_directions():
    from photocast.stages.sample_light import light_directions

    np.testing.assert_allclose(directions(PHOTOCAST, 8, 16), light_directions(8)[0], atol=1e-12)


@pytest.mark.parametrize("source", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("target", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (1, 2, -3)])
def test_a_turned_map_shows_the_same_light_from_the_turned_direction(source, target, up):
    turn = upright_matrix(np.array(up))
    image = smooth(directions(source, 24, 48)).astype(np.float32)
    out = resampled(image, source, target, target_from_source=turn)
    wanted = smooth(directions(target, *out.shape[:2]) @ turn)
    assert np.abs(out - wanted).max() < 0.02


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 0, 1.0 + 1e-12)])
def test_between_ours_and_viewers_texels_only_change_places_where_z_is_up(up):
    image = np.random.default_rng(2).random((6, 12, 3)).astype(np.float32)
    turn = upright_matrix(np.array(up))
    shown = resampled(image, PHOTOCAST, VIEWER, target_from_source=turn)
    np.testing.assert_array_equal(shown, np.roll(image[:, ::-1], 6, axis=1))
    back = resampled(shown, VIEWER, PHOTOCAST, target_from_source=turn.T)
    np.testing.assert_array_equal(back, image)


def test_a_map_on_its_side_is_refined_and_comes_back_nearly_unblurred():
    image = np.random.default_rng(3).random((16, 32, 3)).astype(np.float32)
    shown = resampled(image, PHOTOCAST, VIEWER, refinement=4)
    assert shown.shape == (64, 128, 3)
    back = resampled(shown, VIEWER, PHOTOCAST, refinement=1)
    toward = directions(PHOTOCAST, 16, 32)[3:-3]
    error = look_up(back, PHOTOCAST, toward) - image[3:-3]
    # White noise is the worst there is.
    assert np.sqrt(np.square(error).mean()) < 0.3 * image.std()
    coarse = resampled(resampled(image, PHOTOCAST, VIEWER), VIEWER, PHOTOCAST, refinement=1)
    blurred = look_up(coarse, PHOTOCAST, toward) - image[3:-3]
    assert np.square(error).mean() < 0.5 * np.square(blurred).mean()


def test_turning_a_map_keeps_the_light_that_falls_on_a_surface():
    image = np.random.default_rng(4).random((16, 32, 3)).astype(np.float32)
    shown = resampled(image, PHOTOCAST, VIEWER, refinement=4)

    def falling_on(normal, layout, radiance):
        toward = directions(layout, *radiance.shape[:2])
        polar = np.arccos(np.clip(toward @ layout.axes[2], -1, 1))
        weight = np.maximum(toward @ np.array(normal), 0) * np.sin(polar)
        return (radiance * weight[..., None]).sum((0, 1)) / weight.sum()

    for normal in np.eye(3):
        got = falling_on(normal, VIEWER, shown)
        np.testing.assert_allclose(got, falling_on(normal, PHOTOCAST, image), rtol=0.02)


def test_light_is_even_across_the_seam_and_over_the_poles():
    image = smooth(directions(PHOTOCAST, 16, 32))
    around = np.linspace(0, 2 * np.pi, 400)
    over = np.stack([np.sin(around), np.zeros(400), np.cos(around)], axis=1)
    level = np.stack([np.cos(around), np.sin(around), np.zeros(400)], axis=1)
    for path in (over, level):
        np.testing.assert_allclose(look_up(image, PHOTOCAST, path), smooth(path), atol=0.03)
