# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which face each pixel centre sees, and where on that face.

Everything happens in 2D homogeneous coordinates (x, y, w): a vertex behind the camera needs no
clipping. A pixel centre is n = (2 column + 1 - width, 2 row + 1 - height): half pixels from the
middle of the image, exact integers. Seen from there, a vertex v lies in the direction
q = (x width - n_x w, y height - n_y w), corner i of a face has weight e_i = q_j × q_k, and the
perspective-correct barycentrics are e_i / (e_0 + e_1 + e_2).

Visibility is decided in single precision and still has no cracks. q depends on the vertex and the
pixel alone, so all faces around a vertex see the same rounded q. Rounding keeps the order of the
two products in q_j × q_k: their difference has the right sign, or is zero, and then doubles, in
which products of floats are exact, decide. So for each pixel the signs are those of one true
drawing, in which vertices moved by a rounding error. For this the compiler must not fuse
multiplication and addition.

Sources: Olano & Greer, Triangle scan conversion using 2D homogeneous coordinates, 1997; Woop,
Benthin & Wald, Watertight ray/triangle intersection, 2013 (the fallback to doubles).
"""

import warp as wp

from photocast.kernels.sums import add_corners, sums_of

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

DEPTH_STEPS = wp.constant(wp.float64(2147483647.0))  # 31 bits, so that the key stays positive
NO_KEY = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))
MARGIN = wp.constant(wp.float32(0.01))  # pixels by which a box is larger, for its rounding


@wp.struct
class Grid:
    """The pixels of a batch of views; row = view * height + image row."""

    height: wp.int32
    width: wp.int32
    part: wp.int32  # this launch does rows part, part + parts, ...
    parts: wp.int32
    span: wp.int32  # columns per thread: on the CPU starting a thread costs more than a pixel
    run: wp.int32  # rows per thread, in the kernels that make use of it


@wp.func
def center_of(column: wp.int32, row: wp.int32, grid: Grid) -> wp.vec2:
    """Pixel centre in half pixels from the middle; ``row`` counts within the view."""
    return wp.vec2(wp.float32(2 * column + 1 - grid.width), wp.float32(2 * row + 1 - grid.height))


@wp.func
def from_center(v: wp.vec4, n: wp.vec2, grid: Grid) -> wp.vec2:
    """Direction of a vertex seen from a pixel centre, in half pixels times w."""
    return wp.vec2(
        v[0] * wp.float32(grid.width) - n[0] * v[3], v[1] * wp.float32(grid.height) - n[1] * v[3]
    )


@wp.func
def from_center_exactly(v: wp.vec4, n: wp.vec2, grid: Grid) -> wp.vec2d:
    """The same, formed in double."""
    w = wp.float64(v[3])
    return wp.vec2d(
        wp.float64(v[0]) * wp.float64(grid.width) - wp.float64(n[0]) * w,
        wp.float64(v[1]) * wp.float64(grid.height) - wp.float64(n[1]) * w,
    )


@wp.func
def cross2(a: wp.vec2, b: wp.vec2) -> wp.float32:
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def cross2(a: wp.vec2d, b: wp.vec2d) -> wp.float64:  # noqa: F811 Warp chooses by type
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def doubled(a: wp.vec2) -> wp.vec2d:
    return wp.vec2d(wp.float64(a[0]), wp.float64(a[1]))


@wp.func
def line_through(a: wp.vec4, b: wp.vec4) -> wp.vec3d:
    """Side of a face as a line in clip units: its product with (p_x, p_y, 1) has the sign of e."""
    return wp.cross(
        wp.vec3d(wp.float64(a[0]), wp.float64(a[1]), wp.float64(a[3])),
        wp.vec3d(wp.float64(b[0]), wp.float64(b[1]), wp.float64(b[3])),
    )


@wp.func
def sign_of(x: wp.float64) -> wp.int32:
    if x > wp.float64(0.0):
        return 1
    if x < wp.float64(0.0):
        return -1
    return 0


@wp.func
def exact_side(a: wp.vec4, b: wp.vec4, qa: wp.vec2, qb: wp.vec2) -> wp.int32:
    """Sign of qa × qb; on the line, that of a centre nudged by (+tiny, +tinier)."""
    e = cross2(doubled(qa), doubled(qb))
    if e != wp.float64(0.0):  # true for NaN too, which has no sign
        return sign_of(e)
    line = line_through(a, b)
    if line[0] != wp.float64(0.0):
        return sign_of(line[0])
    if line[1] != wp.float64(0.0):
        return sign_of(line[1])
    return sign_of(line[2])


@wp.func
def side_of_all(
    a: wp.vec4, b: wp.vec4, c: wp.vec4, qa: wp.vec2, qb: wp.vec2, qc: wp.vec2
) -> wp.int32:
    """Common sign of the three weights, 0 if they differ: then the centre is outside."""
    e0 = cross2(qb, qc)
    e1 = cross2(qc, qa)
    if (e0 > 0.0 and e1 < 0.0) or (e0 < 0.0 and e1 > 0.0):
        return 0
    e2 = cross2(qa, qb)
    if (e0 > 0.0 and e2 < 0.0) or (e0 < 0.0 and e2 > 0.0):
        return 0
    if e0 > 0.0 and e1 > 0.0 and e2 > 0.0:
        return 1
    if e0 < 0.0 and e1 < 0.0 and e2 < 0.0:
        return -1
    if (e1 > 0.0 and e2 < 0.0) or (e1 < 0.0 and e2 > 0.0):
        return 0
    side = exact_side(b, c, qb, qc)
    if side != exact_side(c, a, qc, qa) or side != exact_side(a, b, qa, qb):
        return 0
    return side


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
def clipped_box(a: wp.vec4, b: wp.vec4, c: wp.vec4) -> wp.vec4:
    """Clip-space box of the part of a face before the near plane; of nothing, an empty one."""
    far = wp.float64(1.0e30)
    box = wp.vec4d(far, -far, far, -far)
    box = grown_by_side(box, a, b)
    box = grown_by_side(box, b, c)
    box = grown_by_side(box, c, a)
    return wp.vec4(wp.float32(box[0]), wp.float32(box[1]), wp.float32(box[2]), wp.float32(box[3]))


@wp.func
def first_center(u: wp.float32, size: wp.int32) -> wp.int32:
    """Index of the first pixel centre at or after clip coordinate u."""
    n = wp.float32(size)
    x = (u + 1.0) * 0.5 * n - 0.5 - MARGIN
    return wp.int32(wp.ceil(wp.clamp(x, 0.0, n)))


@wp.func
def last_center(u: wp.float32, size: wp.int32) -> wp.int32:
    """Index of the last pixel centre at or before clip coordinate u."""
    n = wp.float32(size)
    x = (u + 1.0) * 0.5 * n - 0.5 + MARGIN
    return wp.int32(wp.floor(wp.clamp(x, -1.0, n - 1.0)))


@wp.func
def pixel_box(clip: wp.array2d[wp.vec4], view: wp.int32, corners: wp.vec3i, grid: Grid) -> wp.vec4i:
    """First and last column and row of a face's pixel centres; last < first for none."""
    count = clip.shape[1]
    for k in range(3):
        if corners[k] < 0 or corners[k] >= count:
            return wp.vec4i(0, -1, 0, -1)
    a = clip[view, corners[0]]
    b = clip[view, corners[1]]
    c = clip[view, corners[2]]
    box = wp.vec4(0.0, 0.0, 0.0, 0.0)
    if (
        wp.min(wp.min(a[3], b[3]), c[3]) > 0.0
        and wp.min(wp.min(a[2] + a[3], b[2] + b[3]), c[2] + c[3]) >= 0.0
    ):
        x = wp.vec3(a[0] / a[3], b[0] / b[3], c[0] / c[3])
        y = wp.vec3(a[1] / a[3], b[1] / b[3], c[1] / c[3])
        box = wp.vec4(wp.min(x), wp.max(x), wp.min(y), wp.max(y))
    else:
        box = clipped_box(a, b, c)
    if not (box[0] <= box[1] and box[2] <= box[3]):  # true for NaN: such a face is not drawn
        return wp.vec4i(0, -1, 0, -1)
    return wp.vec4i(
        first_center(box[0], grid.width),
        last_center(box[1], grid.width),
        first_center(box[2], grid.height),
        last_center(box[3], grid.height),
    )


