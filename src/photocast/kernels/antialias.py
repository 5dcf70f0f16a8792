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
    cross2,
    from_center,
    from_center_exactly,
    line_through,
    narrowed,
    on_clip,
    turned,
)
from photocast.kernels.sums import Sums, add_vec4, sums_of

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
    surface: Surface, view: wp.int32, face: wp.int32, entry: wp.int32, p: wp.vec2, q: wp.vec2
) -> wp.vec2i:
    """Half-edge by which the segment pq leaves a face, -1 if q lies inside; and the face's turn.

    A q on a side was given to the face beyond: had this one got it, the walk would have ended here.

    The turn is 1 if the corners run one way round on the screen, 0 if the other way.
    """
    corners = surface.faces[face]
    a = surface.clip[view, corners[0]]
    b = surface.clip[view, corners[1]]
    c = surface.clip[view, corners[2]]
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
        if at_q[k] <= 0.0 and at_p[k] > at_q[k] and 3 * face + k != entry:
            t = at_p[k] / (at_p[k] - at_q[k])
            if t < first:
                first = t
                best = 3 * face + k
    return wp.vec2i(best, turn)


@wp.func
def silhouette_between(
    surface: Surface, view: wp.int32, start: wp.int32, goal: wp.int32, p: wp.vec2, q: wp.vec2
) -> wp.int32:
    """Half-edge at which the surface of face ``start`` at p ends before q, NOT_FOUND or REACHED.

    It ends where no face lies beyond, or one that folds back. Of two faces that use their common
    side in opposite order, that one folds back that turns the other way round on the screen.
    """
    step = exit_side(surface, view, start, -1, p, q)
    for _step in range(MAX_STEPS):
        half = step[0]
        if half < 0:
            return NOT_FOUND
        entry = surface.twins[half]
        if entry < 0:
            return half
        face = entry / 3
        beyond = exit_side(surface, view, face, entry, p, q)
        same_order = ends_of(surface, half)[0] == ends_of(surface, entry)[0]
        if (beyond[1] == step[1]) == same_order:
            return half
        if face == goal:
            return REACHED
        step = beyond
    return NOT_FOUND


@wp.func
def are_neighbors(surface: Surface, a: wp.int32, b: wp.int32) -> wp.bool:
    for k in range(3):
        twin = surface.twins[3 * a + k]
        if twin >= 0 and twin / 3 == b:
            return True
    return False


@wp.func
def silhouette_of_pair(
    surface: Surface,
    view: wp.int32,
    faces: wp.vec2i,
    depths: wp.vec2,
    p: wp.vec2,
    q: wp.vec2,
) -> wp.int32:
    """Half-edge at which the nearer surface ends, or the other one beneath it; negative: none."""
    f = faces[0]
    g = faces[1]
    found = wp.int32(NOT_FOUND)
    if g < 0 or (f >= 0 and depths[0] <= depths[1]):
        found = silhouette_between(surface, view, f, g, p, q)
        # The nearer surface goes on beneath the other one, which must then end.
        if found == NOT_FOUND and g >= 0:
            found = silhouette_between(surface, view, g, f, q, p)
    else:
        found = silhouette_between(surface, view, g, f, q, p)
        if found == NOT_FOUND and f >= 0:
            found = silhouette_between(surface, view, f, g, p, q)
    return found


@wp.func
def is_blended_along(surface: Surface, view: wp.int32, half: wp.int32, axis: wp.int32) -> wp.bool:
    """Sides steeper than 45 degrees blend along rows, the others along columns.

    So each row (column) that a side spans is blended once, and the sum over the image is the
    covered area.
    """
    ends = ends_of(surface, half)
    line = line_through(surface.clip[view, ends[0]], surface.clip[view, ends[1]])
    across = wp.abs(line[0]) * wp.float64(surface.grid.height)
    along = wp.abs(line[1]) * wp.float64(surface.grid.width)
    return (across >= along) == (axis == 0)


@wp.func
def crossing(
    surface: Surface, view: wp.int32, half: wp.int32, p: wp.vec2, q: wp.vec2
) -> wp.float32:
    """m: signed distance of the crossing from the middle of pq, in pixels."""
    ends = ends_of(surface, half)
    a = surface.clip[view, ends[0]]
    b = surface.clip[view, ends[1]]
    grid = surface.grid
    at_p = cross2(from_center_exactly(a, p, grid), from_center_exactly(b, p, grid))
    at_q = cross2(from_center_exactly(a, q, grid), from_center_exactly(b, q, grid))
    return wp.float32(at_p / (at_p - at_q) - wp.float64(0.5))


