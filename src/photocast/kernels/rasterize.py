# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which face each pixel centre sees, and where on that face.

Everything happens in 2D homogeneous coordinates (x, y, w): a vertex behind the camera needs no
clipping. Seen from a pixel centre p = (px, py, 1) in clip units, corner i of a face has weight
e_i(p) = p · (v_j × v_k), and the perspective-correct barycentrics are e_i / (e_0 + e_1 + e_2).
Cross products are formed in double: the products of two floats are exact there, so the two faces
of an edge get the same numbers up to sign, whatever the compiler fuses, and no crack can open.

Source: Olano & Greer, Triangle scan conversion using 2D homogeneous coordinates, 1997.
"""

import warp as wp

from photocast.kernels.sums import Sums, add_vec4

wp.set_module_options({"enable_backward": False})

DEPTH_STEPS = wp.constant(wp.float64(2147483647.0))  # 31 bits, so that the key stays positive
NO_KEY = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))


@wp.struct
class Grid:
    """The pixels of a batch of views; row = view * height + image row."""

    height: wp.int32
    width: wp.int32
    part: wp.int32  # this launch does rows part, part + parts, ...
    parts: wp.int32
    span: wp.int32  # columns per thread: on the CPU starting a thread costs more than a pixel


@wp.func
def center_of(column: wp.int32, row: wp.int32, grid: Grid) -> wp.vec2d:
    """Pixel centre in clip units; ``row`` counts within the view."""
    return wp.vec2d(
        wp.float64(2 * column + 1) / wp.float64(grid.width) - wp.float64(1.0),
        wp.float64(2 * row + 1) / wp.float64(grid.height) - wp.float64(1.0),
    )


@wp.func
def corner_of(clip: wp.array2d[wp.vec4], view: wp.int32, vertex: wp.int32) -> wp.vec3d:
    """(x, y, w) of a vertex."""
    v = clip[view, vertex]
    return wp.vec3d(wp.float64(v[0]), wp.float64(v[1]), wp.float64(v[3]))


@wp.func
def evaluate(line: wp.vec3d, p: wp.vec2d) -> wp.float64:
    return line[0] * p[0] + (line[1] * p[1] + line[2])


@wp.func
def owns_ties(line: wp.vec3d) -> wp.bool:
    # A centre exactly on an edge belongs to the face that a nudge by (+tiny, +tinier) enters.
    zero = wp.float64(0.0)
    if line[0] != zero:
        return line[0] > zero
    if line[1] != zero:
        return line[1] > zero
    return line[2] > zero


@wp.func
def grown(box: wp.vec4d, x: wp.float64, y: wp.float64, w: wp.float64) -> wp.vec4d:
    """The box (x0, x1, y0, y1) enlarged by a projected point; everything if w <= 0."""
    far = wp.float64(1.0e30)
    if w <= wp.float64(0.0):
        return wp.vec4d(-far, far, -far, far)
    u = x / w
    v = y / w
    return wp.vec4d(wp.min(box[0], u), wp.max(box[1], u), wp.min(box[2], v), wp.max(box[3], v))


@wp.func
def grown_by_side(box: wp.vec4d, a: wp.vec4, b: wp.vec4) -> wp.vec4d:
    """The box enlarged by the part of side ab before the near plane, without b itself."""
    da = wp.float64(a[2]) + wp.float64(a[3])
    db = wp.float64(b[2]) + wp.float64(b[3])
    zero = wp.float64(0.0)
    if da >= zero:
        box = grown(box, wp.float64(a[0]), wp.float64(a[1]), wp.float64(a[3]))
    if (da < zero and db > zero) or (da > zero and db < zero):
        t = da / (da - db)
        s = wp.float64(1.0) - t
        box = grown(
            box,
            s * wp.float64(a[0]) + t * wp.float64(b[0]),
            s * wp.float64(a[1]) + t * wp.float64(b[1]),
            s * wp.float64(a[3]) + t * wp.float64(b[3]),
        )
    return box


@wp.func
def first_center(u: wp.float64, size: wp.int32) -> wp.int32:
    """Index of the first pixel centre at or after clip coordinate u."""
    n = wp.float64(size)
    x = (u + wp.float64(1.0)) * wp.float64(0.5) * n - wp.float64(0.500001)
    return wp.int32(wp.ceil(wp.clamp(x, wp.float64(0.0), n)))


@wp.func
def last_center(u: wp.float64, size: wp.int32) -> wp.int32:
    """Index of the last pixel centre at or before clip coordinate u."""
    n = wp.float64(size)
    x = (u + wp.float64(1.0)) * wp.float64(0.5) * n - wp.float64(0.499999)
    return wp.int32(wp.floor(wp.clamp(x, wp.float64(-1.0), n - wp.float64(1.0))))


@wp.kernel(enable_backward=False)
def boxes_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    first_face: wp.int32,
    boxes: wp.array2d[wp.vec4i],
):
    """First and last column and row of each face's pixel centres; last < first for none."""
    view, slot = wp.tid()
    face = first_face + slot
    boxes[view, face] = wp.vec4i(0, -1, 0, -1)
    corners = faces[face]
    count = clip.shape[1]
    for k in range(3):
        if corners[k] < 0 or corners[k] >= count:
            return
    a = clip[view, corners[0]]
    b = clip[view, corners[1]]
    c = clip[view, corners[2]]
    far = wp.float64(1.0e30)
    box = wp.vec4d(far, -far, far, -far)
    box = grown_by_side(box, a, b)
    box = grown_by_side(box, b, c)
    box = grown_by_side(box, c, a)
    if box[0] <= box[1] and box[2] <= box[3]:  # false for NaN: such a face is not drawn
        boxes[view, face] = wp.vec4i(
            first_center(box[0], grid.width),
            last_center(box[1], grid.width),
            first_center(box[2], grid.height),
            last_center(box[3], grid.height),
        )


