# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The usual ways to misplace a mesh."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from photocast.geometry.placements import (
    IDENTITY,
    Placement,
    axis_rotations,
    usual_placements,
)

BOX = np.array([[-1.0, -2.0, -3.0], [2.0, 1.0, 1.5]])


def turned(axis: str, angle: float) -> np.ndarray:
    return Rotation.from_euler(axis, angle, degrees=True).as_matrix()


def test_there_are_24_different_rotations_and_the_first_is_none():
    found = axis_rotations()
    assert len({matrix.astype(int).tobytes() for matrix in found}) == 24
    assert all(np.linalg.det(matrix) == pytest.approx(1) for matrix in found)
    np.testing.assert_array_equal(found[0], np.eye(3))


@pytest.mark.parametrize(
    ("rotation", "scale", "centered", "words"),
    [
        (np.eye(3), 1.0, False, "leaving it as it is"),
        (turned("x", 90), 0.001, False, "rotating by 90 degrees about X and scaling by 0.001"),
        (turned("y", -90), 1.0, False, "rotating by -90 degrees about Y"),
        (turned("z", 180), 1.0, False, "rotating by 180 degrees about Z"),
        (turned("z", -180), 1.0, False, "rotating by 180 degrees about Z"),
        (np.roll(np.eye(3), 1, axis=0), 1.0, False, "rotating by 120 degrees about (1, 1, 1)"),
        (np.eye(3), 2.5, True, "scaling by 2.5 and centering it"),
        (
            turned("x", 180),
            100.0,
            True,
            "rotating by 180 degrees about X, scaling by 100 and centering it",
        ),
    ],
)
def test_a_placement_tells_in_words_what_it_does(rotation, scale, centered, words):
    assert Placement(rotation, scale, np.zeros(3), centered).words() == words


def test_more_may_be_done_on_top():
    assert IDENTITY.words("a small correction") == "a small correction"
    both = Placement(np.eye(3), 3.0, np.zeros(3)).words("a small correction")
    assert both == "scaling by 3 and a small correction"


def test_every_rotation_has_its_own_words():
    words = {Placement(matrix, 1.0, np.zeros(3)).words() for matrix in axis_rotations()}
    assert len(words) == 24


def test_placements_after_each_other_are_one():
    random = np.random.default_rng(0)
    points = random.normal(size=(5, 3))
    first = Placement(turned("x", 33), 2.0, random.normal(size=3))
    second = Placement(turned("z", -71), 0.3, random.normal(size=3))
    np.testing.assert_allclose(second.after(first)(points), second(first(points)), atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.001, 1000.0, 0.3])
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_what_undoes_a_turn_and_another_unit_is_among_them(scale, axis):
    wrong = Placement(turned(axis, 90), scale, np.zeros(3))
    corners = wrong(np.stack(np.meshgrid(*BOX.T), axis=-1).reshape(-1, 3))
    bounds = np.stack([corners.min(axis=0), corners.max(axis=0)])
    back = np.stack([p(wrong(BOX)) for p in usual_placements(bounds, BOX)])
    assert np.abs(back - BOX).max(axis=(1, 2)).min() < 1e-9


def test_nothing_far_from_the_box_is_tried():
    tries = list(usual_placements(BOX, BOX))
    assert 24 <= len(tries) < 24 * 12
    for placement in tries:
        low, high = np.sort(placement(BOX), axis=0)
        assert (low < BOX[1]).all()
        assert (high > BOX[0]).all()