@wp.func
def depth_key(
    a: wp.vec4,
    b: wp.vec4,
    c: wp.vec4,
    qa: wp.vec2,
    qb: wp.vec2,
    qc: wp.vec2,
    side: wp.int32,
    face: wp.int32,
) -> wp.int64:
    """Depth << 32 | face, NO_KEY behind the camera, before near or beyond far.

    z/w is a mean of the corners' values with weights e_i w_i. In double: equal depths of faces
    whose corners come in different order must round to the same step.
    """
    da = doubled(qa)
    db = doubled(qb)
    dc = doubled(qc)
    e0 = cross2(db, dc)
    e1 = cross2(dc, da)
    e2 = cross2(da, db)
    w = e0 * wp.float64(a[3]) + e1 * wp.float64(b[3]) + e2 * wp.float64(c[3])
    if not (w * wp.float64(side) > wp.float64(0.0)):
        return NO_KEY
    z = (e0 * wp.float64(a[2]) + e1 * wp.float64(b[2]) + e2 * wp.float64(c[2])) / w
    one = wp.float64(1.0)
    half = wp.float64(0.5)
    if not (z >= -one and z <= one):
        return NO_KEY
    return (wp.int64((z * half + half) * DEPTH_STEPS) << wp.int64(32)) | wp.int64(face)


