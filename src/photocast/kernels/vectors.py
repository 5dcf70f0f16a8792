# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole vectors read and written at once on CUDA, where Warp goes number by number.

Addresses must be multiples of the vector's size: tensors of our own are, others go through
``photocast.ops._launch.aligned``. What is read must not be written by the same launch.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

LOAD_FOUR = """
#if defined(__CUDA_ARCH__)
    const float4 v = __ldg(reinterpret_cast<const float4*>(&wp::index(source, {index})));
    return wp::vec_t<4, wp::float32>(v.x, v.y, v.z, v.w);
#else
    return wp::index(source, {index});
#endif
"""

LOAD_TWO = """
#if defined(__CUDA_ARCH__)
    const float2 v = __ldg(reinterpret_cast<const float2*>(&wp::index(source, {index})));
    return wp::vec_t<2, wp::float32>(v.x, v.y);
#else
    return wp::index(source, {index});
#endif
"""

STORE_FOUR = """
#if defined(__CUDA_ARCH__)
    *reinterpret_cast<float4*>(&wp::index(to, i, j)) =
        make_float4(value[0], value[1], value[2], value[3]);
#else
    wp::index(to, i, j) = value;
#endif
"""

STORE_TWO = """
#if defined(__CUDA_ARCH__)
    *reinterpret_cast<float2*>(&wp::index(to, i, j)) = make_float2(value[0], value[1]);
#else
    wp::index(to, i, j) = value;
#endif
"""


@wp.func_native(LOAD_FOUR.replace("{index}", "i"))
def load_texel(source: wp.array[wp.vec4], i: wp.int32) -> wp.vec4: ...


@wp.func_native(LOAD_FOUR.replace("{index}", "i, j"))
def load_four(source: wp.array2d[wp.vec4], i: wp.int32, j: wp.int32) -> wp.vec4: ...


@wp.func_native(LOAD_TWO.replace("{index}", "i, j"))
def load_two(source: wp.array2d[wp.vec2], i: wp.int32, j: wp.int32) -> wp.vec2: ...


@wp.func_native(STORE_FOUR)
def store_four(to: wp.array2d[wp.vec4], i: wp.int32, j: wp.int32, value: wp.vec4): ...


@wp.func_native(STORE_TWO)
def store_two(to: wp.array2d[wp.vec2], i: wp.int32, j: wp.int32, value: wp.vec2): ...
