# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Falling shapes, against trying every place."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.ops.falling import FallingShapes, fall, fall_twin


def shapes(count: int, seed: int) -> FallingShapes:
    random = torch.Generator().manual_seed(seed)

    def numbers(low: int, high: int, size: int) -> torch.Tensor:
        return torch.randint(low, high, (size,), generator=random, dtype=torch.int32)

    length, lead, tail = (
        numbers(1, 7, 4 * count),
        numbers(0, 2, 4 * count),
        numbers(0, 2, 4 * count),
    )
    first = torch.cat([torch.zeros(1, dtype=torch.int32), length.cumsum(0).int()])
    low = numbers(0, 5, int(first[-1]))
    high = low + numbers(1, 6, len(low))
    middle = [
        [part.double().mean() for part in (low[a:b], high[a:b])]
        for a, b in itertools.pairwise(first.tolist())
    ]
    return FallingShapes(
        low, high, first, lead, lead + length + tail, torch.tensor(middle, dtype=torch.float64)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_every_shape_lands_where_it_costs_least(count, padding, seed):
    made = shapes(count, seed)
    fast, slow = (torch.zeros(24 + 2 * padding, dtype=torch.int32) for _ in range(2))
    assert torch.equal(fall(made, fast, padding), fall_twin(made, slow, padding))
    assert torch.equal(fast, slow)
    assert int(fast.max()) > padding


@pytest.mark.parametrize("padding", [0, 2])
def test_shapes_do_not_touch(padding):
    made = shapes(30, seed=1)
    filled = torch.zeros(400, 40 + 2 * padding, dtype=torch.int32)
    places = fall(made, torch.zeros(40 + 2 * padding, dtype=torch.int32), padding)
    for shape, (x, y, t) in enumerate(places.tolist()):
        turn = 4 * shape + t
        start = x + padding + int(made.lead[turn])
        for k, i in enumerate(range(int(made.first[turn]), int(made.first[turn + 1]))):
            rows = slice(y + int(made.low[i]), y + int(made.high[i]))
            gap = slice(start + k - padding, start + k + padding + 1)
            others = filled[rows, gap]
            assert not ((others > 0) & (others != shape + 1)).any()
            filled[rows, start + k] = shape + 1


def test_nothing_falls():
    made = shapes(1, seed=0)
    none = FallingShapes(
        made.low[:0], made.high[:0], made.first[:1], made.lead[:0], made.width[:0], made.middle[:0]
    )
    assert fall(none, torch.zeros(10, dtype=torch.int32), 2).shape == (0, 3)
