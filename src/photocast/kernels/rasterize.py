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

from photocast.kernels.sums import BACKWARD_REGISTERS, add_corners, sums_of
from photocast.kernels.vectors import load_four, load_two, store_four, store_two

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

NO_KEY = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))


@wp.struct
class Grid:
    """The pixels of a batch of views; row = view * height + image row."""

    height: wp.int32
    width: wp.int32
    part: wp.int32  # this launch does rows part, part + parts, ...
    parts: wp.int32
    span: wp.int32  # columns per thread: on the CPU starting a thread costs more than a pixel
    run: wp.int32  # rows per thread, in the kernels that make use of it


# A thread of CUDA has one column, and says so to the compiler: a loop would cost it 16 registers.
FIRST_COLUMN = """
#if defined(__CUDA_ARCH__)
    return slot;
#else
    return slot * grid.span;
#endif
"""

STOP_COLUMN = """
#if defined(__CUDA_ARCH__)
    return slot + 1;
#else
    return wp::min((slot + 1) * grid.span, grid.width);
#endif
"""


@wp.func_native(FIRST_COLUMN)
def first_column(slot: wp.int32, grid: Grid) -> wp.int32:
    """First column of a thread."""
    ...


@wp.func_native(STOP_COLUMN)
def stop_column(slot: wp.int32, grid: Grid) -> wp.int32:
    """The column after the last one of a thread."""
    ...


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


@wp.struct
class Spot:
    """Where on a face a pixel centre lies."""

    weights: wp.vec2
    depth: wp.float32
    slopes: wp.vec4  # of the weights, per pixel


@wp.func
def spot_of(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    view: wp.int32,
    face: wp.int32,
    n: wp.vec2,
    grid: Grid,
) -> Spot:
    """Only the weights are formed in double: at the rim of a large face they nearly cancel."""
    corners = faces[face]
    a = load_four(clip, view, corners[0])
    b = load_four(clip, view, corners[1])
    c = load_four(clip, view, corners[2])
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
    w = wp.vec3(a[3], b[3], c[3])
    spot = Spot()
    spot.weights = wp.vec2(b0, b1)
    spot.depth = (b0 * a[2] + b1 * b[2] + b2 * c[2]) / (b0 * w[0] + b1 * w[1] + b2 * w[2])
    slopes = slopes_of(narrowed(qa), narrowed(qb), narrowed(qc), w, spot.weights)
    spot.slopes = slopes * (2.0 * scale)
    return spot


@wp.func
def face_of(key: wp.int64) -> wp.int32:
    if key == NO_KEY:
        return -1
    return wp.int32(key & wp.int64(0x7FFFFFFF))


@wp.kernel(enable_backward=False)
def resolve_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    keys: wp.array2d[wp.int64],
    bary: wp.array2d[wp.vec2],
    depth: wp.array2d[wp.float32],
    seen: wp.array2d[wp.int32],
):
    """Weights, depth and their face per pixel from the visibility key."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    view = row / grid.height
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        face = face_of(keys[row, column])
        spot = Spot()
        if face >= 0:
            n = center_of(column, row - view * grid.height, grid)
            spot = spot_of(clip, faces, view, face, n, grid)
        seen[row, column] = face
        depth[row, column] = spot.depth
        store_two(bary, row, column, spot.weights)


@wp.kernel(enable_backward=False)
def resolve_with_slopes_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    keys: wp.array2d[wp.int64],
    bary: wp.array2d[wp.vec2],
    depth: wp.array2d[wp.float32],
    seen: wp.array2d[wp.int32],
    bary_da: wp.array2d[wp.vec4],
):
    """A kernel of its own: on CUDA the registers for slopes would slow down who needs none."""
    i, slot = wp.tid()
    row = grid.part + i * grid.parts
    view = row / grid.height
    for column in range(first_column(slot, grid), stop_column(slot, grid)):
        face = face_of(keys[row, column])
        spot = Spot()
        if face >= 0:
            n = center_of(column, row - view * grid.height, grid)
            spot = spot_of(clip, faces, view, face, n, grid)
        seen[row, column] = face
        depth[row, column] = spot.depth
        store_two(bary, row, column, spot.weights)
        store_four(bary_da, row, column, spot.slopes)


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


@wp.kernel(enable_backward=False, cuda_max_registers=BACKWARD_REGISTERS)
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
        first = view * clip.shape[1]
        for column in range(first_column(slot, grid), stop_column(slot, grid)):
            face = seen[row, column]
            if face < 0:
                continue
            given = load_two(grad_bary, row, column)
            slope = wp.float32(0.0)
            if has_depth != 0:
                slope = grad_depth[row, column]
            if given[0] == 0.0 and given[1] == 0.0 and slope == 0.0:
                continue
            if face != last or view != last_view:
                if last >= 0:
                    add_corners(sums, grid.part, corners, 0, sum0, sum1, sum2)
                corners = faces[face] + wp.vec3i(first, first, first)
                sum0 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                sum1 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                sum2 = wp.vec4(0.0, 0.0, 0.0, 0.0)
                last = face + 0
                last_view = view + 0
            n = center_of(column, row - view * grid.height, grid)
            a = load_four(clip, view, corners[0] - first)
            b = load_four(clip, view, corners[1] - first)
            c = load_four(clip, view, corners[2] - first)
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
