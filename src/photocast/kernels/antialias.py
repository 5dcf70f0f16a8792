# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where silhouettes cross between neighbouring pixel centres, and the blend they cause.

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
    corner_of,
    cross2,
    from_pixel,
    on_clip,
    turned,
)
from photocast.kernels.sums import Sums, add_vec4

wp.set_module_options({"enable_backward": False})

MAX_STEPS = wp.constant(64)  # faces followed between two pixel centres


@wp.struct
class Surface:
    """What the views look at."""

    clip: wp.array2d[wp.vec4]  # view, vert
    faces: wp.array[wp.vec3i]
    twins: wp.array[wp.int32]  # per half-edge


@wp.func
def next_corner(k: wp.int32) -> wp.int32:
    return (k + 1) % 3


@wp.func
def side_line(surface: Surface, view: wp.int32, half: wp.int32) -> wp.vec3d:
    """Line through a half-edge; its edge function is the weight of the opposite corner."""
    corners = surface.faces[half / 3]
    a = corners[next_corner(half % 3)]
    b = corners[next_corner(half % 3 + 1)]
    return wp.cross(corner_of(surface.clip, view, a), corner_of(surface.clip, view, b))


@wp.func
def exit_side(
    surface: Surface, view: wp.int32, face: wp.int32, entry: wp.int32, p: wp.vec2d, q: wp.vec2d
) -> wp.int32:
    """Half-edge by which the segment pq leaves a face, or -1 if q lies inside."""
    corners = surface.faces[face]
    a = surface.clip[view, corners[0]]
    b = surface.clip[view, corners[1]]
    c = surface.clip[view, corners[2]]
    ap = from_pixel(a, p)
    bp = from_pixel(b, p)
    cp = from_pixel(c, p)
    aq = from_pixel(a, q)
    bq = from_pixel(b, q)
    cq = from_pixel(c, q)
    at_p = wp.vec3d(cross2(bp, cp), cross2(cp, ap), cross2(ap, bp))
    at_q = wp.vec3d(cross2(bq, cq), cross2(cq, aq), cross2(aq, bq))
    zero = wp.float64(0.0)
    if wp.dot(at_p, wp.vec3d(wp.float64(a[3]), wp.float64(b[3]), wp.float64(c[3]))) < zero:
        at_p = -at_p  # seen from behind: turn the sides so that inside is positive
        at_q = -at_q
    best = wp.int32(-1)
    first = wp.float64(1.0e30)
    for k in range(3):
        if at_q[k] < zero and at_p[k] > at_q[k] and 3 * face + k != entry:
            t = at_p[k] / (at_p[k] - at_q[k])
            if t < first:
                first = t
                best = 3 * face + k
    return best


@wp.func
def is_silhouette(surface: Surface, view: wp.int32, half: wp.int32) -> wp.bool:
    """No face beyond, or one that folds back: both faces lie on the same side of the line."""
    twin = surface.twins[half]
    if twin < 0:
        return True
    line = side_line(surface, view, half)
    near = corner_of(surface.clip, view, surface.faces[half / 3][half % 3])
    beyond = corner_of(surface.clip, view, surface.faces[twin / 3][twin % 3])
    return (wp.dot(near, line) > wp.float64(0.0)) == (wp.dot(beyond, line) > wp.float64(0.0))


@wp.func
def silhouette_between(
    surface: Surface, view: wp.int32, start: wp.int32, goal: wp.int32, p: wp.vec2d, q: wp.vec2d
) -> wp.int32:
    """Half-edge at which the surface of face ``start`` at p ends before q, or -1."""
    face = start
    entry = wp.int32(-1)
    for _step in range(MAX_STEPS):
        half = exit_side(surface, view, face, entry, p, q)
        if half < 0:
            return -1
        if is_silhouette(surface, view, half):
            return half
        entry = surface.twins[half]
        face = entry / 3
        if face == goal:
            return -1
    return -1


@wp.func
def are_neighbors(surface: Surface, a: wp.int32, b: wp.int32) -> wp.bool:
    for k in range(3):
        twin = surface.twins[3 * a + k]
        if twin >= 0 and twin / 3 == b:
            return True
    return False


@wp.func
def crossing(surface: Surface, view: wp.int32, half: wp.int32, p: wp.vec2d, q: wp.vec2d):
    """m: signed distance of the crossing from the middle of pq, in pixels."""
    corners = surface.faces[half / 3]
    a = surface.clip[view, corners[next_corner(half % 3)]]
    b = surface.clip[view, corners[next_corner(half % 3 + 1)]]
    at_p = cross2(from_pixel(a, p), from_pixel(b, p))
    at_q = cross2(from_pixel(a, q), from_pixel(b, q))
    return wp.float32(at_p / (at_p - at_q) - wp.float64(0.5))


