# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Let shapes fall onto a horizon, one after the other. On the CPU; no gradient."""

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float64, Int32
from torch import Tensor

from photocast.kernels import falling as kernels
from photocast.ops._launch import as_array, launch

__all__ = ["FallingShapes", "fall", "fall_twin"]


@dataclass(frozen=True, slots=True, eq=False)
class FallingShapes:
    """Shapes by their lower and upper sides, each turned four ways."""

    low: Int32[Tensor, "column"]
    """Of every column that a shape fills, all turns of all shapes one after another."""
    high: Int32[Tensor, "column"]
    first: Int32[Tensor, "turn_or_end"]
    """Where each turn's columns start; one number more than there are turns."""
    lead: Int32[Tensor, "turn"]
    """Empty columns before the first filled one."""
    width: Int32[Tensor, "turn"]
    """With the empty columns on both sides."""
    middle: Float64[Tensor, "turn 2"]
    """Mean of low and of high."""


def fall(shapes: FallingShapes, horizon: Int32[Tensor, "column"], padding: int) -> Tensor:
    """Drop shapes in their order, each where its upper side stays low and little room is lost.

    Args:
        shapes: Every turn is at most as wide as the horizon without its padding.
        horizon: Height per column, with ``padding`` columns more on both sides; raised in place.
        padding: Gap above and beside each shape.

    Returns:
        Column, row and turn 0..3 of each shape (shape, 3), int32.
    """
    count = len(shapes.lead) // 4
    places = torch.empty((count, 3), dtype=torch.int32)
    sums = torch.empty(len(horizon) - 2 * padding + 1, dtype=torch.int64)
    peaks, tops = torch.empty_like(horizon), torch.empty_like(horizon)
    struct = kernels.Shapes()
    struct.low, struct.high = as_array(shapes.low), as_array(shapes.high)
    struct.first, struct.lead = as_array(shapes.first), as_array(shapes.lead)
    struct.width, struct.middle = as_array(shapes.width), as_array(shapes.middle, wp.vec2d)
    inputs = [struct, count, padding, horizon, sums, peaks, tops, (places, wp.vec3i)]
    launch(kernels.fall, 1 if count else 0, inputs, torch.device("cpu"))
    return places


def fall_twin(shapes: FallingShapes, horizon: Int32[Tensor, "column"], padding: int) -> Tensor:
    """The specification: try every place of every turn."""
    places = []
    for shape in range(len(shapes.lead) // 4):
        options = []
        for t in range(4):
            turn = 4 * shape + t
            columns = slice(int(shapes.first[turn]), int(shapes.first[turn + 1]))
            low, lead = shapes.low[columns], int(shapes.lead[turn])
            for x in range(len(horizon) - 2 * padding - int(shapes.width[turn]) + 1):
                below = horizon[padding + x + lead :][: len(low)]
                y = max(int((below - low).max()), 0)
                waste = y + float(shapes.middle[turn, 0]) - float(below.double().mean())
                options.append((y + float(shapes.middle[turn, 1]) + waste, t, x, y, columns))
        _, t, x, y, columns = min(options, key=lambda option: option[:3])
        for k, high in enumerate(shapes.high[columns], x + int(shapes.lead[4 * shape + t])):
            part = horizon[k : k + 2 * padding + 1]
            part.clamp_(min=y + int(high) + padding)
        places.append([x, y, t])
    return torch.tensor(places, dtype=torch.int32).reshape(-1, 3)
