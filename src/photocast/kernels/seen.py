# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What shading wants to know of a raster's pixels beside face and place, in one pass."""

import warp as wp

wp.set_module_options({"enable_backward": False})

LEAST_SQUARE = wp.constant(1.0e-24)


@wp.func
def footprint_level(slopes: wp.vec4, u: wp.vec2, v: wp.vec2) -> wp.float32:
    """log2 of the longest axis of the ellipse that a pixel covers in uv.

    Args:
        slopes: Of both weights by x and by y: (du/dx, du/dy, dv/dx, dv/dy).
        u: uv of corner 0 from corner 2.
        v: uv of corner 1 from corner 2.
    """
    dx = u * slopes[0] + v * slopes[2]
    dy = u * slopes[1] + v * slopes[3]
    half = 0.5 * (wp.dot(dx, dx) + wp.dot(dy, dy))
    area = dx[0] * dy[1] - dx[1] * dy[0]
    square = half + wp.sqrt(wp.max(half * half - area * area, 0.0))
    return 0.5 * wp.log2(wp.max(square, LEAST_SQUARE))


@wp.kernel(enable_backward=False)
def seen_kernel(
    face: wp.array[wp.int32],
    bary: wp.array[wp.vec2],
    slopes: wp.array[wp.vec4],
    faces: wp.array[wp.vec3i],
    vertices: wp.array[wp.vec3],
    uv_faces: wp.array[wp.vec3i],
    uvs: wp.array[wp.vec2],
    centers: wp.array[wp.vec3],
    per_view: wp.int32,
    first: wp.int32,
    level: wp.array[wp.float32],
    view: wp.array[wp.vec3],
):
    """Footprint, and unit vector to the camera, of each pixel; 0 where nothing is."""
    i = first + wp.tid()
    if face[i] < 0:
        level[i] = 0.0
        view[i] = wp.vec3(0.0)
        return
    corners = faces[face[i]]
    spots = uv_faces[face[i]]
    w = bary[i]
    third = 1.0 - w[0] - w[1]
    place = vertices[corners[0]] * w[0] + vertices[corners[1]] * w[1]
    place += vertices[corners[2]] * third
    view[i] = wp.normalize(centers[i // per_view] - place)
    last = uvs[spots[2]]
    level[i] = footprint_level(slopes[i], uvs[spots[0]] - last, uvs[spots[1]] - last)
