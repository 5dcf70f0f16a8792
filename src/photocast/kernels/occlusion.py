# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which face each vertex sees in each of a fixed set of directions."""

import warp as wp

wp.set_module_options({"enable_backward": False})

OPEN = wp.constant(-1)
BELOW = wp.constant(-2)
FAR = wp.constant(1.0e30)


@wp.kernel(enable_backward=False)
def hits_kernel(
    mesh: wp.uint64,
    positions: wp.array[wp.vec3],
    normals: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    lift: float,
    first: int,
    hits: wp.array2d[wp.int32],
):
    """Face hit from a little above the vertex, OPEN, or BELOW for directions under the surface."""
    slot, k = wp.tid()
    i = first + slot
    d = directions[k]
    n = normals[i]
    if wp.dot(n, d) <= 0.0:
        hits[i, k] = BELOW
        return
    found = wp.mesh_query_ray(mesh, positions[i] + n * lift, d, FAR)
    hits[i, k] = wp.where(found.result, found.face, OPEN)