@wp.kernel(enable_backward=False)
def pairs_kernel(
    surface: Surface,
    grid: Grid,
    seen: wp.array2d[wp.int32],
    depth: wp.array2d[wp.float32],
    sides: wp.array2d[wp.vec2i],  # per axis the half-edge, -1 for none
    shifts: wp.array2d[wp.vec2],  # per axis m, written where there is a side
):
    """Find the silhouette of each pair.

    Sides steeper than 45 degrees blend along rows, the others along columns: so each row (column)
    that a side spans is blended once, and the sum over the image is the covered area.
    """
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        view = row / grid.height
        image_row = row - view * grid.height
        f = seen[row, column]
        both = wp.vec2i(-1, -1)
        shift = wp.vec2(0.0, 0.0)
        for axis in range(2):
            found = wp.int32(-1)
            row_q = row + axis
            column_q = column + 1 - axis
            if column_q < grid.width and image_row + axis < grid.height:
                g = seen[row_q, column_q]
                if f != g and not (f >= 0 and g >= 0 and are_neighbors(surface, f, g)):
                    p = center_of(column, image_row, grid)
                    q = center_of(column_q, image_row + axis, grid)
                    p_first = g < 0 or (f >= 0 and depth[row, column] <= depth[row_q, column_q])
                    if p_first:
                        found = silhouette_between(surface, view, f, g, p, q)
                        # The nearer surface goes on beneath the other one, which must then end.
                        if found < 0 and g >= 0:
                            found = silhouette_between(surface, view, g, f, q, p)
                    else:
                        found = silhouette_between(surface, view, g, f, q, p)
                        if found < 0 and f >= 0:
                            found = silhouette_between(surface, view, f, g, p, q)
                    if found >= 0:
                        line = side_line(surface, view, found)
                        steep = wp.abs(line[0]) * wp.float64(grid.height) >= wp.abs(
                            line[1]
                        ) * wp.float64(grid.width)
                        if steep == (axis == 0):
                            shift[axis] = crossing(surface, view, found, p, q)
                        else:
                            found = -1
            both[axis] = found
        sides[row, column] = both
        if both[0] >= 0 or both[1] >= 0:
            shifts[row, column] = shift


@wp.func
def inflow(
    sides: wp.array2d[wp.vec2i],
    shifts: wp.array2d[wp.vec2],
    grid: Grid,
    row: wp.int32,
    column: wp.int32,
) -> wp.vec4:
    """How deep the colours of the right, lower, left and upper neighbour reach into a pixel."""
    depths = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for axis in range(2):
        if sides[row, column][axis] >= 0:
            depths[axis] = wp.max(-shifts[row, column][axis], 0.0)
    if column > 0 and sides[row, column - 1][0] >= 0:
        depths[2] = wp.max(shifts[row, column - 1][0], 0.0)
    if row % grid.height > 0 and sides[row - 1, column][1] >= 0:
        depths[3] = wp.max(shifts[row - 1, column][1], 0.0)
    return depths


@wp.func
def touches_silhouette(
    sides: wp.array2d[wp.vec2i], grid: Grid, row: wp.int32, column: wp.int32
) -> wp.bool:
    """Whether any of the four pairs of a pixel has one; nearly all pixels stop here."""
    own = sides[row, column]
    if own[0] >= 0 or own[1] >= 0:
        return True
    if column > 0 and sides[row, column - 1][0] >= 0:
        return True
    return bool(row % grid.height > 0 and sides[row - 1, column][1] >= 0)


@wp.func
def neighbor_of(row: wp.int32, column: wp.int32, k: wp.int32) -> wp.vec2i:
    """Row and column of the right, lower, left and upper neighbour."""
    if k == 0:
        return wp.vec2i(row, column + 1)
    if k == 1:
        return wp.vec2i(row + 1, column)
    if k == 2:
        return wp.vec2i(row, column - 1)
    return wp.vec2i(row - 1, column)


@wp.func
def over_full(depths: wp.vec4) -> wp.float32:
    # A pixel covered from several sides at once: scale, so that the blend stays an average.
    return wp.max(depths[0] + depths[1] + depths[2] + depths[3], 1.0)


