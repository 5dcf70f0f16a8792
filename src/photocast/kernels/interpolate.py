# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Vertex attributes at the pixels, and their image-space slopes."""

import warp as wp

from photocast.kernels.rasterize import Grid, first_column, stop_column
from photocast.kernels.sums import BACKWARD_REGISTERS, add_corners, sums_of
from photocast.kernels.vectors import load_four, load_two, store_two

wp.set_module_options({"enable_backward": False})


@wp.func
def four_of(
    attributes: wp.array3d[wp.float32], view: wp.int32, vertex: wp.int32, first: wp.int32
) -> wp.vec4:
    """Four channels of a vertex from ``first`` on, zero beyond the last."""
    four = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for k in range(4):
        if first + k < attributes.shape[2]:
            four[k] = attributes[view, vertex, first + k]
    return four


@wp.kernel(enable_backward=False)
def interpolate_kernel(
    attributes: wp.array3d[wp.float32],  # 1 or view, vert, channel
    faces: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    bary: wp.array2d[wp.vec2],
    values: wp.array3d[wp.float32],  # row, column, channel
):
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    view = wp.min(row / grid.height, attributes.shape[0] - 1)
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        face = seen[row, column]
        b = load_two(bary, row, column)
        corners = wp.vec3i(0, 0, 0)
        if face >= 0:
            corners = faces[face]
        for first in range(0, attributes.shape[2], 4):
            four = wp.vec4(0.0, 0.0, 0.0, 0.0)
            if face >= 0:  # reads before writes: a compiler must not move them past each other
                a0 = four_of(attributes, view, corners[0], first)
                a1 = four_of(attributes, view, corners[1], first)
                a2 = four_of(attributes, view, corners[2], first)
                four = b[0] * a0 + b[1] * a1 + (1.0 - b[0] - b[1]) * a2
            for k in range(4):
                if first + k < attributes.shape[2]:
                    values[row, column, first + k] = four[k]


@wp.kernel(enable_backward=False)
def interpolate_slopes_kernel(
    attributes: wp.array3d[wp.float32],  # 1 or view, vert, channel
    faces: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    bary_da: wp.array2d[wp.vec4],
    slopes: wp.array3d[wp.vec2],  # row, column, channel
):
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    view = wp.min(row / grid.height, attributes.shape[0] - 1)
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        face = seen[row, column]
        if face < 0:
            for c in range(attributes.shape[2]):
                slopes[row, column, c] = wp.vec2(0.0, 0.0)
            continue
        corners = faces[face]
        da = load_four(bary_da, row, column)
        for c in range(attributes.shape[2]):
            a2 = attributes[view, corners[2], c]
            from0 = attributes[view, corners[0], c] - a2
            from1 = attributes[view, corners[1], c] - a2
            slopes[row, column, c] = wp.vec2(
                da[0] * from0 + da[2] * from1, da[1] * from0 + da[3] * from1
            )


@wp.kernel(enable_backward=False, cuda_max_registers=BACKWARD_REGISTERS)
def interpolate_backward_kernel(
    attributes: wp.array3d[wp.float32],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    bary: wp.array2d[wp.vec2],
    grad_values: wp.array3d[wp.float32],
    wants_attributes: wp.int32,
    first_channel: wp.int32,
    floats: wp.array3d[wp.float32],
    integers: wp.array3d[wp.int64],
    unit: wp.float64,  # the sums' row = view * vert count + vertex, view 0 if the views share
    grad_bary: wp.array2d[wp.vec2],
):
    """Adjoint of four channels; attributes: weights times upstream, one table per part.

    b_2 = 1 - b_0 - b_1 in both directions. A thread sums up as long as the face stays the same.
    """
    i, slot = wp.tid()
    top = (grid.part + i * grid.parts) * grid.run
    sums = sums_of(floats, integers, unit)
    last = wp.int32(-1)
    last_view = wp.int32(-1)
    rows = wp.vec3i(0, 0, 0)  # of the sums
    a0 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    a1 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    a2 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    sum0 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    sum1 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    sum2 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for row in range(top, wp.min(top + grid.run, seen.shape[0])):
        view = wp.min(row / grid.height, attributes.shape[0] - 1)
        for column in range(first_column(slot, grid), stop_column(slot, grid)):
            face = seen[row, column]
            if face < 0:
                store_two(grad_bary, row, column, wp.vec2(0.0, 0.0))
                continue
            if face != last or view != last_view:
                if last >= 0 and wants_attributes != 0:
                    add_corners(sums, grid.part, rows, first_channel, sum0, sum1, sum2)
                corners = faces[face]
                a2 = four_of(attributes, view, corners[2], first_channel)
                a0 = four_of(attributes, view, corners[0], first_channel) - a2
                a1 = four_of(attributes, view, corners[1], first_channel) - a2
                first = view * attributes.shape[1]
                rows = wp.vec3i(first + corners[0], first + corners[1], first + corners[2])
                sum0 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                sum1 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                sum2 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                last = face + 0
                last_view = view + 0
            g = wp.vec4(0.0, 0.0, 0.0, 0.0)
            for k in range(4):
                if first_channel + k < attributes.shape[2]:
                    g[k] = grad_values[row, column, first_channel + k]
            b = load_two(bary, row, column)
            sum0 += b[0] * g
            sum1 += b[1] * g
            sum2 += (1.0 - b[0] - b[1]) * g
            pull = wp.vec2(wp.dot(g, a0), wp.dot(g, a1))
            if first_channel > 0:
                pull += grad_bary[row, column]
            store_two(grad_bary, row, column, pull)
    if last >= 0 and wants_attributes != 0:
        add_corners(sums, grid.part, rows, first_channel, sum0, sum1, sum2)
