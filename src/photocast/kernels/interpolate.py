# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Vertex attributes at the pixels, and their image-space slopes."""

import warp as wp

from photocast.kernels.rasterize import Grid
from photocast.kernels.sums import add, sums_of

wp.set_module_options({"enable_backward": False})


@wp.kernel(enable_backward=False)
def interpolate_kernel(
    attributes: wp.array3d[wp.float32],  # 1 or view, vert, channel
    faces: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    bary: wp.array2d[wp.vec2],
    has_slopes: wp.int32,
    bary_da: wp.array2d[wp.vec4],
    slopes: wp.array3d[wp.vec2],
    values: wp.array3d[wp.float32],  # row, column, channel
):
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        channels = attributes.shape[2]
        face = seen[row, column]
        if face < 0:
            for c in range(channels):
                values[row, column, c] = 0.0
                if has_slopes != 0:
                    slopes[row, column, c] = wp.vec2(0.0, 0.0)
            continue
        view = wp.min(row / grid.height, attributes.shape[0] - 1)
        corners = faces[face]
        b = bary[row, column]
        b2 = 1.0 - b[0] - b[1]
        for c in range(channels):
            a0 = attributes[view, corners[0], c]
            a1 = attributes[view, corners[1], c]
            a2 = attributes[view, corners[2], c]
            values[row, column, c] = b[0] * a0 + b[1] * a1 + b2 * a2
            if has_slopes != 0:
                da = bary_da[row, column]
                slopes[row, column, c] = wp.vec2(
                    da[0] * (a0 - a2) + da[2] * (a1 - a2), da[1] * (a0 - a2) + da[3] * (a1 - a2)
                )


@wp.kernel(enable_backward=False)
def interpolate_backward_kernel(
    attributes: wp.array3d[wp.float32],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    bary: wp.array2d[wp.vec2],
    grad_values: wp.array3d[wp.float32],
    wants_attributes: wp.int32,
    floats: wp.array3d[wp.float32],
    integers: wp.array3d[wp.int64],
    unit: wp.float64,  # the sums' row = view * vert count + vertex, view 0 if the views share
    grad_bary: wp.array2d[wp.vec2],
):
    """Attributes: weights times upstream, one table per part. b_2 = 1 - b_0 - b_1 in both."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    grad_attributes = sums_of(floats, integers, unit)
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        face = seen[row, column]
        if face < 0:
            grad_bary[row, column] = wp.vec2(0.0, 0.0)
            continue
        view = wp.min(row / grid.height, attributes.shape[0] - 1)
        corners = faces[face]
        first = view * attributes.shape[1]
        b = bary[row, column]
        b2 = 1.0 - b[0] - b[1]
        g0 = wp.float32(0.0)
        g1 = wp.float32(0.0)
        for c in range(attributes.shape[2]):
            g = grad_values[row, column, c]
            if g != 0.0:
                a2 = attributes[view, corners[2], c]
                g0 += g * (attributes[view, corners[0], c] - a2)
                g1 += g * (attributes[view, corners[1], c] - a2)
                if wants_attributes != 0:
                    add(grad_attributes, grid.part, first + corners[0], c, b[0] * g)
                    add(grad_attributes, grid.part, first + corners[1], c, b[1] * g)
                    add(grad_attributes, grid.part, first + corners[2], c, b2 * g)
        grad_bary[row, column] = wp.vec2(g0, g1)
