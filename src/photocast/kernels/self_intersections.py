# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether two triangles of one mesh meet anywhere but at the corners that they share.

Signs of determinants decide, never distances. Coordinates are floats, so differences and products
in double precision are exact but for the last sums; a determinant within their rounding is zero,
and zero means touching. A triangle without area meets nothing.
Source: Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997 (the bounds of the filters).
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

SPACE_ROUNDING = wp.constant(wp.float64(8.0e-16))  # of the determinant's terms, all positive
PLANE_ROUNDING = wp.constant(wp.float64(4.0e-16))
NEAR_PLANE = wp.constant(wp.float64(1.0e-12))


@wp.func
def sign_of(value: wp.float64, bound: wp.float64):
    """−1, 0 or 1."""
    if value > bound:
        return 1
    if value < -bound:
        return -1
    return 0


@wp.func
def side(a: wp.vec3d, b: wp.vec3d, c: wp.vec3d, p: wp.vec3d):
    """On which side of the plane through a, b, c the point lies; 0 is on it."""
    u = b - a
    v = c - a
    w = p - a
    xy = u[0] * v[1]
    yx = u[1] * v[0]
    yz = u[1] * v[2]
    zy = u[2] * v[1]
    zx = u[2] * v[0]
    xz = u[0] * v[2]
    value = (xy - yx) * w[2] + (yz - zy) * w[0] + (zx - xz) * w[1]
    terms = (wp.abs(xy) + wp.abs(yx)) * wp.abs(w[2])
    terms += (wp.abs(yz) + wp.abs(zy)) * wp.abs(w[0])
    terms += (wp.abs(zx) + wp.abs(xz)) * wp.abs(w[1])
    return sign_of(value, terms * SPACE_ROUNDING)


@wp.func
def turn(a: wp.vec2d, b: wp.vec2d, c: wp.vec2d):
    """Which way a path a, b, c turns in the plane; 0 is straight."""
    left = (a[0] - c[0]) * (b[1] - c[1])
    right = (a[1] - c[1]) * (b[0] - c[0])
    return sign_of(left - right, (wp.abs(left) + wp.abs(right)) * PLANE_ROUNDING)


@wp.func
def flat(p: wp.vec3d, axis: int):
    """Drop one coordinate."""
    if axis == 0:
        return wp.vec2d(p[1], p[2])
    if axis == 1:
        return wp.vec2d(p[2], p[0])
    return wp.vec2d(p[0], p[1])


@wp.func
def within(a: wp.vec2d, b: wp.vec2d, p: wp.vec2d):
    """Whether a point on the line a, b lies between them."""
    low = wp.vec2d(wp.min(a[0], b[0]), wp.min(a[1], b[1]))
    high = wp.vec2d(wp.max(a[0], b[0]), wp.max(a[1], b[1]))
    return p[0] >= low[0] and p[0] <= high[0] and p[1] >= low[1] and p[1] <= high[1]


@wp.func
def lines_meet(a: wp.vec2d, b: wp.vec2d, c: wp.vec2d, d: wp.vec2d):
    """Whether two closed segments of the plane meet."""
    s = turn(a, b, c)
    t = turn(a, b, d)
    u = turn(c, d, a)
    v = turn(c, d, b)
    if s * t < 0 and u * v < 0:
        return True
    if s == 0 and within(a, b, c):
        return True
    if t == 0 and within(a, b, d):
        return True
    if u == 0 and within(c, d, a):
        return True
    return v == 0 and within(c, d, b)


@wp.func
def line_meets_triangle(p: wp.vec2d, q: wp.vec2d, a: wp.vec2d, b: wp.vec2d, c: wp.vec2d):
    """Whether a closed segment meets a closed triangle in the plane."""
    if lines_meet(p, q, a, b) or lines_meet(p, q, b, c) or lines_meet(p, q, c, a):
        return True
    s = turn(a, b, p)
    return s != 0 and s == turn(b, c, p) and s == turn(c, a, p)


