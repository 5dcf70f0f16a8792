# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Angles, aspects and areas of triangles whose answers are known, at any scale."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from photocast.geometry.triangle_shape import neighbour_area_ratio, triangle_shape

FACE = np.array([[0, 1, 2]])


def shape_of(*points):
    return triangle_shape(np.array(points, np.float32), FACE)


def test_equal_sides_are_the_best_there_is():
    found = shape_of([0, 0, 0], [1, 0, 0], [0.5, 3**0.5 / 2, 0])
    assert found.min_angle_deg[0] == pytest.approx(60, abs=1e-4)
    assert found.aspect[0] == pytest.approx(1, abs=1e-6)
    assert found.area[0] == pytest.approx(3**0.5 / 4)


def test_a_half_square_has_its_angles():
    found = shape_of([0, 0, 0], [2, 0, 0], [0, 2, 0])
    assert (found.min_angle_deg[0], found.max_angle_deg[0]) == (
        pytest.approx(45, abs=1e-4), pytest.approx(90, abs=1e-4))  # fmt: skip
    assert (found.shortest[0], found.longest[0]) == (pytest.approx(2), pytest.approx(8**0.5))


@given(st.lists(st.integers(-50, 50), min_size=9, max_size=9), st.integers(-30, 30))
@example([0, 0, 0, 0, 0, 0, 0, 0, 1], 14)
def test_shapes_do_not_depend_on_the_unit(numbers, exponent):
    points = np.array(numbers, np.float32).reshape(3, 3)
    one, other = (
        triangle_shape(points * k, FACE) for k in (np.float32(1), np.float32(2**exponent))
    )
    np.testing.assert_allclose(one.min_angle_deg, other.min_angle_deg, atol=1e-3)
    np.testing.assert_allclose(one.aspect, other.aspect, rtol=1e-4)
    assert one.degenerate[0] == other.degenerate[0]
    sides = points - np.roll(points, 1, axis=0)
    assert one.degenerate[0] == (np.linalg.norm(np.cross(sides[0], sides[1])) == 0)


def test_a_face_without_area_has_no_angle():
    for third in ([0.5, 0, 0], [1, 0, 0], [0, 0, 0]):
        found = shape_of([0, 0, 0], [1, 0, 0], third)
        assert found.degenerate[0]
        assert (found.min_angle_deg[0], found.aspect[0]) == (0, np.inf)


def test_the_ratio_is_that_to_the_most_different_neighbour():
    pairs = np.array([[0, 1], [1, 2]])
    found = neighbour_area_ratio(np.array([1.0, 4.0, 40.0]), pairs)
    np.testing.assert_allclose(found, [4, 10, 10], rtol=1e-6)
