# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The blend that silhouettes between pixel centres cause, and its adjoint.

Pairs of pixels, the crossing m and half-edges are explained in ``silhouettes.py``. Per pixel and
axis there are a mark, the half-edge and m; the last two are written only where there is a mark.
The kernels here visit all pixels, as suits the CPU; those of ``antialias_listed.py`` only the
pairs of a list.
"""

import warp as wp

from photocast.kernels.rasterize import (
    Grid,
    center_of,
    cross2,
    first_column,
    from_center_exactly,
    narrowed,
    on_clip,
    stop_column,
    turned,
)
from photocast.kernels.silhouettes import (
    Surface,
    ends_of,
    is_open,
    shift_of_pair,
    side_of_pair,
    surface_of,
)
from photocast.kernels.sums import Sums, add_vec4, sums_of
from photocast.kernels.vectors import load_four

wp.set_module_options({"enable_backward": False, "fuse_fp": False})


@wp.kernel(enable_backward=False)
def pairs_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    twins: wp.array[wp.int32],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    depth: wp.array2d[wp.float32],
    marks: wp.array3d[wp.uint8],
    sides: wp.array3d[wp.int32],
    shifts: wp.array3d[wp.float32],
):
    """Find the silhouette of each pair; nearly all pixels cost two bytes."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    surface = surface_of(clip, faces, twins, grid)
    image_row = row % grid.height
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        for axis in range(2):
            found = wp.int32(-1)
            if column + 1 - axis < grid.width and image_row + axis < grid.height:
                if is_open(twins, seen[row, column], seen[row + axis, column + 1 - axis]):
                    found = side_of_pair(surface, seen, depth, row, column, axis)
            if found >= 0:
                marks[row, column, axis] = wp.uint8(1)
                sides[row, column, axis] = found
                shifts[row, column, axis] = shift_of_pair(surface, found, row, column, axis)
            else:
                marks[row, column, axis] = wp.uint8(0)


@wp.func
def is_marked(marks: wp.array3d[wp.uint8], row: wp.int32, column: wp.int32, axis: wp.int32) -> bool:
    return marks[row, column, axis] != wp.uint8(0)


@wp.func
def touches_silhouette(
    marks: wp.array3d[wp.uint8], grid: Grid, row: wp.int32, column: wp.int32
) -> wp.bool:
    """Whether any of the four pairs of a pixel has one; nearly all pixels stop here."""
    if is_marked(marks, row, column, 0) or is_marked(marks, row, column, 1):
        return True
    if column > 0 and is_marked(marks, row, column - 1, 0):
        return True
    return bool(row % grid.height > 0 and is_marked(marks, row - 1, column, 1))


@wp.func
def over_full(depths: wp.vec4) -> wp.float32:
    # A pixel covered from several sides at once: scale, so that the blend stays an average.
    return wp.max(depths[0] + depths[1] + depths[2] + depths[3], 1.0)


@wp.func
def inflow(
    marks: wp.array3d[wp.uint8],
    shifts: wp.array3d[wp.float32],
    grid: Grid,
    row: wp.int32,
    column: wp.int32,
) -> wp.vec4:
    """How deep the colours of the right, lower, left and upper neighbour reach into a pixel."""
    depths = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for axis in range(2):
        if is_marked(marks, row, column, axis):
            depths[axis] = wp.max(-shifts[row, column, axis], 0.0)
    if column > 0 and is_marked(marks, row, column - 1, 0):
        depths[2] = wp.max(shifts[row, column - 1, 0], 0.0)
    if row % grid.height > 0 and is_marked(marks, row - 1, column, 1):
        depths[3] = wp.max(shifts[row - 1, column, 1], 0.0)
    return depths


@wp.func
def outflow(
    marks: wp.array3d[wp.uint8],
    shifts: wp.array3d[wp.float32],
    grid: Grid,
    row: wp.int32,
    column: wp.int32,
) -> wp.vec4:
    """How much of its colour a pixel gives to its right, lower, left and upper neighbour."""
    given = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for axis in range(2):
        if is_marked(marks, row, column, axis) and shifts[row, column, axis] > 0.0:
            theirs = inflow(marks, shifts, grid, row + axis, column + 1 - axis)
            given[axis] = theirs[axis + 2] / over_full(theirs)
    if column > 0 and is_marked(marks, row, column - 1, 0):
        theirs = inflow(marks, shifts, grid, row, column - 1)
        given[2] = theirs[0] / over_full(theirs)
    if row % grid.height > 0 and is_marked(marks, row - 1, column, 1):
        theirs = inflow(marks, shifts, grid, row - 1, column)
        given[3] = theirs[1] / over_full(theirs)
    return given


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
def blend_at(
    color: wp.array3d[wp.float32],
    grid: Grid,
    marks: wp.array3d[wp.uint8],
    shifts: wp.array3d[wp.float32],
    row: wp.int32,
    column: wp.int32,
    blended: wp.array3d[wp.float32],
):
    """out = c + Σ_k depth_k (c_k - c) / max(1, Σ depth): a pixel gathers from its neighbours."""
    depths = inflow(marks, shifts, grid, row, column)
    full = over_full(depths)
    for c in range(color.shape[2]):
        own = color[row, column, c]
        mixed = own + wp.float32(0.0)
        for k in range(4):
            if depths[k] > 0.0:
                at = neighbor_of(row, column, k)
                mixed += (color[at[0], at[1], c] - own) * depths[k] / full
        blended[row, column, c] = mixed