@wp.func
def in_pixels(line: wp.vec3d, grid: Grid) -> wp.vec3d:
    """The line of clip units as a line of continuous pixels; negation commutes with it exactly."""
    two = wp.float64(2.0)
    return wp.vec3d(
        line[0] * (two / wp.float64(grid.width)),
        line[1] * (two / wp.float64(grid.height)),
        line[2] - line[0] - line[1],
    )


@wp.kernel(enable_backward=False)
def visibility_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    boxes: wp.array2d[wp.vec4i],
    grid: Grid,
    first_view: wp.int32,
    first_row: wp.int32,
    stop_row: wp.int32,
    keys: wp.array3d[wp.int64],
):
    """Keep, per pixel, the smallest of depth << 32 | face; only rows of this launch's band.

    The rows of a face are dealt out to ``grid.parts`` threads: on CUDA a face of a million pixels
    must not keep a single thread busy.
    """
    slot, face, strip = wp.tid()
    view = first_view + slot
    box = boxes[view, face]
    row0 = wp.max(box[2], first_row) + strip
    row1 = wp.min(box[3], stop_row - 1)
    if row0 > row1 or box[0] > box[1]:
        return
    corners = faces[face]
    v0 = corner_of(clip, view, corners[0])
    v1 = corner_of(clip, view, corners[1])
    v2 = corner_of(clip, view, corners[2])
    line0 = wp.cross(v1, v2)
    line1 = wp.cross(v2, v0)
    line2 = wp.cross(v0, v1)
    det = wp.dot(v0, line0)
    zero = wp.float64(0.0)
    if not (wp.abs(det) > zero):
        return
    line0 = in_pixels(line0, grid)
    line1 = in_pixels(line1, grid)
    line2 = in_pixels(line2, grid)
    # z/w is affine over the image: sum of e_i z_i over det.
    plane = (
        line0 * wp.float64(clip[view, corners[0]][2])
        + line1 * wp.float64(clip[view, corners[1]][2])
        + line2 * wp.float64(clip[view, corners[2]][2])
    ) / det
    if det < zero:  # seen from behind: turn the edges so that inside is positive
        line0 = -line0
        line1 = -line1
        line2 = -line2
    tie0 = owns_ties(line0)
    tie1 = owns_ties(line1)
    tie2 = owns_ties(line2)
    half = wp.float64(0.5)
    one = wp.float64(1.0)
    for row in range(row0, row1 + 1, grid.parts):
        y = wp.float64(row) + half
        start0 = line0[1] * y + line0[2]
        start1 = line1[1] * y + line1[2]
        start2 = line2[1] * y + line2[2]
        for column in range(box[0], box[1] + 1):
            x = wp.float64(column) + half
            e0 = line0[0] * x + start0
            e1 = line1[0] * x + start1
            e2 = line2[0] * x + start2
            if (
                (e0 > zero or (e0 == zero and tie0))
                and (e1 > zero or (e1 == zero and tie1))
                and (e2 > zero or (e2 == zero and tie2))
            ):
                z = plane[0] * x + (plane[1] * y + plane[2])
                if z >= -one and z <= one:
                    steps = wp.int64((z * half + half) * DEPTH_STEPS)
                    key = (steps << wp.int64(32)) | wp.int64(face)
                    wp.atomic_min(keys, view, row, column, key)