@wp.func
def draw(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    view: wp.int32,
    face: wp.int32,
    box: wp.vec4i,
    step: wp.int32,
    grid: Grid,
    keys: wp.array3d[wp.int64],
):
    """Keep, per pixel of every ``step``-th row of the box, the smallest key."""
    corners = faces[face]
    a = clip[view, corners[0]]
    b = clip[view, corners[1]]
    c = clip[view, corners[2]]
    for row in range(box[2], box[3] + 1, step):
        for column in range(box[0], box[1] + 1):
            n = center_of(column, row, grid)
            qa = from_center(a, n, grid)
            qb = from_center(b, n, grid)
            qc = from_center(c, n, grid)
            side = side_of_all(a, b, c, qa, qb, qc)
            if side != 0:
                key = depth_key(a, b, c, qa, qb, qc, side, face)
                if key < keys[view, row, column]:  # most hidden pixels need no atomic
                    wp.atomic_min(keys, view, row, column, key)


@wp.kernel(enable_backward=False)
def draw_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    keys: wp.array3d[wp.int64],
):
    """All of visibility in one launch, for CUDA.

    The rows of a face are dealt out to ``grid.parts`` threads: a face of a million pixels must not
    keep a single thread busy.
    """
    view, face, strip = wp.tid()
    box = pixel_box(clip, view, faces[face], grid)
    if box[0] <= box[1] and box[2] + strip <= box[3]:
        own = wp.vec4i(box[0], box[1], box[2] + strip, box[3])
        draw(clip, faces, view, face, own, grid.parts, grid, keys)


