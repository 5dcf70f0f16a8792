# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Light from an environment map: look it up, and sample where it is bright.

Latitude-longitude map, +Z up: row 0 looks along +Z, the last row along -Z; column 0 starts at +X
and columns run towards +Y. Radiance is constant within a texel, so the sampling density is exact.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.func
def texel_of(direction: wp.vec3, rows: int, columns: int) -> wp.vec2i:
    polar = wp.acos(wp.clamp(direction[2], -1.0, 1.0)) / wp.pi
    turn = wp.atan2(direction[1], direction[0]) / (2.0 * wp.pi)
    turn = turn - wp.floor(turn)
    return wp.vec2i(
        wp.min(int(polar * float(rows)), rows - 1), wp.min(int(turn * float(columns)), columns - 1)
    )


@wp.func
def interval_of(cumulative: wp.array2d(dtype=float), row: int, u: float) -> int:
    """First entry of a row that is greater than ``u``."""
    low = wp.int32(0)
    high = cumulative.shape[1] - 1
    while low < high:
        middle = (low + high) / 2
        if cumulative[row, middle] > u:
            high = middle
        else:
            low = middle + 1
    return low


@wp.func
def fraction_in(cumulative: wp.array2d(dtype=float), row: int, index: int, u: float) -> float:
    start = wp.float32(0.0)
    if index > 0:
        start = cumulative[row, index - 1]
    return wp.clamp((u - start) / wp.max(cumulative[row, index] - start, 1.0e-12), 0.0, 1.0)


@wp.func
def light_direction(
    row_cumulative: wp.array2d(dtype=float), column_cumulative: wp.array2d(dtype=float), u: wp.vec2
) -> wp.vec3:
    """A direction with probability in proportion to brightness, uniform within a texel."""
    rows = column_cumulative.shape[0]
    columns = column_cumulative.shape[1]
    row = interval_of(row_cumulative, 0, u[0])
    column = interval_of(column_cumulative, row, u[1])
    down = fraction_in(row_cumulative, 0, row, u[0])
    across = fraction_in(column_cumulative, row, column, u[1])
    top = wp.cos(wp.pi * float(row) / float(rows))
    bottom = wp.cos(wp.pi * float(row + 1) / float(rows))
    z = top + (bottom - top) * down
    angle = 2.0 * wp.pi * (float(column) + across) / float(columns)
    radial = wp.sqrt(wp.max(1.0 - z * z, 0.0))
    return wp.vec3(radial * wp.cos(angle), radial * wp.sin(angle), z)
