# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The nearest face of each pixel centre: the smallest key of depth and face wins."""

import warp as wp

from photocast.kernels.lists import reserve
from photocast.kernels.rasterize import (
    NO_KEY,
    Grid,
    center_of,
    cross2,
    doubled,
    from_center,
    side_of_all,
)
from photocast.kernels.vectors import load_four

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

LAST = wp.constant(0x7FFFFFFF)
MARGIN = wp.constant(wp.float32(0.01))  # pixels by which a box is larger, for its rounding
LEAST_W = wp.constant(wp.float32(1.0e-30))  # below it a reciprocal may overflow


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
    a = load_four(clip, view, corners[0])
    b = load_four(clip, view, corners[1])
    c = load_four(clip, view, corners[2])
    box = wp.vec4(0.0, 0.0, 0.0, 0.0)
    if (
        wp.min(wp.min(a[3], b[3]), c[3]) > LEAST_W
        and wp.min(wp.min(a[2] + a[3], b[2] + b[3]), c[2] + c[3]) >= 0.0
    ):
        over = wp.vec3(1.0 / a[3], 1.0 / b[3], 1.0 / c[3])
        x = wp.vec3(a[0] * over[0], b[0] * over[1], c[0] * over[2])
        y = wp.vec3(a[1] * over[0], b[1] * over[1], c[1] * over[2])
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


BITS_OF = """
#if defined(__CUDA_ARCH__)
    return __float_as_int(value);
#else
    int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
"""


@wp.func_native(BITS_OF)
def bits_of(value: wp.float32) -> wp.int32:
    """The bits of a number; from 0 on they rise with it."""
    ...


@wp.func
def ordered_sum(v: wp.vec3) -> wp.float32:
    """The same for the three numbers in any order."""
    low = wp.min(v)
    high = wp.max(v)
    middle = wp.max(wp.min(v[0], v[1]), wp.min(wp.max(v[0], v[1]), v[2]))
    return (low + middle) + high


@wp.func
def before_far_exactly(
    a: wp.vec4, b: wp.vec4, c: wp.vec4, qa: wp.vec2, qb: wp.vec2, qc: wp.vec2
) -> wp.float32:
    """The same in double, for coordinates so large or small that products leave the floats."""
    e0 = wp.abs(cross2(doubled(qb), doubled(qc)))
    e1 = wp.abs(cross2(doubled(qc), doubled(qa)))
    e2 = wp.abs(cross2(doubled(qa), doubled(qb)))
    w = e0 * wp.float64(a[3]) + e1 * wp.float64(b[3]) + e2 * wp.float64(c[3])
    z = e0 * wp.float64(a[2]) + e1 * wp.float64(b[2]) + e2 * wp.float64(c[2])
    if not (w > wp.float64(0.0)):
        return -1.0
    return wp.float32((w - z) / w)


@wp.func
def depth_key(
    a: wp.vec4, b: wp.vec4, c: wp.vec4, qa: wp.vec2, qb: wp.vec2, qc: wp.vec2, face: wp.int32
) -> wp.int64:
    """Depth << 32 | face, NO_KEY behind the camera, before near or beyond far.

    z/w is a mean of the corners' values with weights |e_i| w_i. Its place before the far plane,
    (w - z)/w, is what floats tell apart best: most objects lie where z/w is nearly 1. Faces with
    the same corners in different order must have the same depth, so sums do not depend on it.
    """
    e = wp.vec3(wp.abs(cross2(qb, qc)), wp.abs(cross2(qc, qa)), wp.abs(cross2(qa, qb)))
    w = ordered_sum(wp.cw_mul(e, wp.vec3(a[3], b[3], c[3])))
    before_far = wp.float32(-1.0)
    if wp.abs(w) > 1.0e-25 and wp.abs(w) < 1.0e30:
        room = wp.vec3(a[3] - a[2], b[3] - b[2], c[3] - c[2])
        if w > 0.0:
            before_far = ordered_sum(wp.cw_mul(e, room)) / w
    else:
        before_far = before_far_exactly(a, b, c, qa, qb, qc)
    if not (before_far >= 0.0 and before_far <= 2.0):
        return NO_KEY
    # Adding 0 turns -0, whose bits mean something else, into 0.
    return (wp.int64(LAST - bits_of(before_far + 0.0)) << wp.int64(32)) | wp.int64(face)