@wp.kernel(enable_backward=False)
def boxes_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    first_face: wp.int32,
    boxes: wp.array2d[wp.vec4i],
):
    """Boxes of all faces: on the CPU each is used by several bands of rows."""
    view, slot = wp.tid()
    face = first_face + slot
    boxes[view, face] = pixel_box(clip, view, faces[face], grid)


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
    """Draw only the rows of this launch's band."""
    slot, face = wp.tid()
    view = first_view + slot
    box = boxes[view, face]
    own = wp.vec4i(box[0], box[1], wp.max(box[2], first_row), wp.min(box[3], stop_row - 1))
    if own[0] <= own[1] and own[2] <= own[3]:
        draw(clip, faces, view, face, own, 1, grid, keys)


@wp.func
def narrowed(a: wp.vec2d) -> wp.vec2:
    return wp.vec2(wp.float32(a[0]), wp.float32(a[1]))


@wp.func
def slopes_of(qa: wp.vec2, qb: wp.vec2, qc: wp.vec2, w: wp.vec3, b: wp.vec2) -> wp.vec4:
    """Of the first two weights, d/dx and d/dy per half pixel, times the sum of all e.

    dq/dn = -w, so de_0/dn = (w_2 q_1 - w_1 q_2) turned, and db = (de - b d(sum of e)) / sum of e.
    """
    side0 = w[2] * qb - w[1] * qc
    side1 = w[0] * qc - w[2] * qa
    side2 = w[1] * qa - w[0] * qb
    total = side0 + side1 + side2
    slope0 = side0 - total * b[0]
    slope1 = side1 - total * b[1]
    return wp.vec4(slope0[1], -slope0[0], slope1[1], -slope1[0])


@wp.kernel(enable_backward=False)
def resolve_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    keys: wp.array2d[wp.int64],
    has_slopes: wp.int32,
    bary: wp.array2d[wp.vec2],
    depth: wp.array2d[wp.float32],
    seen: wp.array2d[wp.int32],
    bary_da: wp.array2d[wp.vec4],
):
    """Weights, depth and their face per pixel from the visibility key.

    Only the weights are formed in double: at the rim of a large face they nearly cancel.
    """
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    for column in range(slot * grid.span, wp.min((slot + 1) * grid.span, grid.width)):
        key = keys[row, column]
        if key == NO_KEY:
            bary[row, column] = wp.vec2(0.0, 0.0)
            depth[row, column] = 0.0
            seen[row, column] = -1
            if has_slopes != 0:
                bary_da[row, column] = wp.vec4(0.0, 0.0, 0.0, 0.0)
            continue
        face = wp.int32(key & wp.int64(0x7FFFFFFF))
        seen[row, column] = face
        view = row / grid.height
        corners = faces[face]
        a = clip[view, corners[0]]
        b = clip[view, corners[1]]
        c = clip[view, corners[2]]
        n = center_of(column, row - view * grid.height, grid)
        qa = from_center_exactly(a, n, grid)
        qb = from_center_exactly(b, n, grid)
        qc = from_center_exactly(c, n, grid)
        e0 = cross2(qb, qc)
        e1 = cross2(qc, qa)
        e2 = cross2(qa, qb)
        scale = 1.0 / wp.float32(e0 + e1 + e2)
        b0 = wp.float32(e0) * scale
        b1 = wp.float32(e1) * scale
        b2 = wp.float32(e2) * scale
        bary[row, column] = wp.vec2(b0, b1)
        depth[row, column] = (b0 * a[2] + b1 * b[2] + b2 * c[2]) / (
            b0 * a[3] + b1 * b[3] + b2 * c[3]
        )
        if has_slopes != 0:
            slopes = slopes_of(
                narrowed(qa),
                narrowed(qb),
                narrowed(qc),
                wp.vec3(a[3], b[3], c[3]),
                wp.vec2(b0, b1),
            )
            bary_da[row, column] = slopes * (2.0 * scale)


@wp.func
def turned(a: wp.vec2) -> wp.vec2:
    """d cross2(b, a) / db."""
    return wp.vec2(a[1], -a[0])


