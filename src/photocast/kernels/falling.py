# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Let shapes fall onto a horizon, one after the other."""

import warp as wp

_RUN = wp.constant(16)
"""Columns that are looked at together before each is looked at."""
_STRIDE = wp.constant(16)
"""Columns between the places that are tried first."""
_ROUNDING = wp.constant(wp.float64(1.0e-7))
"""More than rounding adds to a cost."""


@wp.struct
class Shapes:
    """Lower and upper sides per column, four turns of each shape: shape * 4 + turn."""

    low: wp.array(dtype=wp.int32)  # all columns, flat
    high: wp.array(dtype=wp.int32)
    first: wp.array(dtype=wp.int32)  # of each turn among the columns (shape * 4 + 1)
    lead: wp.array(dtype=wp.int32)  # empty columns before them
    width: wp.array(dtype=wp.int32)  # with the empty columns on both sides
    middle: wp.array(dtype=wp.vec2d)  # mean of low and of high


@wp.func
def rest_at(
    shapes: Shapes,
    turn: int,
    start: int,
    horizon: wp.array(dtype=wp.int32),
    least: int,
    below: wp.float64,
    limit: wp.float64,
) -> int:
    """Row at which a shape comes to rest with its first column in ``start``, at least ``least``.

    -1 if it would cost ``limit`` or more.
    """
    first = shapes.first[turn]
    middle = shapes.middle[turn]
    y = least
    for k in range(first, shapes.first[turn + 1]):
        floor = horizon[start + k - first] - shapes.low[k]
        if floor > y:
            y = floor
            if cost_of(wp.float64(y), middle, below) >= limit:  # it can only rise from here
                return -1
    return y


@wp.func
def least_row(
    size: int,
    start: int,
    peaks: wp.array(dtype=wp.int32),
    tops: wp.array(dtype=wp.int32),
) -> int:
    """A row that a shape cannot come to rest below, from one look per run of columns.

    Somewhere in each run the horizon is as high as its peak, and the shape's lower side no higher
    than its top there.
    """
    y = int(0)
    for k in range(size // _RUN):
        y = wp.max(y, peaks[start + k * _RUN] - tops[k])
    return y


@wp.func
def cost_of(height: wp.float64, middle: wp.vec2d, below: wp.float64) -> wp.float64:
    """How high the upper side stays, and the room that is lost below the lower one."""
    return height + middle[1] + (height + middle[0] - below)


@wp.func
def worth_a_look(size: int, middle: wp.vec2d, best: wp.float64) -> wp.vec2d:
    """Between which sums of the horizon's columns below it a shape may cost less than ``best``.

    It rests no lower than where the means of its lower side and of the horizon meet, and not below
    zero. A little wider than that, for what rounding may add.
    """
    most = best + middle[0] - middle[1] + _ROUNDING
    least = middle[0] + middle[1] - best - _ROUNDING
    return wp.vec2d(least, most) * wp.float64(size)


@wp.func
def find_peaks(
    horizon: wp.array(dtype=wp.int32), start: int, stop: int, peaks: wp.array(dtype=wp.int32)
):
    """Highest column of each run of columns that begins in start..stop."""
    for k in range(wp.max(start, 0), wp.min(stop, horizon.shape[0] - _RUN + 1)):
        peak = horizon[k]
        for j in range(1, _RUN):
            peak = wp.max(peak, horizon[k + j])
        peaks[k] = peak


@wp.func
def find_tops(shapes: Shapes, turn: int, tops: wp.array(dtype=wp.int32)):
    """Highest column of the lower side in each run of columns."""
    first = shapes.first[turn]
    for k in range((shapes.first[turn + 1] - first) // _RUN):
        top = shapes.low[first + k * _RUN]
        for j in range(1, _RUN):
            top = wp.max(top, shapes.low[first + k * _RUN + j])
        tops[k] = top


@wp.kernel(enable_backward=False)
def fall(
    shapes: Shapes,
    count: int,
    padding: int,
    horizon: wp.array(dtype=wp.int32),
    sums: wp.array(dtype=wp.int64),
    peaks: wp.array(dtype=wp.int32),
    tops: wp.array(dtype=wp.int32),
    places: wp.array(dtype=wp.vec3i),
):
    """Drop every shape where it costs least: the leftmost such place, the first such turn.

    One thread does all, as each shape lands on those before it. ``horizon`` has ``padding`` columns
    more on both sides; ``sums`` holds one number more than the columns between; ``peaks`` and
    ``tops`` are as long as ``horizon``, for runs of its columns.
    """
    room = horizon.shape[0] - 2 * padding
    find_peaks(horizon, 0, horizon.shape[0], peaks)
    for shape in range(count):
        sums[0] = wp.int64(0)
        for x in range(room):
            sums[x + 1] = sums[x] + wp.int64(horizon[x + padding])
        best = wp.float64(1.0e18)
        place = wp.vec3i(-1, 0, 0)
        # A look at some places first: most of all are then too bad for a second glance.
        for i in range(8):
            turn = shape * 4 + i % 4
            size = shapes.first[turn + 1] - shapes.first[turn]
            lead = shapes.lead[turn]
            middle = shapes.middle[turn]
            find_tops(shapes, turn, tops)
            step = _STRIDE
            if i >= 4:
                step = 1
            if i == 4:
                best += _ROUNDING  # the best so far has to be found again, or one as good before
            bounds = worth_a_look(size, middle, best)
            for x in range(0, room - shapes.width[turn] + 1, step):
                total = wp.float64(sums[x + lead + size] - sums[x + lead])
                if total > bounds[0] and total < bounds[1]:
                    below = total / wp.float64(size)
                    start = x + lead + padding
                    y = least_row(size, start, peaks, tops)
                    if cost_of(wp.float64(y), middle, below) < best:
                        y = rest_at(shapes, turn, start, horizon, y, below, best)
                        if y >= 0:
                            best = cost_of(wp.float64(y), middle, below)
                            bounds = worth_a_look(size, middle, best)
                            place = wp.vec3i(x, y, i % 4)
        places[shape] = place
        turn = shape * 4 + place[2]
        start = place[0] + shapes.lead[turn] - shapes.first[turn]
        for k in range(shapes.first[turn], shapes.first[turn + 1]):
            top = place[1] + shapes.high[k] + padding
            for j in range(2 * padding + 1):
                horizon[start + k + j] = wp.max(horizon[start + k + j], top)
        left = place[0] + shapes.lead[turn]
        stop = left + shapes.first[turn + 1] - shapes.first[turn] + 2 * padding
        find_peaks(horizon, left - _RUN + 1, stop, peaks)
