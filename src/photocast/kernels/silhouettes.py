# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a silhouette crosses between two neighbouring pixel centres.

A pair is a pixel p and its right (axis 0) or lower (axis 1) neighbour q. If a silhouette crosses
the line from p to q at the fraction x, the boundary lies m = x - 1/2 pixels from the border of the
two pixels: m > 0 means that p's colour reaches m deep into q, m < 0 that q's reaches into p.

Half-edge 3 f + k is the side of face f opposite to its corner k; ``twins`` holds the half-edge on
the other side, -1 where there is none. The surface is followed from the nearer centre towards the
other one, from face to face, until it ends or folds back (a silhouette) or the goal is reached.

Source of the idea: Laine et al., Modular primitives for high-performance differentiable
rendering, 2020, section 3.5 (analytic antialiasing). The walk and the maths are our own.
"""

import warp as wp

from photocast.kernels.rasterize import (
    Grid,
    center_of,
    cross2,
    from_center,
    from_center_exactly,
    line_through,
)
from photocast.kernels.vectors import load_four

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

MAX_STEPS = wp.constant(64)  # faces followed between two pixel centres
NOT_FOUND = wp.constant(-1)  # the surface goes on beneath the goal
REACHED = wp.constant(-2)  # the surface connects both centres


@wp.struct
class Surface:
    """What the views look at."""

    clip: wp.array2d[wp.vec4]  # view, vert
    faces: wp.array[wp.vec3i]
    twins: wp.array[wp.int32]  # per half-edge
    grid: Grid


@wp.func
def surface_of(
    clip: wp.array2d[wp.vec4], faces: wp.array[wp.vec3i], twins: wp.array[wp.int32], grid: Grid
) -> Surface:
    """From loose arguments: filling a struct on the host costs more than launching a kernel."""
    surface = Surface()
    surface.clip = clip
    surface.faces = faces
    surface.twins = twins
    surface.grid = grid
    return surface


@wp.func
def next_corner(k: wp.int32) -> wp.int32:
    return (k + 1) % 3


@wp.func
def ends_of(surface: Surface, half: wp.int32) -> wp.vec2i:
    """Vertices at both ends of a half-edge, in the order of its face."""
    corners = surface.faces[half / 3]
    return wp.vec2i(corners[next_corner(half % 3)], corners[next_corner(half % 3 + 1)])


@wp.func
def exit_side(
    surface: Surface,
    view: wp.int32,
    corners: wp.vec3i,
    entry: wp.int32,
    p: wp.vec2,
    q: wp.vec2,
) -> wp.vec2i:
    """Side by which the segment pq leaves a face, -1 if q lies inside; and the face's turn.

    A q on a side was given to the face beyond: had this one got it, the walk would have ended here.

    The turn is 1 if the corners run one way round on the screen, 0 if the other way. ``entry`` is
    the side by which the segment came, -1 if it begins here.
    """
    a = load_four(surface.clip, view, corners[0])
    b = load_four(surface.clip, view, corners[1])
    c = load_four(surface.clip, view, corners[2])
    ap = from_center(a, p, surface.grid)
    bp = from_center(b, p, surface.grid)
    cp = from_center(c, p, surface.grid)
    aq = from_center(a, q, surface.grid)
    bq = from_center(b, q, surface.grid)
    cq = from_center(c, q, surface.grid)
    at_p = wp.vec3(cross2(bp, cp), cross2(cp, ap), cross2(ap, bp))
    at_q = wp.vec3(cross2(bq, cq), cross2(cq, aq), cross2(aq, bq))
    turn = wp.int32(1)
    if wp.dot(at_p, wp.vec3(a[3], b[3], c[3])) < 0.0:
        at_p = -at_p  # the other way round: turn the sides so that inside is positive
        at_q = -at_q
        turn = 0
    best = wp.int32(-1)
    first = wp.float32(1.0e30)
    for k in range(3):
        if at_q[k] <= 0.0 and at_p[k] > at_q[k] and k != entry:
            t = at_p[k] / (at_p[k] - at_q[k])
            if t < first:
                first = t
                best = k
    return wp.vec2i(best, turn)


@wp.func
def silhouette_between(
    surface: Surface, view: wp.int32, start: wp.int32, goal: wp.int32, p: wp.vec2, q: wp.vec2
) -> wp.int32:
    """Half-edge at which the surface of face ``start`` at p ends before q, NOT_FOUND or REACHED.

    It ends where no face lies beyond, or one that folds back. Of two faces that use their common
    side in opposite order, that one folds back that turns the other way round on the screen.
    """
    face = wp.int32(start)
    entry = wp.int32(-1)  # half-edges: that by which the walk came here,
    half = wp.int32(-1)  # that by which it left the face before,
    end = wp.int32(-1)  # the first vertex of that one,
    turn = wp.int32(0)  # and the turn of that face
    for step in range(MAX_STEPS + 1):
        corners = surface.faces[face]
        # Where each side leads to, read along with the corners: memory is what a walk waits for.
        beyond = wp.vec3i(
            surface.twins[3 * face], surface.twins[3 * face + 1], surface.twins[3 * face + 2]
        )
        side = wp.int32(-1)
        if entry >= 0:
            side = entry % 3
        leaves = exit_side(surface, view, corners, side, p, q)
        if entry >= 0:
            same_order = end == corners[next_corner(side)]
            if (leaves[1] == turn) == same_order:
                return half
            if face == goal:
                return REACHED
        if leaves[0] < 0 or step == MAX_STEPS:
            return NOT_FOUND
        half = 3 * face + leaves[0]
        end = corners[next_corner(leaves[0])]
        turn = leaves[1]
        entry = beyond[leaves[0]]
        if entry < 0:
            return half
        face = entry / 3
    return NOT_FOUND


@wp.func
def are_neighbors(twins: wp.array[wp.int32], a: wp.int32, b: wp.int32) -> wp.bool:
    # All three at once: to stop at the first would wait for memory up to three times.
    first = twins[3 * a] - 3 * b
    second = twins[3 * a + 1] - 3 * b
    third = twins[3 * a + 2] - 3 * b
    near = wp.int32(0)
    if first >= 0 and first < 3:
        near = 1
    if second >= 0 and second < 3:
        near = 1
    if third >= 0 and third < 3:
        near = 1
    return near != 0


@wp.func
def is_open(twins: wp.array[wp.int32], f: wp.int32, g: wp.int32) -> wp.bool:
    """Whether a silhouette may lie between centres that see the faces f and g."""
    if f == g:
        return False
    return bool(f < 0 or g < 0 or not are_neighbors(twins, f, g))


@wp.func
def silhouette_of_pair(
    surface: Surface,
    view: wp.int32,
    faces: wp.vec2i,
    depths: wp.vec2,
    p: wp.vec2,
    q: wp.vec2,
) -> wp.int32:
    """Half-edge at which the nearer surface ends, or the other one beneath it; negative: none.

    If the nearer surface goes on beneath the other one, that one must end. The walk stands in a
    loop because a compiler would else copy it for each direction.
    """
    start = faces
    ends = wp.vec4(p[0], p[1], q[0], q[1])
    if not (faces[1] < 0 or (faces[0] >= 0 and depths[0] <= depths[1])):
        start = wp.vec2i(faces[1], faces[0])
        ends = wp.vec4(q[0], q[1], p[0], p[1])
    walks = wp.int32(1)
    if start[1] >= 0:
        walks = 2
    for _walk in range(walks):
        here = wp.vec2(ends[0], ends[1])
        there = wp.vec2(ends[2], ends[3])
        found = silhouette_between(surface, view, start[0], start[1], here, there)
        if found != NOT_FOUND:
            return found
        start = wp.vec2i(start[1], start[0])
        ends = wp.vec4(there[0], there[1], here[0], here[1])
    return NOT_FOUND


@wp.func
def is_blended_along(surface: Surface, view: wp.int32, half: wp.int32, axis: wp.int32) -> wp.bool:
    """Sides steeper than 45 degrees blend along rows, the others along columns.

    So each row (column) that a side spans is blended once, and the sum over the image is the
    covered area.
    """
    ends = ends_of(surface, half)
    line = line_through(
        load_four(surface.clip, view, ends[0]), load_four(surface.clip, view, ends[1])
    )
    across = wp.abs(line[0]) * wp.float64(surface.grid.height)
    along = wp.abs(line[1]) * wp.float64(surface.grid.width)
    return (across >= along) == (axis == 0)


@wp.func
def crossing(
    surface: Surface, view: wp.int32, half: wp.int32, p: wp.vec2, q: wp.vec2
) -> wp.float32:
    """m: signed distance of the crossing from the middle of pq, in pixels."""
    ends = ends_of(surface, half)
    a = load_four(surface.clip, view, ends[0])
    b = load_four(surface.clip, view, ends[1])
    grid = surface.grid
    at_p = cross2(from_center_exactly(a, p, grid), from_center_exactly(b, p, grid))
    at_q = cross2(from_center_exactly(a, q, grid), from_center_exactly(b, q, grid))
    return wp.float32(at_p / (at_p - at_q) - wp.float64(0.5))


@wp.func
def side_of_pair(
    surface: Surface,
    seen: wp.array2d[wp.int32],
    depth: wp.array2d[wp.float32],
    row: wp.int32,
    column: wp.int32,
    axis: wp.int32,
) -> wp.int32:
    """Half-edge that is blended between a pixel and its neighbour on an axis; negative: none."""
    view = row / surface.grid.height
    image_row = row - view * surface.grid.height
    faces = wp.vec2i(seen[row, column], seen[row + axis, column + 1 - axis])
    depths = wp.vec2(depth[row, column], depth[row + axis, column + 1 - axis])
    p = center_of(column, image_row, surface.grid)
    q = center_of(column + 1 - axis, image_row + axis, surface.grid)
    found = silhouette_of_pair(surface, view, faces, depths, p, q)
    if found >= 0 and not is_blended_along(surface, view, found, axis):
        return NOT_FOUND
    return found


@wp.func
def shift_of_pair(
    surface: Surface, half: wp.int32, row: wp.int32, column: wp.int32, axis: wp.int32
) -> wp.float32:
    """m of that half-edge and pair."""
    view = row / surface.grid.height
    image_row = row - view * surface.grid.height
    p = center_of(column, image_row, surface.grid)
    q = center_of(column + 1 - axis, image_row + axis, surface.grid)
    return crossing(surface, view, half, p, q)