@wp.func
def on_clip(g: wp.vec2, n: wp.vec2, grid: Grid) -> wp.vec4:
    """Adjoint of from_center, as (x, y, 0, w)."""
    return wp.vec4(
        g[0] * wp.float32(grid.width),
        g[1] * wp.float32(grid.height),
        0.0,
        -(n[0] * g[0] + n[1] * g[1]),
    )


@wp.kernel(enable_backward=False)
def rasterize_backward_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    seen: wp.array2d[wp.int32],
    grad_bary: wp.array2d[wp.vec2],
    grad_depth: wp.array2d[wp.float32],
    has_depth: wp.int32,
    floats: wp.array3d[wp.float32],
    integers: wp.array3d[wp.int64],
    unit: wp.float64,  # the sums' row = view * vert count + vertex
):
    """Adjoint of resolve_kernel with the visibility held fixed; one table per part.

    With q_i = from_center(v_i): e_0 = q_1 × q_2 (and cyclic), b_i = e_i / s, s = e_0 + e_1 + e_2.
    dL/de_i = (g_i - Σ_j g_j b_j) / s, and d(a × b) = turned(b) · da - turned(a) · db.
    Depth is Σ b_i z_i / Σ b_i w_i; its gradient reaches z and w directly and g through b.
    A thread sums up as long as the face stays the same.
    """
    i, slot = wp.tid()
    top = (grid.part + i * grid.parts) * grid.run
    sums = sums_of(floats, integers, unit)
    last = wp.int32(-1)
    last_view = wp.int32(-1)
    corners = wp.vec3i(0, 0, 0)
    sum0 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    sum1 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    sum2 = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for row in range(top, wp.min(top + grid.run, seen.shape[0])):
        view = row / grid.height
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
            if face != last or view != last_view:
                if last >= 0:
                    add_corners(sums, grid.part, corners, 0, sum0, sum1, sum2)
                first = view * clip.shape[1]
                corners = faces[face] + wp.vec3i(first, first, first)
                sum0 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                sum1 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                sum2 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                last = face + 0
                last_view = view + 0
            n = center_of(column, row - view * grid.height, grid)
            a = clip[view, corners[0] - view * clip.shape[1]]
            b = clip[view, corners[1] - view * clip.shape[1]]
            c = clip[view, corners[2] - view * clip.shape[1]]
            da = from_center_exactly(a, n, grid)
            db = from_center_exactly(b, n, grid)
            dc = from_center_exactly(c, n, grid)
            e0 = cross2(db, dc)
            e1 = cross2(dc, da)
            e2 = cross2(da, db)
            scale = 1.0 / wp.float32(e0 + e1 + e2)
            weights = wp.vec3(wp.float32(e0), wp.float32(e1), wp.float32(e2)) * scale
            g = wp.vec3(given[0], given[1], 0.0)
            direct = wp.vec4(0.0, 0.0, 0.0, 0.0)
            if slope != 0.0:
                w = weights[0] * a[3] + weights[1] * b[3] + weights[2] * c[3]
                z = (weights[0] * a[2] + weights[1] * b[2] + weights[2] * c[2]) / w
                direct = wp.vec4(0.0, 0.0, slope / w, -slope * z / w)
                g += wp.vec3(wp.dot(direct, a), wp.dot(direct, b), wp.dot(direct, c))
            mean = wp.dot(g, weights)
            h = wp.vec3(g[0] - mean, g[1] - mean, g[2] - mean) * scale
            q0 = narrowed(da)
            q1 = narrowed(db)
            q2 = narrowed(dc)
            sum0 += on_clip(turned(q1) * h[2] - turned(q2) * h[1], n, grid) + direct * weights[0]
            sum1 += on_clip(turned(q2) * h[0] - turned(q0) * h[2], n, grid) + direct * weights[1]
            sum2 += on_clip(turned(q0) * h[1] - turned(q1) * h[0], n, grid) + direct * weights[2]
    if last >= 0:
        add_corners(sums, grid.part, corners, 0, sum0, sum1, sum2)