@wp.func
def pierces(
    p: wp.vec3d, q: wp.vec3d, sp: int, sq: int, a: wp.vec3d, b: wp.vec3d, c: wp.vec3d, axis: int
):
    """Whether a closed segment meets a closed triangle; sp, sq: its ends' sides of the plane."""
    if sp * sq > 0:
        return False
    if sp == 0 and sq == 0:
        return line_meets_triangle(
            flat(p, axis), flat(q, axis), flat(a, axis), flat(b, axis), flat(c, axis)
        )
    s = side(p, q, a, b)
    t = side(p, q, b, c)
    u = side(p, q, c, a)
    return (s >= 0 and t >= 0 and u >= 0) or (s <= 0 and t <= 0 and u <= 0)


@wp.func
def flattest(normal: wp.vec3d):
    """The axis to drop so that a triangle of this normal stays widest."""
    x = wp.abs(normal[0])
    y = wp.abs(normal[1])
    z = wp.abs(normal[2])
    if x >= y and x >= z:
        return 0
    return wp.where(y >= z, 1, 2)


@wp.func
def corner(vertices: wp.array(dtype=wp.vec3), i: int):
    p = vertices[i]
    return wp.vec3d(wp.float64(p[0]), wp.float64(p[1]), wp.float64(p[2]))


@wp.func
def apart(n: wp.vec3d, a: wp.vec3d, p: wp.vec3d, q: wp.vec3d, r: wp.vec3d):
    """Whether three points are clearly on one side of a plane: the quick way out."""
    u = p - a
    v = q - a
    w = r - a
    x = wp.dot(n, u)
    y = wp.dot(n, v)
    z = wp.dot(n, w)
    size = wp.max(wp.length_sq(u), wp.max(wp.length_sq(v), wp.length_sq(w)))
    slack = NEAR_PLANE * wp.sqrt(wp.length_sq(n) * size)
    return (x > slack and y > slack and z > slack) or (x < -slack and y < -slack and z < -slack)


@wp.func
def apart_beyond_corner(n: wp.vec3d, a: wp.vec3d, p: wp.vec3d, q: wp.vec3d):
    """The same for two points, where the third lies on the plane."""
    u = p - a
    v = q - a
    x = wp.dot(n, u)
    y = wp.dot(n, v)
    slack = NEAR_PLANE * wp.sqrt(wp.length_sq(n) * wp.max(wp.length_sq(u), wp.length_sq(v)))
    return (x > slack and y > slack) or (x < -slack and y < -slack)


@wp.func
def triangles_meet(
    a: wp.vec3d, b: wp.vec3d, c: wp.vec3d, n: wp.vec3d,
    d: wp.vec3d, e: wp.vec3d, f: wp.vec3d, m: wp.vec3d,
):  # fmt: skip
    """Of triangles without a common corner; n, m: their normals, not unit."""
    if apart(n, a, d, e, f) or apart(m, d, a, b, c):
        return False
    sd = side(a, b, c, d)
    se = side(a, b, c, e)
    sf = side(a, b, c, f)
    axis = flattest(n)
    if pierces(d, e, sd, se, a, b, c, axis) or pierces(e, f, se, sf, a, b, c, axis):
        return True
    if pierces(f, d, sf, sd, a, b, c, axis):
        return True
    sa = side(d, e, f, a)
    sb = side(d, e, f, b)
    sc = side(d, e, f, c)
    axis = flattest(m)
    if pierces(a, b, sa, sb, d, e, f, axis) or pierces(b, c, sb, sc, d, e, f, axis):
        return True
    return pierces(c, a, sc, sa, d, e, f, axis)


