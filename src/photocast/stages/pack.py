# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pack charts into a square map, with a gap between any two.

Large charts fall into place one after another, as in Tetris, by the profiles of their lower and
upper sides; small ones fill rows on top. Source of the idea: Lévy, Petitjean, Ray & Maillot, Least
squares conformal maps for automatic texture atlas generation, SIGGRAPH 2002, section 4.2.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.errors import MeshError
from photocast.geometry.covered_texels import ranges
from photocast.ops.falling import FallingShapes, fall
from photocast.stages.flatten import Flat, outline

__all__ = ["Packing", "pack"]

_MAX_FALLING = 300
_MIN_FALLING_SIDE = 10
_TRIES, _LAST_TRY = 7, 40
_HOPE = 0.66


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """Where the charts of a :class:`Flat` go."""

    points: NDArray[np.float64]
    """Corner positions in texels (t, 2), y up, inside 0..size."""
    scale: float
    """Texels per unit of the surface."""


_Sides = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Lowest and highest row of charts in each texel column; highest -1 where they have nothing."""


def pack(flat: Flat, size: int, padding: int, *, most: float | None = None) -> Packing:
    """Find the largest scale at which all charts fit, and their places.

    Args:
        flat: Charts in the plane.
        size: Side of the map [px].
        padding: Least gap between charts, and half of it to the border [px].
        most: Do not scale beyond this [px per unit].

    Raises:
        MeshError: There are more charts than the map has room for.
    """
    area, edges = _area(flat), outline(flat)
    scale = size * np.sqrt(_HOPE / area) if area > 0 else 1.0
    scale = min(scale, most) if most is not None else scale
    best: Packing | None = None
    failed = np.inf
    for attempt in range(_LAST_TRY):
        packed, filled = _try(flat, edges, scale, size, padding)
        guess = scale * np.sqrt(size / max(filled, 1.0)) * 0.995
        if packed is None:
            failed = min(failed, scale)
            guess = min(guess, scale * (0.99 if attempt < _TRIES else 0.8))
        elif best is None or scale > best.scale:
            best = packed
        if best is not None:
            if attempt >= _TRIES or failed / best.scale < 1.015 or best.scale == most:
                return best
            if not best.scale * 1.003 < guess < failed:
                # Nearly full: much more will not fit.
                step = 1.02 if failed < np.inf else 1.05
                guess = min(best.scale * step, (best.scale + failed) / 2)
        scale = guess if most is None else min(guess, most)
    if best is None:
        raise MeshError(
            f"The surface falls into {flat.count} separate pieces; they do not fit into a texture "
            f"of {size}x{size} with gaps of {padding} px. Use a larger texture.",
            code="mesh.atlas_full",
        )
    return best


def _area(flat: Flat) -> float:
    a, b, c = (flat.points[flat.faces[:, i]] for i in range(3))
    u, v = b - a, c - a
    return float(np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() / 2)


def _try(
    flat: Flat, edges: NDArray[np.int64], scale: float, size: int, padding: int
) -> tuple[Packing | None, float]:
    """Pack at one scale; also say how many rows that takes."""
    points = flat.points * scale
    first = np.flatnonzero(np.r_[True, flat.owner[1:] != flat.owner[:-1]])
    sides = np.ceil(np.maximum.reduceat(points, first) + 1e-6).astype(np.int64).clip(1)
    margin = padding // 2
    room = size - 2 * margin
    falling = _falling(sides)
    if sides.max() > room:
        return None, float(sides.max()) * 1.02
    horizon = np.zeros(room + 2 * padding, np.int32)
    at = np.zeros((len(sides), 2), np.int64)
    turns = np.zeros(len(sides), np.int64)
    shapes = _shapes(_profiles(flat, edges, points, sides, falling), sides[falling])
    places = fall(shapes, torch.from_numpy(horizon), padding).numpy()
    at[falling], turns[falling] = places[:, :2], places[:, 2]
    rows = _rows(sides, falling, at, int(horizon[padding : -padding or None].max()), room, padding)
    if rows > room:
        return None, float(rows)
    placed = _turn_points(points, sides[flat.owner], turns[flat.owner]) + at[flat.owner]
    return Packing(placed + margin, scale), float(rows)


def _falling(sides: NDArray[np.int64]) -> NDArray[np.int64]:
    large = np.flatnonzero(sides.max(axis=1) >= _MIN_FALLING_SIDE)
    order = np.argsort(-sides[large].prod(axis=1), kind="stable")
    return large[order[:_MAX_FALLING]]


def _profiles(
    flat: Flat,
    edges: NDArray[np.int64],
    points: NDArray[np.float64],
    sides: NDArray[np.int64],
    charts: NDArray[np.int64],
) -> _Sides:
    """Lowest and highest texel that each chart touches in any part, -1 if none.

    Per column of one chart after another, then per row of one after another.
    """
    number = np.full(len(sides), -1)
    number[charts] = np.arange(len(charts))
    chart = number[flat.owner[edges[:, 0]]]
    ends, chart = points[edges[chart >= 0]], chart[chart >= 0]
    lows, highs = [], []
    for axis in (0, 1):
        length = sides[charts, axis]
        low = np.full(int(length.sum()), np.iinfo(np.int64).max)
        high = np.full(len(low), -1, np.int64)
        offset = np.cumsum(length) - length
        slot, bottom, top = _column_spans(ends, axis, offset[chart], length[chart])
        np.minimum.at(low, slot, bottom)
        np.maximum.at(high, slot, top)
        lows.append(low)
        highs.append(high)
    return np.concatenate(lows), np.concatenate(highs)


def _column_spans(
    ends: NDArray[np.float64],
    axis: int,
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    # For every outline edge and every texel column it touches: the rows it touches there.
    x, y = ends[..., axis], ends[..., 1 - axis]
    flip = (x[:, 0] > x[:, 1])[:, None]
    x, y = np.where(flip, x[:, ::-1], x), np.where(flip, y[:, ::-1], y)
    first = np.minimum(np.floor(x[:, 0]).astype(np.int64).clip(0), length - 1)
    last = np.minimum(np.floor(x[:, 1]).astype(np.int64), length - 1)
    edge, step = ranges(last - first + 1)
    column = first[edge] + step
    (x0, x1), (y0, y1) = x[edge].T, y[edge].T
    run = np.where(x1 > x0, x1 - x0, 1.0)
    entry = y0 + ((column - x0) / run).clip(0, 1) * (y1 - y0)
    leave = y0 + ((column + 1 - x0) / run).clip(0, 1) * (y1 - y0)
    leave = np.where(x1 > x0, leave, y1)
    low = np.floor(np.minimum(entry, leave) + 1e-9).astype(np.int64).clip(0)
    high = np.ceil(np.maximum(entry, leave) - 1e-9).astype(np.int64)
    return offset[edge] + column, low, np.maximum(high, low + 1)


def _shapes(profiles: _Sides, sides: NDArray[np.int64]) -> FallingShapes:
    """The four quarter turns of each chart."""
    length, across = sides[:, [0, 1, 0, 1]].ravel(), sides[:, [1, 0, 1, 0]].ravel()
    offset = np.cumsum(sides.T.ravel()) - sides.T.ravel()
    start = offset.reshape(2, -1).T[:, [0, 1, 0, 1]].ravel()
    turn, column = ranges(length)
    quarter = turn % 4
    backward = (quarter == 1) | (quarter == 2)
    source = start[turn] + np.where(backward, length[turn] - 1 - column, column)
    low, high = profiles[0][source], profiles[1][source]
    filled = np.flatnonzero(high >= 0)
    # A column that no triangle touches can only lie at a rounded edge; it takes no room.
    turn, low, high, over = turn[filled], low[filled], high[filled], quarter[filled] >= 2
    low, high = (
        np.where(over, across[turn] - high, low),
        np.where(over, across[turn] - low, high),
    )
    first = np.flatnonzero(np.r_[True, turn[1:] != turn[:-1]][: len(turn)])
    count = np.diff(np.r_[first, len(turn)])
    middle = np.stack([np.bincount(turn, side, len(length)) for side in (low, high)], axis=1)
    return FallingShapes(
        low=_integers(low),
        high=_integers(high),
        first=_integers(np.r_[first, len(turn)]),
        lead=_integers(column[filled][first]),
        width=_integers(length),
        middle=torch.tensor((middle / count[:, None]).tolist(), dtype=torch.float64).reshape(-1, 2),
    )


def _integers(numbers: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(numbers, np.int32))


def _rows(
    sides: NDArray[np.int64],
    falling: NDArray[np.int64],
    at: NDArray[np.int64],
    base: int,
    room: int,
    padding: int,
) -> int:
    """Stand the other charts in rows above ``base``; writes ``at``, returns the height used."""
    rest = np.ones(len(sides), bool)
    rest[falling] = False
    order = np.flatnonzero(rest)
    order = order[np.argsort(-sides[order, 1], kind="stable")]
    x, y, height = 0, base, 0
    for chart, (w, h) in zip(order.tolist(), sides[order].tolist(), strict=True):
        if x + w > room:
            x, y, height = 0, y + height, 0
        height = max(height, h + padding)
        at[chart] = (x, y)
        x += w + padding
    return y + height - padding


def _turn_points(
    points: NDArray[np.float64], sides: NDArray[np.int64], turns: NDArray[np.int64]
) -> NDArray[np.float64]:
    x, y = points.T
    w, h = sides.T
    return np.stack(
        [np.choose(turns, [x, h - y, w - x, y]), np.choose(turns, [y, x, h - y, w - x])], axis=1
    )