@wp.kernel(enable_backward=False)
def blend_kernel(
    color: wp.array3d[wp.float32],
    grid: Grid,
    sides: wp.array2d[wp.vec2i],
    shifts: wp.array2d[wp.vec2],
    blended: wp.array3d[wp.float32],  # starts as a copy of color
):
    """out = c + Σ_k depth_k (c_k - c) / max(1, Σ depth): each pixel gathers from its neighbours."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        if not touches_silhouette(sides, grid, row, column):
            continue
        depths = inflow(sides, shifts, grid, row, column)
        full = over_full(depths)
        for k in range(4):
            if depths[k] > 0.0:
                at = neighbor_of(row, column, k)
                for c in range(color.shape[2]):
                    blended[row, column, c] = (
                        blended[row, column, c]
                        + (color[at[0], at[1], c] - color[row, column, c]) * depths[k] / full
                    )


@wp.func
def pull(
    grad: wp.array3d[wp.float32],
    color: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],
    full: wp.float32,
    to: wp.vec2i,
    source: wp.vec2i,
) -> wp.float32:
    """Loss per depth with which ``source`` reaches into pixel ``to``."""
    total = wp.float32(0.0)
    for c in range(color.shape[2]):
        base = color[to[0], to[1], c]
        if full > 1.0:  # d(Σ d_k c_k / Σ d)/d d_k = (c_k - out) / Σ d
            base = blended[to[0], to[1], c]
        total += grad[to[0], to[1], c] * (color[source[0], source[1], c] - base)
    return total / full


@wp.func
def add_side_gradient(
    surface: Surface,
    view: wp.int32,
    half: wp.int32,
    p: wp.vec2d,
    q: wp.vec2d,
    g: wp.float32,
    part: wp.int32,
    grad_clip: Sums,
):
    """Adjoint of crossing: m = e_p / (e_p - e_q) - 1/2 with e = cross2 of the side's two ends."""
    corners = surface.faces[half / 3]
    ia = corners[next_corner(half % 3)]
    ib = corners[next_corner(half % 3 + 1)]
    a = surface.clip[view, ia]
    b = surface.clip[view, ib]
    ap = from_pixel(a, p)
    bp = from_pixel(b, p)
    aq = from_pixel(a, q)
    bq = from_pixel(b, q)
    at_p = cross2(ap, bp)
    at_q = cross2(aq, bq)
    scale = wp.float64(g) / ((at_p - at_q) * (at_p - at_q))
    gp = -at_q * scale
    gq = at_p * scale
    first = view * surface.clip.shape[1]
    grad_a = on_clip(turned(bp) * gp, p) + on_clip(turned(bq) * gq, q)
    grad_b = -on_clip(turned(ap) * gp, p) - on_clip(turned(aq) * gq, q)
    add_vec4(grad_clip, part, first + ia, grad_a)
    add_vec4(grad_clip, part, first + ib, grad_b)


@wp.kernel(enable_backward=False)
def antialias_backward_kernel(
    surface: Surface,
    grid: Grid,
    color: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],
    sides: wp.array2d[wp.vec2i],
    shifts: wp.array2d[wp.vec2],
    grad: wp.array3d[wp.float32],
    wants_clip: wp.int32,
    grad_color: wp.array3d[wp.float32],  # starts as a copy of grad
    grad_clip: Sums,  # row = view * vert count + vertex
):
    """Colours gather; vertices of the pixel's own two pairs receive the pull on m."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        if not touches_silhouette(sides, grid, row, column):
            continue
        view = row / grid.height
        image_row = row - view * grid.height
        here = wp.vec2i(row, column)
        depths = inflow(sides, shifts, grid, row, column)
        full = over_full(depths)
        taken = (depths[0] + depths[1] + depths[2] + depths[3]) / full
        if taken > 0.0:
            for c in range(color.shape[2]):
                grad_color[row, column, c] = (
                    grad_color[row, column, c] - taken * grad[row, column, c]
                )
        for k in range(4):
            at = neighbor_of(row, column, k)
            side = wp.int32(-1)
            if k < 2:
                side = sides[row, column][k]
            elif (k == 2 and column > 0) or (k == 3 and image_row > 0):
                side = sides[at[0], at[1]][k - 2]
            if side >= 0:
                # What this pixel gives to that neighbour: the reverse direction is (k + 2) % 4.
                theirs = inflow(sides, shifts, grid, at[0], at[1])
                their_full = over_full(theirs)
                given = theirs[(k + 2) % 4] / their_full
                if given > 0.0:
                    for c in range(color.shape[2]):
                        grad_color[row, column, c] = (
                            grad_color[row, column, c] + given * grad[at[0], at[1], c]
                        )
                if k < 2 and wants_clip != 0:
                    g = wp.float32(0.0)
                    if shifts[row, column][k] >= 0.0:
                        g = pull(grad, color, blended, their_full, at, here)
                    else:
                        g = -pull(grad, color, blended, full, here, at)
                    if g != 0.0:
                        p = center_of(column, image_row, grid)
                        q = center_of(column + 1 - k, image_row + k, grid)
                        add_side_gradient(surface, view, side, p, q, g, grid.part, grad_clip)
