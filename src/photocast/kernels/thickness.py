# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How far it is through the solid, straight inwards from the middle of a face."""

import warp as wp

wp.set_module_options({"enable_backward": False})

FAR = wp.constant(1.0e30)
STEPS = wp.constant(8)


@wp.kernel
def thickness_kernel(
    mesh: wp.uint64,
    vertices: wp.array(dtype=wp.vec3),
    faces: wp.array(dtype=wp.vec3i),
    chosen: wp.array(dtype=int),
    first: int,
    lift: float,
    distances: wp.array(dtype=float),
):
    """Distance to the next face that is not this one; negative where there is none."""
    k = first + wp.tid()
    i = chosen[k]
    t = faces[i]
    a = vertices[t[0]]
    b = vertices[t[1]]
    c = vertices[t[2]]
    inward = -wp.normalize(wp.cross(b - a, c - a))
    start = (a + b + c) / 3.0
    gone = float(0.0)
    distances[k] = -1.0
    for _ in range(STEPS):
        found = wp.mesh_query_ray(mesh, start + inward * gone, inward, FAR)
        if not found.result:
            return
        gone += found.t
        if found.face != i:
            distances[k] = gone
            return
        gone += lift