@wp.kernel(enable_backward=False)
def blend_kernel(
    color: wp.array3d[wp.float32],
    grid: Grid,
    marks: wp.array3d[wp.uint8],
    shifts: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],
):
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        if touches_silhouette(marks, grid, row, column):
            blend_at(color, grid, marks, shifts, row, column, blended)
        else:
            for c in range(color.shape[2]):
                blended[row, column, c] = color[row, column, c]


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
    a = load_four(surface.clip, view, ends[0])
    b = load_four(surface.clip, view, ends[1])
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
    add_vec4(grad_clip, part, first + ends[0], 0, grad_a)
    add_vec4(grad_clip, part, first + ends[1], 0, grad_b)


@wp.func
def add_pull_of_pair(
    surface: Surface,
    color: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],
    marks: wp.array3d[wp.uint8],
    sides: wp.array3d[wp.int32],
    shifts: wp.array3d[wp.float32],
    grad: wp.array3d[wp.float32],
    row: wp.int32,
    column: wp.int32,
    axis: wp.int32,
    part: wp.int32,
    grad_clip: Sums,
):
    """The loss's pull on m of a marked pair, handed to both vertices of its side."""
    grid = surface.grid
    view = row / grid.height
    to = wp.vec2i(row, column)
    source = wp.vec2i(row + axis, column + 1 - axis)
    sign = wp.float32(-1.0)
    if shifts[row, column, axis] >= 0.0:
        to = wp.vec2i(row + axis, column + 1 - axis)
        source = wp.vec2i(row, column)
        sign = 1.0
    full = over_full(inflow(marks, shifts, grid, to[0], to[1]))
    g = sign * pull(grad, color, blended, full, to, source)
    if g != 0.0:
        p = center_of(column, row - view * grid.height, grid)
        q = center_of(column + 1 - axis, row - view * grid.height + axis, grid)
        add_side_gradient(surface, view, sides[row, column, axis], p, q, g, part, grad_clip)


@wp.func
def pull_color_at(
    grid: Grid,
    marks: wp.array3d[wp.uint8],
    shifts: wp.array3d[wp.float32],
    grad: wp.array3d[wp.float32],
    row: wp.int32,
    column: wp.int32,
    grad_color: wp.array3d[wp.float32],
):
    """Adjoint of blend_at: a pixel gathers from those to which it gave."""
    depths = inflow(marks, shifts, grid, row, column)
    taken = (depths[0] + depths[1] + depths[2] + depths[3]) / over_full(depths)
    given = outflow(marks, shifts, grid, row, column)
    for c in range(grad.shape[2]):
        own = grad[row, column, c]
        total = own - taken * own
        for k in range(4):
            if given[k] > 0.0:
                at = neighbor_of(row, column, k)
                total += given[k] * grad[at[0], at[1], c]
        grad_color[row, column, c] = total


@wp.kernel(enable_backward=False)
def antialias_backward_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    twins: wp.array[wp.int32],
    grid: Grid,
    color: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],
    marks: wp.array3d[wp.uint8],
    sides: wp.array3d[wp.int32],
    shifts: wp.array3d[wp.float32],
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
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        if not touches_silhouette(marks, grid, row, column):
            for c in range(color.shape[2]):
                grad_color[row, column, c] = grad[row, column, c]
            continue
        pull_color_at(grid, marks, shifts, grad, row, column, grad_color)
        for axis in range(2):
            if wants_clip != 0 and is_marked(marks, row, column, axis):
                add_pull_of_pair(
                    surface,
                    color,
                    blended,
                    marks,
                    sides,
                    shifts,
                    grad,
                    row,
                    column,
                    axis,
                    grid.part,
                    grad_clip,
                )
