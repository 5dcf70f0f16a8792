# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the pixels' gradients for a vertex or texel are added up."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.struct
class Sums:
    """One private table per part, of floats, or of integers in multiples of 1/unit.

    Float addition depends on the order, and on CUDA the order changes from run to run. Integers
    do not care; so they are what the deterministic mode uses.
    """

    floats: wp.array3d[wp.float32]  # part, row, channel; used if unit is 0
    integers: wp.array3d[wp.int64]  # the same, used otherwise
    unit: wp.float64


@wp.func
def add(sums: Sums, part: wp.int32, row: wp.int32, channel: wp.int32, value: wp.float32):
    if sums.unit == wp.float64(0.0):
        wp.atomic_add(sums.floats, part, row, channel, value)
    else:
        count = wp.int64(wp.rint(wp.float64(value) * sums.unit))
        wp.atomic_add(sums.integers, part, row, channel, count)


@wp.func
def add_vec4(sums: Sums, part: wp.int32, row: wp.int32, value: wp.vec4):
    for channel in range(4):
        add(sums, part, row, channel, value[channel])
