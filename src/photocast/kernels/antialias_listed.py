# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Antialiasing that works on lists of pairs, for CUDA.

In a warp of 32 pixels one with a silhouette would hold up the other 31. So a first launch lists the
pairs that may have one, a second one walks only these and lists those that do, and the blend and
its adjoint start from a copy and touch only the pixels of that list. The number of threads is
fixed; they read from the device how long the list is, so nothing waits for it.

A pair is (row * width + column) * 2 + axis. The order of a list differs from run to run; a pixel in
several pairs is written several times, each time with the same numbers.
"""

import warp as wp

from photocast.kernels.antialias import add_pull_of_pair, blend_at, pull_color_at
from photocast.kernels.lists import reserve
from photocast.kernels.rasterize import Grid
from photocast.kernels.silhouettes import is_open, shift_of_pair, side_of_pair, surface_of
from photocast.kernels.sums import sums_of

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

OPEN = wp.constant(0)  # counter of the pairs to walk
FOUND = wp.constant(1)  # counter of the pairs with a silhouette
LISTED_ROWS = wp.constant(4)  # pixels per thread while pairs are listed

vec5i = wp.types.vector(length=5, dtype=wp.int32)


@wp.kernel(enable_backward=False)
def list_open_kernel(
    twins: wp.array[wp.int32],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    counts: wp.array[wp.int32],
    open_pairs: wp.array[wp.int32],
):
    """A thread looks at LISTED_ROWS rows of a column; bit 2 row + axis is a pair."""
    i, column = wp.tid()
    first = i * LISTED_ROWS
    bottom = seen.shape[0] - 1
    after = wp.min(column + 1, grid.width - 1)
    own = vec5i()
    right = vec5i()
    for k in range(LISTED_ROWS + 1):  # all of it at once: memory answers late
        own[k] = seen[wp.min(first + k, bottom), column]
    for k in range(LISTED_ROWS):
        right[k] = seen[wp.min(first + k, bottom), after]
    bits = wp.int32(0)
    wanted = wp.int32(0)
    for k in range(LISTED_ROWS):
        row = first + k
        if row <= bottom:
            if after > column and is_open(twins, own[k], right[k]):
                bits |= 1 << (2 * k)
                wanted += 1
            if (row + 1) % grid.height != 0 and is_open(twins, own[k], own[k + 1]):
                bits |= 2 << (2 * k)
                wanted += 1
    place = reserve(counts, OPEN, wanted)
    base = 2 * (first * grid.width + column)
    if wanted > 0:
        for k in range(2 * LISTED_ROWS):
            if ((bits >> k) & 1) != 0:
                open_pairs[place] = base + (k / 2) * 2 * grid.width + k % 2
                place += 1


@wp.func
def place_of(pair: wp.int32, width: wp.int32) -> wp.vec3i:
    """Row, column and axis of a pair."""
    pixel = pair / 2
    row = pixel / width
    return wp.vec3i(row, pixel - row * width, pair % 2)


@wp.kernel(enable_backward=False)
def list_found_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    twins: wp.array[wp.int32],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    depth: wp.array2d[wp.float32],
    counts: wp.array[wp.int32],
    open_pairs: wp.array[wp.int32],
    threads: wp.int32,
    found_pairs: wp.array[wp.int32],
    marks: wp.array3d[wp.uint8],  # all zero before
    sides: wp.array3d[wp.int32],
    shifts: wp.array3d[wp.float32],
):
    surface = surface_of(clip, faces, twins, grid)
    thread = wp.tid()
    for index in range(thread, counts[OPEN], threads):
        pair = open_pairs[index]
        at = place_of(pair, grid.width)
        found = side_of_pair(surface, seen, depth, at[0], at[1], at[2])
        if found >= 0:
            marks[at[0], at[1], at[2]] = wp.uint8(1)
            sides[at[0], at[1], at[2]] = found
            shifts[at[0], at[1], at[2]] = shift_of_pair(surface, found, at[0], at[1], at[2])
            found_pairs[reserve(counts, FOUND, 1)] = pair


@wp.kernel(enable_backward=False)
def blend_listed_kernel(
    color: wp.array3d[wp.float32],
    grid: Grid,
    counts: wp.array[wp.int32],
    found_pairs: wp.array[wp.int32],
    threads: wp.int32,
    marks: wp.array3d[wp.uint8],
    shifts: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],  # a copy of the colours before
):
    thread = wp.tid()
    for index in range(thread, counts[FOUND], threads):
        at = place_of(found_pairs[index], grid.width)
        if shifts[at[0], at[1], at[2]] >= 0.0:
            at = wp.vec3i(at[0] + at[2], at[1] + 1 - at[2], at[2])
        blend_at(color, grid, marks, shifts, at[0], at[1], blended)


@wp.kernel(enable_backward=False)
def pull_color_listed_kernel(
    grid: Grid,
    counts: wp.array[wp.int32],
    found_pairs: wp.array[wp.int32],
    threads: wp.int32,
    marks: wp.array3d[wp.uint8],
    shifts: wp.array3d[wp.float32],
    grad: wp.array3d[wp.float32],
    grad_color: wp.array3d[wp.float32],  # a copy of grad before
):
    """Two threads per pair, one for each of its pixels."""
    thread = wp.tid()
    for index in range(thread, 2 * counts[FOUND], threads):
        at = place_of(found_pairs[index / 2], grid.width)
        if index % 2 == 1:
            at = wp.vec3i(at[0] + at[2], at[1] + 1 - at[2], at[2])
        pull_color_at(grid, marks, shifts, grad, at[0], at[1], grad_color)


@wp.kernel(enable_backward=False)
def pull_clip_listed_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    twins: wp.array[wp.int32],
    grid: Grid,
    color: wp.array3d[wp.float32],
    blended: wp.array3d[wp.float32],
    counts: wp.array[wp.int32],
    found_pairs: wp.array[wp.int32],
    threads: wp.int32,
    marks: wp.array3d[wp.uint8],
    sides: wp.array3d[wp.int32],
    shifts: wp.array3d[wp.float32],
    grad: wp.array3d[wp.float32],
    floats: wp.array3d[wp.float32],
    integers: wp.array3d[wp.int64],
    unit: wp.float64,  # the sums' row = view * vert count + vertex
):
    surface = surface_of(clip, faces, twins, grid)
    grad_clip = sums_of(floats, integers, unit)
    thread = wp.tid()
    for index in range(thread, counts[FOUND], threads):
        at = place_of(found_pairs[index], grid.width)
        add_pull_of_pair(
            surface,
            color,
            blended,
            marks,
            sides,
            shifts,
            grad,
            at[0],
            at[1],
            at[2],
            0,
            grad_clip,
        )