@wp.func
def meet_beyond_corner(
    a: wp.vec3d, b: wp.vec3d, c: wp.vec3d, n: wp.vec3d,
    e: wp.vec3d, f: wp.vec3d, m: wp.vec3d,
):  # fmt: skip
    """Of triangles a, b, c and a, e, f, whose corner a is one."""
    if apart_beyond_corner(n, a, e, f) or apart_beyond_corner(m, a, b, c):
        return False
    if pierces(e, f, side(a, b, c, e), side(a, b, c, f), a, b, c, flattest(n)):
        return True
    return pierces(b, c, side(a, e, f, b), side(a, e, f, c), a, e, f, flattest(m))


@wp.func
def fold_over_edge(a: wp.vec3d, b: wp.vec3d, c: wp.vec3d, n: wp.vec3d, f: wp.vec3d):
    """Of triangles a, b, c and a, b, f, whose edge is one: whether one lies on the other."""
    if side(a, b, c, f) != 0:
        return False
    axis = flattest(n)
    p = flat(a, axis)
    q = flat(b, axis)
    return turn(p, q, flat(c, axis)) * turn(p, q, flat(f, axis)) > 0


@wp.kernel
def self_intersections_kernel(
    mesh: wp.uint64,
    vertices: wp.array(dtype=wp.vec3),
    faces: wp.array(dtype=wp.vec3i),
    first: int,
    meets: wp.array(dtype=wp.uint8),
):
    """Mark both faces of each pair that meets; a pair is looked at by its lower face."""
    i = first + wp.tid()
    t = faces[i]
    a = corner(vertices, t[0])
    b = corner(vertices, t[1])
    c = corner(vertices, t[2])
    n = wp.cross(b - a, c - a)
    if wp.length_sq(n) == wp.float64(0.0):
        return
    p = vertices[t[0]]
    q = vertices[t[1]]
    r = vertices[t[2]]
    query = wp.mesh_query_aabb(mesh, wp.min(wp.min(p, q), r), wp.max(wp.max(p, q), r))
    j = int(0)
    while wp.mesh_query_aabb_next(query, j):
        if j <= i:
            continue
        s = faces[j]
        # Where the corners of the other face are in this one: 0, 1, 2, or −1.
        x = wp.where(s[0] == t[0], 0, wp.where(s[0] == t[1], 1, wp.where(s[0] == t[2], 2, -1)))
        y = wp.where(s[1] == t[0], 0, wp.where(s[1] == t[1], 1, wp.where(s[1] == t[2], 2, -1)))
        z = wp.where(s[2] == t[0], 0, wp.where(s[2] == t[1], 1, wp.where(s[2] == t[2], 2, -1)))
        shared = wp.where(x >= 0, 1, 0) + wp.where(y >= 0, 1, 0) + wp.where(z >= 0, 1, 0)
        if shared == 3:
            continue  # the same face twice
        d = corner(vertices, s[0])
        e = corner(vertices, s[1])
        f = corner(vertices, s[2])
        m = wp.cross(e - d, f - d)
        if wp.length_sq(m) == wp.float64(0.0):
            continue
        found = bool(False)
        if shared == 0:
            found = triangles_meet(a, b, c, n, d, e, f, m)
        elif shared == 2:
            lone = wp.where(x < 0, d, wp.where(y < 0, e, f))
            missing = 3 - (wp.max(x, 0) + wp.max(y, 0) + wp.max(z, 0))
            if missing == 0:
                found = fold_over_edge(b, c, a, n, lone)
            elif missing == 1:
                found = fold_over_edge(c, a, b, n, lone)
            else:
                found = fold_over_edge(a, b, c, n, lone)
        else:
            # Turn both so that the common corner comes first.
            g = wp.where(x >= 0, e, wp.where(y >= 0, f, d))
            h = wp.where(x >= 0, f, wp.where(y >= 0, d, e))
            at = wp.max(x, wp.max(y, z))
            if at == 0:
                found = meet_beyond_corner(a, b, c, n, g, h, m)
            elif at == 1:
                found = meet_beyond_corner(b, c, a, n, g, h, m)
            else:
                found = meet_beyond_corner(c, a, b, n, g, h, m)
        if found:
            meets[i] = wp.uint8(1)
            meets[j] = wp.uint8(1)