@wp.kernel(enable_backward=False)
def resolve_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    keys: wp.array2d[wp.int64],
    bary: wp.array2d[wp.vec2],
    depth: wp.array2d[wp.float32],
    seen: wp.array2d[wp.int32],
    bary_da: wp.array2d[wp.vec4],
):
    """Weights, depth and their face per pixel from the visibility key."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        key = keys[row, column]
        if key == NO_KEY:
            bary[row, column] = wp.vec2(0.0, 0.0)
            depth[row, column] = 0.0
            seen[row, column] = -1
            bary_da[row, column] = wp.vec4(0.0, 0.0, 0.0, 0.0)
            continue
        face = wp.int32(key & wp.int64(0x7FFFFFFF))
        seen[row, column] = face
        view = row / grid.height
        corners = faces[face]
        v0 = corner_of(clip, view, corners[0])
        v1 = corner_of(clip, view, corners[1])
        v2 = corner_of(clip, view, corners[2])
        line0 = wp.cross(v1, v2)
        line1 = wp.cross(v2, v0)
        line2 = wp.cross(v0, v1)
        p = center_of(column, row - view * grid.height, grid)
        scale = wp.float64(1.0) / (evaluate(line0, p) + evaluate(line1, p) + evaluate(line2, p))
        b0 = evaluate(line0, p) * scale
        b1 = evaluate(line1, p) * scale
        b2 = wp.float64(1.0) - b0 - b1
        bary[row, column] = wp.vec2(wp.float32(b0), wp.float32(b1))
        z = (
            b0 * wp.float64(clip[view, corners[0]][2])
            + b1 * wp.float64(clip[view, corners[1]][2])
            + b2 * wp.float64(clip[view, corners[2]][2])
        )
        depth[row, column] = wp.float32(z / (b0 * v0[2] + b1 * v1[2] + b2 * v2[2]))
        # db/dp = (de - b * d(sum e)) / sum e; one pixel is 2/size clip units.
        total = line0 + line1 + line2
        slope0 = (line0 - total * b0) * scale
        slope1 = (line1 - total * b1) * scale
        sx = wp.float64(2.0) / wp.float64(grid.width)
        sy = wp.float64(2.0) / wp.float64(grid.height)
        bary_da[row, column] = wp.vec4(
            wp.float32(slope0[0] * sx),
            wp.float32(slope0[1] * sy),
            wp.float32(slope1[0] * sx),
            wp.float32(slope1[1] * sy),
        )


@wp.func
def from_pixel(v: wp.vec4, p: wp.vec2d) -> wp.vec2d:
    """Corner relative to the pixel's ray: (x - px w, y - py w), formed in double."""
    w = wp.float64(v[3])
    return wp.vec2d(wp.float64(v[0]) - p[0] * w, wp.float64(v[1]) - p[1] * w)


