# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The nearest point of a mesh, exactly, by its bounding volume hierarchy."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def nearest_point_kernel(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    reach: float,
    distances: wp.array(dtype=float),
    faces: wp.array(dtype=int),
):
    i = wp.tid()
    found = wp.mesh_query_point_no_sign(mesh, points[i], reach)
    nearest = wp.mesh_eval_position(mesh, found.face, found.u, found.v)
    distances[i] = wp.length(nearest - points[i])
    faces[i] = found.face
