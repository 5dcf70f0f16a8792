# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the pixels' gradients for a vertex or texel are added up."""

import warp as wp

wp.set_module_options({"enable_backward": False})

# Kernels that add up spend their time waiting for memory: with more registers to a thread, fewer
# threads wait together. Measured on an H100: 64 a tenth slower, 80 best, no limit a quarter slower.
BACKWARD_REGISTERS = 80


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
def sums_of(
    floats: wp.array3d[wp.float32], integers: wp.array3d[wp.int64], unit: wp.float64
) -> Sums:
    """From loose arguments: filling a struct on the host costs more than launching a kernel."""
    sums = Sums()
    sums.floats = floats
    sums.integers = integers
    sums.unit = unit
    return sums


# A quarter of the memory transactions of four single additions, where the hardware has it and rows
# start at multiples of four.
ADD_FOUR = """
    float* to = &wp::index(floats, part, row, channel);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (floats.shape[2] % 4 == 0) {
        asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};"
            :: "l"(to), "f"(value[0]), "f"(value[1]), "f"(value[2]), "f"(value[3]) : "memory");
        return;
    }
#endif
    for (int k = 0; k < 4; ++k)
        if (channel + k < floats.shape[2] && value[k] != 0.0f)
            wp::atomic_add(to + k, value[k]);
"""


@wp.func_native(ADD_FOUR)
def add_four(
    floats: wp.array3d[wp.float32],
    part: wp.int32,
    row: wp.int32,
    channel: wp.int32,
    value: wp.vec4,
): ...


@wp.func
def add_vec4(sums: Sums, part: wp.int32, row: wp.int32, channel: wp.int32, value: wp.vec4):
    """Add to four channels from a multiple of four on, as many as the table has."""
    if sums.unit == wp.float64(0.0):
        add_four(sums.floats, part, row, channel, value)
    else:
        for k in range(4):
            if channel + k < sums.integers.shape[2]:
                add(sums, part, row, channel + k, value[k])


@wp.func
def add_corners(
    sums: Sums,
    part: wp.int32,
    rows: wp.vec3i,
    channel: wp.int32,
    first: wp.vec4,
    second: wp.vec4,
    third: wp.vec4,
):
    """Add to the three corners of a face."""
    add_vec4(sums, part, rows[0], channel, first)
    add_vec4(sums, part, rows[1], channel, second)
    add_vec4(sums, part, rows[2], channel, third)


ADD_AT = """
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};"
        :: "l"(&wp::index(sums, i)), "f"(value[0]), "f"(value[1]), "f"(value[2]), "f"(value[3])
        : "memory");
#else
    wp::atomic_add(sums, i, value);
#endif
"""


@wp.func_native(ADD_AT)
def add_at(sums: wp.array[wp.vec4], i: wp.int32, value: wp.vec4):
    """Add four numbers at once."""
    ...
