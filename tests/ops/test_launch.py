# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import gc
import weakref

import pytest
import torch
import warp as wp
from hypothesis import given
from hypothesis import strategies as st

from photocast.ops import _launch

CPU = torch.device("cpu")


@given(st.integers(0, 100), st.integers(1, 20))
def test_split_covers_the_range_once_in_order(count, parts):
    pieces = _launch.split(count, parts)
    assert [i for a, b in pieces for i in range(a, b)] == list(range(count))
    assert all(b > a for a, b in pieces)


@given(st.integers(0, 9), st.integers(1, 50))
def test_bands_cover_each_row_of_each_view_once(views, height):
    rows = [
        (view, row)
        for first, stop, top, bottom in _launch.bands(views, height, CPU)
        for view in range(first, stop)
        for row in range(top, bottom)
    ]
    assert sorted(rows) == [(view, row) for view in range(views) for row in range(height)]


def test_cuda_gets_one_part_and_one_band():
    cuda = torch.device("cuda")
    assert _launch.part_count(cuda) == 1
    assert _launch.bands(3, 40, cuda) == [(0, 3, 0, 40)]


@wp.kernel(enable_backward=False)
def doubled_kernel(first: wp.int32, values: wp.array[wp.float32]):
    i = first + wp.tid()
    values[i] = values[i] * 2.0


def test_parts_run_each_once_and_empty_ones_not_at_all():
    values = torch.arange(10, dtype=torch.float32)
    jobs = [(2, [0, values]), (0, [0, values]), (5, [2, values]), (3, [7, values])]
    _launch.launch_parts(doubled_kernel, jobs, CPU)
    assert torch.equal(values, 2 * torch.arange(10))


def test_an_error_in_a_part_reaches_the_caller():
    values = torch.zeros(4)
    jobs = [(2, [0, values]), (2, ["two", values]), (1, ["three", values])]
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        _launch.launch_parts(doubled_kernel, jobs, CPU)


def test_a_repeated_launch_follows_new_tensors_shapes_and_numbers():
    for length, first in [(4, 0), (4, 0), (9, 2), (3, 1), (9, 2)]:
        values = torch.arange(length, dtype=torch.float32)
        _launch.launch(doubled_kernel, length - first, [first, values], CPU)
        expected = torch.arange(length) * torch.where(torch.arange(length) < first, 1, 2)
        assert torch.equal(values, expected.float())


def test_a_launch_keeps_no_tensor_alive():
    values = torch.zeros(5)
    _launch.launch(doubled_kernel, 5, [0, values], CPU)
    storage = weakref.ref(values)
    del values
    gc.collect()
    assert storage() is None


@wp.kernel(enable_backward=False)
def rows_kernel(points: wp.array2d[wp.vec2], total: wp.array[wp.float32]):
    i = wp.tid()
    for j in range(points.shape[1]):
        total[i] = total[i] + points[i, j][0] * points[i, j][1]


def test_a_batch_of_images_is_one_tall_image_to_a_kernel():
    points = torch.arange(48, dtype=torch.float32).view(2, 3, 4, 2)
    total = torch.zeros(6)
    _launch.launch(rows_kernel, 6, [points, total], CPU)
    assert torch.equal(total, points.prod(-1).sum(-1).flatten())
