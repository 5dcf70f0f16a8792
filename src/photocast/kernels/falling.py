# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Let shapes fall onto a horizon, one after the other."""

import warp as wp


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
    x: int,
    horizon: wp.array(dtype=wp.int32),
    padding: int,
    below: wp.float64,
    limit: wp.float64,
) -> int:
    """Row at which a shape comes to rest in column x; -1 if it would cost ``limit`` or more."""
    first = shapes.first[turn]
    start = x + shapes.lead[turn] + padding - first
    middle = shapes.middle[turn]
    y = int(0)
    for k in range(first, shapes.first[turn + 1]):
        floor = horizon[start + k] - shapes.low[k]
        if floor > y:
            y = floor
            if cost_of(y, middle, below) >= limit:  # it can only rise from here
                return -1
    return y


@wp.func
def cost_of(y: int, middle: wp.vec2d, below: wp.float64) -> wp.float64:
    """How high the upper side stays, and the room that is lost below the lower one."""
    height = wp.float64(y)
    return height + middle[1] + (height + middle[0] - below)


@wp.kernel(enable_backward=False)
def fall(
    shapes: Shapes,
    count: int,
    padding: int,
    horizon: wp.array(dtype=wp.int32),
    sums: wp.array(dtype=wp.int64),
    places: wp.array(dtype=wp.vec3i),
):
    """Drop every shape where it costs least: the leftmost such place, the first such turn.

    One thread does all, as each shape lands on those before it. ``horizon`` has ``padding`` columns
    more on both sides; ``sums`` holds one number more than the columns between.
    """
    room = horizon.shape[0] - 2 * padding
    for shape in range(count):
        sums[0] = wp.int64(0)
        for x in range(room):
            sums[x + 1] = sums[x] + wp.int64(horizon[x + padding])
        best = wp.float64(1.0e18)
        place = wp.vec3i(-1, 0, 0)
        for t in range(4):
            turn = shape * 4 + t
            size = shapes.first[turn + 1] - shapes.first[turn]
            lead = shapes.lead[turn]
            for x in range(room - shapes.width[turn] + 1):
                total = sums[x + lead + size] - sums[x + lead]
                below = wp.float64(total) / wp.float64(size)
                middle = shapes.middle[turn]
                y = int(-1)
                if cost_of(0, middle, below) < best:
                    y = rest_at(shapes, turn, x, horizon, padding, below, best)
                if y >= 0 and cost_of(y, middle, below) < best:
                    best = cost_of(y, middle, below)
                    place = wp.vec3i(x, y, t)
        places[shape] = place
        turn = shape * 4 + place[2]
        start = place[0] + shapes.lead[turn] - shapes.first[turn]
        for k in range(shapes.first[turn], shapes.first[turn + 1]):
            top = place[1] + shapes.high[k] + padding
            for j in range(2 * padding + 1):
                horizon[start + k + j] = wp.max(horizon[start + k + j], top)
