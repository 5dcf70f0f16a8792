# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A grid covers its box, and refining it moves nothing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from photocast.data.grid_frame import GridFrame

numbers = st.floats(-50, 50)
sides = st.floats(0.01, 30)
boxes = st.tuples(numbers, numbers, numbers, sides, sides, sides).map(
    lambda n: np.array([n[:3], np.add(n[:3], n[3:])])
)


@given(boxes, st.integers(16, 300), st.integers(0, 4))
def test_the_grid_covers_its_box_with_the_margin_on_every_side(box, resolution, margin):
    frame = GridFrame.around(box, resolution, margin)
    low, high = frame.to_world(np.array([[0, 0, 0], np.array(frame.size) - 1]))
    slack = 1e-9 * np.abs(box).max()
    assert (low <= box[0] - margin * frame.voxel + slack).all()
    assert (high >= box[1] + margin * frame.voxel - slack).all()
    assert resolution <= max(frame.size) <= resolution + 1


@given(boxes, st.integers(16, 100))
def test_every_second_vertex_of_the_refined_grid_is_a_vertex_of_the_grid(box, resolution):
    frame = GridFrame.around(box, resolution)
    fine = frame.refined
    assert fine.size == tuple(2 * n - 1 for n in frame.size)
    ends = np.array([[0, 0, 0], np.array(frame.size) - 1])
    np.testing.assert_allclose(fine.to_world(2 * ends), frame.to_world(ends), rtol=1e-12, atol=1e-9)
