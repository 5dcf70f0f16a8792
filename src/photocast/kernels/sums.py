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
def sums_of(
    floats: wp.array3d[wp.float32], integers: wp.array3d[wp.int64], unit: wp.float64
) -> Sums:
    """From loose arguments: filling a struct on the host costs more than launching a kernel."""
    sums = Sums()
    sums.floats = floats
    sums.integers = integers
    sums.unit = unit
    return sums


# A quarter of the memory transactions of four single additions, where the hardware has it.
ADD_FOUR = """
    float* to = &wp::index(floats, part, row, 0);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};"
        :: "l"(to), "f"(value[0]), "f"(value[1]), "f"(value[2]), "f"(value[3]) : "memory");
#else
    for (int channel = 0; channel < 4; ++channel)
        wp::atomic_add(to + channel, value[channel]);
#endif
"""


@wp.func_native(ADD_FOUR)
def add_four(floats: wp.array3d[wp.float32], part: wp.int32, row: wp.int32, value: wp.vec4): ...


@wp.func
def add_vec4(sums: Sums, part: wp.int32, row: wp.int32, value: wp.vec4):
    """Add to a table of four channels."""
    if sums.unit == wp.float64(0.0):
        add_four(sums.floats, part, row, value)
    else:
        for channel in range(4):
            add(sums, part, row, channel, value[channel])


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
