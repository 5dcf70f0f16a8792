# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Points asked of labelled photos: background 0, unknown 1, object 2."""

import warp as wp


@wp.func
def label_at(
    point: wp.vec4d,
    rows: wp.array2d(dtype=wp.vec4d),
    view: int,
    size: wp.vec2i,
    first: int,
    labels: wp.array(dtype=wp.uint8),
) -> int:
    """What a photo shows at a point; -1 outside of it or behind the camera."""
    depth = wp.dot(rows[view, 2], point)
    if depth <= wp.float64(0.0):
        return -1
    x = wp.floor(wp.dot(rows[view, 0], point) / depth)
    y = wp.floor(wp.dot(rows[view, 1], point) / depth)
    zero = wp.float64(0.0)
    if x < zero or y < zero or x >= wp.float64(size[0]) or y >= wp.float64(size[1]):
        return -1
    return int(labels[first + int(y) * size[0] + int(x)])


@wp.kernel(enable_backward=False)
def vote(
    start: int,
    points: wp.array(dtype=wp.vec3d),
    rows: wp.array2d(dtype=wp.vec4d),
    sizes: wp.array(dtype=wp.vec2i),
    first: wp.array(dtype=wp.int32),
    labels: wp.array(dtype=wp.uint8),
    allowed: int,
    support: wp.float64,
    found: wp.array(dtype=wp.uint8),
):
    """Keep points that at most ``allowed`` photos call background, and enough call object.

    ``rows`` are those of each photo's pixel_from_world, ``first`` where its labels begin.
    """
    i = start + wp.tid()
    point = wp.vec4d(points[i][0], points[i][1], points[i][2], wp.float64(1.0))
    against = int(0)
    sure = int(0)
    seen = int(0)
    for view in range(rows.shape[0]):
        label = label_at(point, rows, view, sizes[view], first[view], labels)
        if label >= 0:
            seen += 1
        if label == 2:
            sure += 1
        if label == 0:
            against += 1
            if against > allowed:
                return
    if sure >= 2 and wp.float64(sure) >= support * wp.float64(seen):
        found[i] = wp.uint8(1)