@wp.kernel(enable_backward=False)
def pairs_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    twins: wp.array[wp.int32],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    depth: wp.array2d[wp.float32],
    marks: wp.array2d[wp.uint8],  # bit per axis: there is a side; the rest is written only then
    sides: wp.array2d[wp.vec2i],  # per axis the half-edge
    shifts: wp.array2d[wp.vec2],  # per axis m
):
    """Find the silhouette of each pair; nearly all pixels cost one byte."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    surface = surface_of(clip, faces, twins, grid)
    view = row / grid.height
    image_row = row - view * grid.height
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        f = seen[row, column]
        both = wp.vec2i(-1, -1)
        shift = wp.vec2(0.0, 0.0)
        mark = wp.int32(0)
        for axis in range(2):
            row_q = row + axis
            column_q = column + 1 - axis
            if column_q < grid.width and image_row + axis < grid.height:
                g = seen[row_q, column_q]
                if f != g and not (f >= 0 and g >= 0 and are_neighbors(surface, f, g)):
                    p = center_of(column, image_row, grid)
                    q = center_of(column_q, image_row + axis, grid)
                    depths = wp.vec2(depth[row, column], depth[row_q, column_q])
                    found = silhouette_of_pair(surface, view, wp.vec2i(f, g), depths, p, q)
                    if found >= 0 and is_blended_along(surface, view, found, axis):
                        shift[axis] = crossing(surface, view, found, p, q)
                        both[axis] = found
                        mark = mark | (1 << axis)
        marks[row, column] = wp.uint8(mark)
        if mark != 0:
            sides[row, column] = both
            shifts[row, column] = shift


@wp.func
def is_marked(marks: wp.array2d[wp.uint8], row: wp.int32, column: wp.int32, axis: wp.int32) -> bool:
    return (wp.int32(marks[row, column]) & (1 << axis)) != 0


@wp.func
def touches_silhouette(
    marks: wp.array2d[wp.uint8], grid: Grid, row: wp.int32, column: wp.int32
) -> wp.bool:
    """Whether any of the four pairs of a pixel has one; nearly all pixels stop here."""
    if marks[row, column] != wp.uint8(0):
        return True
    if column > 0 and is_marked(marks, row, column - 1, 0):
        return True
    return bool(row % grid.height > 0 and is_marked(marks, row - 1, column, 1))


@wp.func
def inflow(
    marks: wp.array2d[wp.uint8],
    shifts: wp.array2d[wp.vec2],
    grid: Grid,
    row: wp.int32,
    column: wp.int32,
) -> wp.vec4:
    """How deep the colours of the right, lower, left and upper neighbour reach into a pixel."""
    depths = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for axis in range(2):
        if is_marked(marks, row, column, axis):
            depths[axis] = wp.max(-shifts[row, column][axis], 0.0)
    if column > 0 and is_marked(marks, row, column - 1, 0):
        depths[2] = wp.max(shifts[row, column - 1][0], 0.0)
    if row % grid.height > 0 and is_marked(marks, row - 1, column, 1):
        depths[3] = wp.max(shifts[row - 1, column][1], 0.0)
    return depths


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
    marks: wp.array2d[wp.uint8],
    shifts: wp.array2d[wp.vec2],
    blended: wp.array3d[wp.float32],
):
    """out = c + Σ_k depth_k (c_k - c) / max(1, Σ depth): each pixel gathers from its neighbours."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        for c in range(color.shape[2]):
            blended[row, column, c] = color[row, column, c]
        if not touches_silhouette(marks, grid, row, column):
            continue
        depths = inflow(marks, shifts, grid, row, column)
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
    p: wp.vec2,
    q: wp.vec2,
    g: wp.float32,
    part: wp.int32,
    grad_clip: Sums,
):
    """Adjoint of crossing: m = e_p / (e_p - e_q) - 1/2 with e = cross2 of the side's two ends."""
    ends = ends_of(surface, half)
    grid = surface.grid
    a = surface.clip[view, ends[0]]
    b = surface.clip[view, ends[1]]
    ap = from_center_exactly(a, p, grid)
    bp = from_center_exactly(b, p, grid)
    aq = from_center_exactly(a, q, grid)
    bq = from_center_exactly(b, q, grid)
    at_p = cross2(ap, bp)
    at_q = cross2(aq, bq)
    scale = wp.float64(g) / ((at_p - at_q) * (at_p - at_q))
    gp = wp.float32(-at_q * scale)
    gq = wp.float32(at_p * scale)
    grad_a = on_clip(turned(narrowed(bp)) * gp, p, grid) + on_clip(
        turned(narrowed(bq)) * gq, q, grid
    )
    grad_b = -on_clip(turned(narrowed(ap)) * gp, p, grid) - on_clip(
        turned(narrowed(aq)) * gq, q, grid
    )
    first = view * surface.clip.shape[1]
    add_vec4(grad_clip, part, first + ends[0], grad_a)
    add_vec4(grad_clip, part, first + ends[1], grad_b)


@wp.kernel(enable_backward=False)
def antialias_backward_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    twins: wp.array[wp.int32],
    grid: Grid,
    color: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],
    marks: wp.array2d[wp.uint8],
    sides: wp.array2d[wp.vec2i],
    shifts: wp.array2d[wp.vec2],
    grad: wp.array3d[wp.float32],
    wants_clip: wp.int32,
    grad_color: wp.array3d[wp.float32],
    floats: wp.array3d[wp.float32],
    integers: wp.array3d[wp.int64],
    unit: wp.float64,  # the sums' row = view * vert count + vertex
):
    """Colours gather; vertices of the pixel's own two pairs receive the pull on m."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    surface = surface_of(clip, faces, twins, grid)
    grad_clip = sums_of(floats, integers, unit)
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        for c in range(color.shape[2]):
            grad_color[row, column, c] = grad[row, column, c]
        if not touches_silhouette(marks, grid, row, column):
            continue
        view = row / grid.height
        image_row = row - view * grid.height
        here = wp.vec2i(row, column)
        depths = inflow(marks, shifts, grid, row, column)
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
                if is_marked(marks, row, column, k):
                    side = sides[row, column][k]
            elif (k == 2 and column > 0) or (k == 3 and image_row > 0):
                if is_marked(marks, at[0], at[1], k - 2):
                    side = sides[at[0], at[1]][k - 2]
            if side >= 0:
                # What this pixel gives to that neighbour: the reverse direction is (k + 2) % 4.
                theirs = inflow(marks, shifts, grid, at[0], at[1])
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
