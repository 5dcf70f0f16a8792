# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Box-filtered mip levels and filtered texture look-up.

A pyramid is one buffer of texels, level after level, each row-major. UV (0, 0) is the top-left
corner of the first row; texel i is centred at (i + 0.5) / size; outside, the border texel repeats.
"""

import warp as wp

from photocast.kernels.rasterize import Grid, first_column, stop_column
from photocast.kernels.sums import Sums, add

wp.set_module_options({"enable_backward": False})


@wp.struct
class Halving:
    """Two neighbouring levels of a pyramid: first texel, height and width of each."""

    fine: wp.int32
    fine_height: wp.int32
    fine_width: wp.int32
    coarse: wp.int32
    coarse_height: wp.int32
    coarse_width: wp.int32
    span: wp.int32  # columns per thread


@wp.func
def overlap(coarse: wp.int32, fine: wp.int32, n: wp.int32, m: wp.int32) -> wp.float32:
    """Share of coarse texel ``coarse`` (of m) that fine texel ``fine`` (of n) covers.

    In units of 1/(n m) the coarse texel spans [coarse n, coarse n + n], the fine one
    [fine m, fine m + m]: integers, so exact.
    """
    low = wp.max(coarse * n, fine * m)
    high = wp.min(coarse * n + n, fine * m + m)
    return wp.float32(high - low) / wp.float32(n)


@wp.func
def is_even(at: Halving) -> wp.bool:
    return at.fine_height == 2 * at.coarse_height and at.fine_width == 2 * at.coarse_width


@wp.kernel(enable_backward=False)
def halve_kernel(texels: wp.array2d[wp.float32], at: Halving, part: wp.int32, parts: wp.int32):
    """Each coarse texel is the mean of the fine texels below it, by area."""
    k, slot = wp.tid()
    y = part + k * parts
    y0 = y * at.fine_height / at.coarse_height
    y1 = ((y + 1) * at.fine_height - 1) / at.coarse_height
    for x in range(slot * at.span, wp.min((slot + 1) * at.span, at.coarse_width)):
        target = at.coarse + y * at.coarse_width + x
        if is_even(at):
            upper = at.fine + 2 * y * at.fine_width + 2 * x
            lower = upper + at.fine_width
            for c in range(texels.shape[1]):
                texels[target, c] = 0.25 * (
                    (texels[upper, c] + texels[upper + 1, c])
                    + (texels[lower, c] + texels[lower + 1, c])
                )
            continue
        x0 = x * at.fine_width / at.coarse_width
        x1 = ((x + 1) * at.fine_width - 1) / at.coarse_width
        for c in range(texels.shape[1]):
            total = wp.float32(0.0)
            for fy in range(y0, y1 + 1):
                wy = overlap(y, fy, at.fine_height, at.coarse_height)
                for fx in range(x0, x1 + 1):
                    wx = overlap(x, fx, at.fine_width, at.coarse_width)
                    total += wy * wx * texels[at.fine + fy * at.fine_width + fx, c]
            texels[target, c] = total


@wp.kernel(enable_backward=False)
def halve_backward_kernel(
    grad: wp.array2d[wp.float32], at: Halving, part: wp.int32, parts: wp.int32
):
    """Each fine texel gathers from the coarse texels that contain it."""
    k, slot = wp.tid()
    y = part + k * parts
    y0 = y * at.coarse_height / at.fine_height
    y1 = ((y + 1) * at.coarse_height - 1) / at.fine_height
    for x in range(slot * at.span, wp.min((slot + 1) * at.span, at.fine_width)):
        target = at.fine + y * at.fine_width + x
        if is_even(at):
            above = at.coarse + y0 * at.coarse_width + x / 2
            for c in range(grad.shape[1]):
                grad[target, c] = grad[target, c] + 0.25 * grad[above, c]
            continue
        x0 = x * at.coarse_width / at.fine_width
        x1 = ((x + 1) * at.coarse_width - 1) / at.fine_width
        for c in range(grad.shape[1]):
            total = grad[target, c]
            for cy in range(y0, y1 + 1):
                wy = overlap(cy, y, at.fine_height, at.coarse_height)
                for cx in range(x0, x1 + 1):
                    wx = overlap(cx, x, at.fine_width, at.coarse_width)
                    total += wy * wx * grad[at.coarse + cy * at.coarse_width + cx, c]
            grad[target, c] = total


@wp.struct
class Tap:
    """The 2x2 texels around a point of one level, and the weights of right and lower ones."""

    i00: wp.int32
    i01: wp.int32
    i10: wp.int32
    i11: wp.int32
    row0: wp.int32
    row1: wp.int32
    fx: wp.float32
    fy: wp.float32


@wp.func
def tap_at(levels: wp.array[wp.vec3i], level: wp.int32, uv: wp.vec2) -> Tap:
    spot = levels[level]  # first texel, height, width
    height = spot[1]
    width = spot[2]
    x = wp.clamp(uv[0] * wp.float32(width) - 0.5, -1.0, wp.float32(width))
    y = wp.clamp(uv[1] * wp.float32(height) - 0.5, -1.0, wp.float32(height))
    x0 = wp.int32(wp.floor(x))
    y0 = wp.int32(wp.floor(y))
    tap = Tap()
    tap.fx = x - wp.float32(x0)
    tap.fy = y - wp.float32(y0)
    left = wp.clamp(x0, 0, width - 1)
    right = wp.clamp(x0 + 1, 0, width - 1)
    tap.row0 = wp.clamp(y0, 0, height - 1)
    tap.row1 = wp.clamp(y0 + 1, 0, height - 1)
    tap.i00 = spot[0] + tap.row0 * width + left
    tap.i01 = spot[0] + tap.row0 * width + right
    tap.i10 = spot[0] + tap.row1 * width + left
    tap.i11 = spot[0] + tap.row1 * width + right
    return tap


@wp.func
def level_of(levels: wp.array[wp.vec3i], da: wp.vec4, bias: wp.float32) -> wp.float32:
    """Mip level at which the pixel's longest axis in the texture is one texel long.

    The axis is the largest singular value of d(texel)/d(pixel): half the sum plus the root.
    """
    height = wp.float32(levels[0][1])
    width = wp.float32(levels[0][2])
    a = da[0] * width
    b = da[1] * width
    c = da[2] * height
    d = da[3] * height
    half_sum = 0.5 * (a * a + b * b + c * c + d * d)
    det = a * d - b * c
    square = half_sum + wp.sqrt(wp.max(half_sum * half_sum - det * det, 0.0))
    top = wp.float32(levels.shape[0] - 1)
    if not (square > 0.0):
        return wp.clamp(bias, 0.0, top)
    return wp.clamp(0.5 * wp.log2(square) + bias, 0.0, top)


@wp.func
def blend(texels: wp.array2d[wp.float32], tap: Tap, c: wp.int32) -> wp.float32:
    upper = texels[tap.i00, c] * (1.0 - tap.fx) + texels[tap.i01, c] * tap.fx
    lower = texels[tap.i10, c] * (1.0 - tap.fx) + texels[tap.i11, c] * tap.fx
    return upper * (1.0 - tap.fy) + lower * tap.fy


@wp.kernel(enable_backward=False)
def texture_kernel(
    texels: wp.array2d[wp.float32],
    levels: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    has_seen: wp.int32,
    uv: wp.array2d[wp.vec2],
    uv_da: wp.array2d[wp.vec4],
    trilinear: wp.int32,
    bias: wp.float32,
    values: wp.array3d[wp.float32],
):
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        channels = texels.shape[1]
        if has_seen != 0 and seen[row, column] < 0:
            for c in range(channels):
                values[row, column, c] = 0.0
            continue
        level = wp.float32(0.0)
        if trilinear != 0:
            level = level_of(levels, uv_da[row, column], bias)
        low = wp.int32(level)
        share = level - wp.float32(low)
        tap = tap_at(levels, low, uv[row, column])
        for c in range(channels):
            values[row, column, c] = blend(texels, tap, c) * (1.0 - share)
        if share > 0.0:
            tap = tap_at(levels, low + 1, uv[row, column])
            for c in range(channels):
                values[row, column, c] = values[row, column, c] + blend(texels, tap, c) * share


@wp.func
def spread(
    grad_values: wp.array3d[wp.float32],
    row: wp.int32,
    column: wp.int32,
    tap: Tap,
    share: wp.float32,
    grid: Grid,
    grad_texels: Sums,
):
    """Give each of the four texels its share; only texel rows that belong to this part."""
    upper = tap.row0 % grid.parts == grid.part
    lower = tap.row1 % grid.parts == grid.part
    if not upper and not lower:
        return
    for c in range(grad_values.shape[2]):
        g = grad_values[row, column, c] * share
        if upper:
            add(grad_texels, 0, tap.i00, c, g * (1.0 - tap.fx) * (1.0 - tap.fy))
            add(grad_texels, 0, tap.i01, c, g * tap.fx * (1.0 - tap.fy))
        if lower:
            add(grad_texels, 0, tap.i10, c, g * (1.0 - tap.fx) * tap.fy)
            add(grad_texels, 0, tap.i11, c, g * tap.fx * tap.fy)


@wp.func
def slope_of(
    texels: wp.array2d[wp.float32],
    levels: wp.array[wp.vec3i],
    level: wp.int32,
    tap: Tap,
    grad_values: wp.array3d[wp.float32],
    row: wp.int32,
    column: wp.int32,
) -> wp.vec2:
    """Loss per uv through one level: bilinear slope in texels, times the level's size."""
    gx = wp.float32(0.0)
    gy = wp.float32(0.0)
    for c in range(texels.shape[1]):
        g = grad_values[row, column, c]
        t00 = texels[tap.i00, c]
        t01 = texels[tap.i01, c]
        t10 = texels[tap.i10, c]
        t11 = texels[tap.i11, c]
        gx += g * ((t01 - t00) * (1.0 - tap.fy) + (t11 - t10) * tap.fy)
        gy += g * ((t10 - t00) * (1.0 - tap.fx) + (t11 - t01) * tap.fx)
    return wp.vec2(gx * wp.float32(levels[level][2]), gy * wp.float32(levels[level][1]))