@wp.func
def draw_pixel(
    a: wp.vec4,
    b: wp.vec4,
    c: wp.vec4,
    view: wp.int32,
    face: wp.int32,
    row: wp.int32,
    column: wp.int32,
    grid: Grid,
    keys: wp.array3d[wp.int64],
):
    """Keep the smallest key of a pixel whose centre lies on the face.

    The key is not looked up first: that would wait for memory, while the minimum is sent off.
    """
    n = center_of(column, row, grid)
    qa = from_center(a, n, grid)
    qb = from_center(b, n, grid)
    qc = from_center(c, n, grid)
    if side_of_all(a, b, c, qa, qb, qc) != 0:
        wp.atomic_min(keys, view, row, column, depth_key(a, b, c, qa, qb, qc, face))


@wp.kernel(enable_backward=False)
def draw_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    most: wp.int32,
    keys: wp.array3d[wp.int64],
    counts: wp.array[wp.int32],
    large: wp.array[wp.int32],
):
    """For CUDA: ``grid.parts`` threads share the rows of a face, if its box is not too large.

    Those with more pixels than ``most`` are listed as view * face count + face.
    """
    view, face, strip = wp.tid()
    corners = faces[face]
    box = pixel_box(clip, view, corners, grid)
    if box[0] > box[1] or box[2] + strip > box[3]:
        return
    if (box[1] - box[0] + 1) * (box[3] - box[2] + 1) > most:
        if strip == 0:
            large[reserve(counts, 0, 1)] = view * faces.shape[0] + face
        return
    a = load_four(clip, view, corners[0])
    b = load_four(clip, view, corners[1])
    c = load_four(clip, view, corners[2])
    for row in range(box[2] + strip, box[3] + 1, grid.parts):
        for column in range(box[0], box[1] + 1):
            draw_pixel(a, b, c, view, face, row, column, grid, keys)


@wp.kernel(enable_backward=False)
def draw_large_kernel(
    clip: wp.array2d[wp.vec4],
    faces: wp.array[wp.vec3i],
    grid: Grid,
    counts: wp.array[wp.int32],
    large: wp.array[wp.int32],
    threads: wp.int32,
    keys: wp.array3d[wp.int64],
):
    """All threads together draw the listed faces: a million pixels are too many for one."""
    thread = wp.tid()
    count = counts[0]
    if count == 0:
        return
    share = wp.max(threads / count, 1)  # threads per face
    for index in range(thread / share, count, wp.max(threads / share, 1)):
        view = large[index] / faces.shape[0]
        face = large[index] - view * faces.shape[0]
        corners = faces[face]
        box = pixel_box(clip, view, corners, grid)
        a = load_four(clip, view, corners[0])
        b = load_four(clip, view, corners[1])
        c = load_four(clip, view, corners[2])
        wide = box[1] - box[0] + 1
        for item in range(thread % share, wide * (box[3] - box[2] + 1), share):
            row = item / wide
            column = box[0] + item - row * wide
            draw_pixel(a, b, c, view, face, box[2] + row, column, grid, keys)


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
    corners = faces[face]
    if own[0] <= own[1] and own[2] <= own[3]:
        a = clip[view, corners[0]]
        b = clip[view, corners[1]]
        c = clip[view, corners[2]]
        for row in range(own[2], own[3] + 1):
            for column in range(own[0], own[1] + 1):
                draw_pixel(a, b, c, view, face, row, column, grid, keys)
