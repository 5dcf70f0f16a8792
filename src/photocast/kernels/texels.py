# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Scan triangles over texel centres: who is in front, and who is behind at any place.

A centre on an edge shared by two triangles belongs to exactly one of them: left and lower edges
are inside, and an edge is always walked from its lower end, in whichever triangle it lies. In
double precision, as charts meet within a millionth of a texel.
"""

import warp as wp

_FAR = wp.constant(wp.float64(1.0e18))


@wp.func
def reach(span: wp.vec2d, p: wp.vec2d, q: wp.vec2d, row: wp.float64) -> wp.vec2d:
    """Widen a row's (left, right) to where the edge from p to q crosses it, if it does."""
    a = p
    b = q
    if p[1] > q[1]:
        a = q
        b = p
    if a[1] > row or b[1] <= row:
        return span
    at = a[0] + (b[0] - a[0]) * ((row - a[1]) / (b[1] - a[1]))
    return wp.vec2d(wp.min(span[0], at), wp.max(span[1], at))


@wp.func
def columns(a: wp.vec2d, b: wp.vec2d, c: wp.vec2d, row: int, width: int) -> wp.vec2i:
    """First and stop column of the centres inside a triangle in one row; corners from centres."""
    y = wp.float64(row)
    span = wp.vec2d(_FAR, -_FAR)
    span = reach(span, a, b, y)
    span = reach(span, b, c, y)
    span = reach(span, c, a, y)
    limit = wp.float64(width)
    begin = wp.clamp(wp.ceil(span[0]), wp.float64(0.0), limit)
    end = wp.clamp(wp.ceil(span[1]), begin, limit)
    return wp.vec2i(int(begin), int(end))


@wp.func
def rows(a: wp.vec2d, b: wp.vec2d, c: wp.vec2d, top: int, bottom: int) -> wp.vec2i:
    """First and stop row of the centres that a triangle may hold, within top..bottom."""
    low = wp.min(wp.min(a[1], b[1]), c[1])
    high = wp.max(wp.max(a[1], b[1]), c[1])
    first = wp.clamp(wp.ceil(low), wp.float64(top), wp.float64(bottom))
    stop = wp.clamp(wp.ceil(high), first, wp.float64(bottom))
    return wp.vec2i(int(first), int(stop))


@wp.kernel(enable_backward=False)
def find_hidden(
    corners: wp.array2d(dtype=wp.vec2d),
    rank: wp.array(dtype=wp.int32),
    top: int,
    bottom: int,
    width: int,
    front: wp.array(dtype=wp.int32),
    hidden: wp.array(dtype=wp.uint8),
):
    """Mark ranks that a higher one covers at some centre, in rows top..bottom.

    ``front`` is the highest rank so far at each centre, -1 where there is none: whichever of two
    that meet there is lower has been found.
    """
    t = wp.tid()
    own = rank[t]
    a = corners[t, 0]
    b = corners[t, 1]
    c = corners[t, 2]
    band = rows(a, b, c, top, bottom)
    for row in range(band[0], band[1]):
        span = columns(a, b, c, row, width)
        for texel in range(row * width + span[0], row * width + span[1]):
            other = wp.atomic_max(front, texel, own)
            if other >= 0:
                hidden[wp.min(other, own)] = wp.uint8(1)