@wp.kernel(enable_backward=False)
def texture_backward_kernel(
    texels: wp.array2d[wp.float32],
    levels: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    has_seen: wp.int32,
    uv: wp.array2d[wp.vec2],
    uv_da: wp.array2d[wp.vec4],
    trilinear: wp.int32,
    bias: wp.float32,
    grad_values: wp.array3d[wp.float32],
    wants_texels: wp.int32,
    wants_uv: wp.int32,
    grad_texels: Sums,  # one table for all parts, row = texel
    grad_uv: wp.array2d[wp.vec2],
):
    """Every part visits every pixel but owns the texel rows r with r % parts == part.

    So texels are summed in pixel order whatever the number of parts, without a private copy of
    the texture per part. The uv gradient of a pixel is written by the part that owns its row.
    """
    row, slot = wp.tid()
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        owner = row % grid.parts == grid.part and wants_uv != 0
        if has_seen != 0 and seen[row, column] < 0:
            if owner:
                grad_uv[row, column] = wp.vec2(0.0, 0.0)
            continue
        level = wp.float32(0.0)
        if trilinear != 0:
            level = level_of(levels, uv_da[row, column], bias)
        low = wp.int32(level)
        share = level - wp.float32(low)
        tap = tap_at(levels, low, uv[row, column])
        if wants_texels != 0:
            spread(grad_values, row, column, tap, 1.0 - share, grid, grad_texels)
        slope = wp.vec2(0.0, 0.0)
        if owner:
            slope = slope_of(texels, levels, low, tap, grad_values, row, column) * (1.0 - share)
        if share > 0.0:
            tap = tap_at(levels, low + 1, uv[row, column])
            if wants_texels != 0:
                spread(grad_values, row, column, tap, share, grid, grad_texels)
            if owner:
                slope += slope_of(texels, levels, low + 1, tap, grad_values, row, column) * share
        if owner:
            grad_uv[row, column] = slope
