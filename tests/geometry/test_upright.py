# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The turn that brings up to +Y."""

import numpy as np
import pytest

from photocast.geometry.upright import matrix_of, upright_matrix, upright_quaternion


@pytest.mark.parametrize("up", [(0, 1, 0), (0, -1, 0), (0, 0, 1), (1, 2, -3), (0, 5, 1e-9)])
def test_up_becomes_plus_y_by_a_rotation(up):
    turn = upright_matrix(np.array(up))
    np.testing.assert_allclose(turn @ up, [0, np.linalg.norm(up), 0], atol=1e-6)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_it_is_the_shortest_turn():
    up = np.array([1.0, 2.0, -3.0]) / np.sqrt(14)
    angle = 2 * np.arccos(upright_quaternion(up)[3])
    assert angle == pytest.approx(np.arccos(up[1]))


def test_a_quarter_turn_about_z():
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        matrix_of((0, 0, half, half)), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12
    )