@wp.func
def cross2(a: wp.vec2d, b: wp.vec2d) -> wp.float64:
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def turned(a: wp.vec2d) -> wp.vec2d:
    """d cross2(b, a) / db."""
    return wp.vec2d(a[1], -a[0])


@wp.func
def on_clip(q: wp.vec2d, p: wp.vec2d) -> wp.vec4:
    """Adjoint of from_pixel, as (x, y, 0, w)."""
    return wp.vec4(
        wp.float32(q[0]), wp.float32(q[1]), 0.0, wp.float32(-(p[0] * q[0] + p[1] * q[1]))
    )


@wp.kernel(enable_backward=False)
def rasterize_backward_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    bary: wp.array2d[wp.vec2],
    grad_bary: wp.array2d[wp.vec2],
    grad_depth: wp.array2d[wp.float32],
    has_depth: wp.int32,
    grad_clip: Sums,  # row = view * vert count + vertex
):
    """Adjoint of resolve_kernel with the visibility held fixed; one table per part.

    With q_i = from_pixel(v_i): e_0 = q_1 × q_2 (and cyclic), b_i = e_i / s, s = e_0 + e_1 + e_2.
    dL/de_i = (g_i - Σ_j g_j b_j) / s, and d(a × b) = turned(b) · da - turned(a) · db.
    Depth is Σ b_i z_i / Σ b_i w_i; its gradient reaches z and w directly and g through b.
    """
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        face = seen[row, column]
        if face < 0:
            continue
        given = grad_bary[row, column]
        slope = wp.float32(0.0)
        if has_depth != 0:
            slope = grad_depth[row, column]
        if given[0] == 0.0 and given[1] == 0.0 and slope == 0.0:
            continue
        view = row / grid.height
        corners = faces[face]
        p = center_of(column, row - view * grid.height, grid)
        a = clip[view, corners[0]]
        b = clip[view, corners[1]]
        c = clip[view, corners[2]]
        q0 = from_pixel(a, p)
        q1 = from_pixel(b, p)
        q2 = from_pixel(c, p)
        scale = wp.float64(1.0) / (cross2(q1, q2) + cross2(q2, q0) + cross2(q0, q1))
        b0 = cross2(q1, q2) * scale
        b1 = cross2(q2, q0) * scale
        b2 = wp.float64(1.0) - b0 - b1
        weights = wp.vec3(wp.float32(b0), wp.float32(b1), wp.float32(b2))
        g = wp.vec3d(wp.float64(given[0]), wp.float64(given[1]), wp.float64(0.0))
        direct_z = wp.float32(0.0)
        direct_w = wp.float32(0.0)
        if slope != 0.0:
            w = weights[0] * a[3] + weights[1] * b[3] + weights[2] * c[3]
            z = (weights[0] * a[2] + weights[1] * b[2] + weights[2] * c[2]) / w
            direct_z = slope / w
            direct_w = -slope * z / w
            g += wp.vec3d(
                wp.float64(direct_z * a[2] + direct_w * a[3]),
                wp.float64(direct_z * b[2] + direct_w * b[3]),
                wp.float64(direct_z * c[2] + direct_w * c[3]),
            )
        mean = g[0] * b0 + g[1] * b1 + g[2] * b2
        h0 = (g[0] - mean) * scale
        h1 = (g[1] - mean) * scale
        h2 = (g[2] - mean) * scale
        grad0 = on_clip(turned(q1) * h2 - turned(q2) * h1, p)
        grad1 = on_clip(turned(q2) * h0 - turned(q0) * h2, p)
        grad2 = on_clip(turned(q0) * h1 - turned(q1) * h0, p)
        direct = wp.vec4(0.0, 0.0, direct_z, direct_w)
        first = view * clip.shape[1]
        add_vec4(grad_clip, grid.part, first + corners[0], grad0 + direct * weights[0])
        add_vec4(grad_clip, grid.part, first + corners[1], grad1 + direct * weights[1])
        add_vec4(grad_clip, grid.part, first + corners[2], grad2 + direct * weights[2])
