# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A grid of colour and signed distance: sampling, its adjoint, opacity, and the way along a ray.

Grid frame: grid vertex (i, j, k) lies at the point (i, j, k); lengths are in voxels. The signed
distance is positive outside. Opacity of a ray segment follows NeuS (Wang et al. 2021, eq. 13) with
the logistic sigmoid: alpha = max((P(s0) - P(s1)) / P(s0), 0), P(s) = 1 / (1 + exp(-sharpness s)).
"""

import warp as wp

BLOCK = wp.constant(4)  # voxels per side of an occupancy block


@wp.struct
class Grid:
    """A dense grid of (r, g, b, signed distance), and which of its blocks hold surface."""

    values: wp.array(dtype=wp.vec4)  # nx * ny * nz, z fastest
    occupied: wp.array(dtype=wp.uint8)  # one per block, z fastest
    nx: int
    ny: int
    nz: int
    bx: int
    by: int
    bz: int
    sharpness: float  # of the sigmoid [1/voxel]
    step: float  # between samples [voxel]
    soft: int  # 1: the fourth number is minus the logarithm of a density [1/voxel], no distance
    shine: wp.array2d(dtype=wp.vec3)  # coarse vertex, polynomial; no vertex: without
    sx: int
    sy: int
    sz: int


@wp.func
def cell_index(grid: Grid, p: wp.vec3):
    x = wp.clamp(int(p[0]), 0, grid.nx - 2)
    y = wp.clamp(int(p[1]), 0, grid.ny - 2)
    z = wp.clamp(int(p[2]), 0, grid.nz - 2)
    return wp.vec3i(x, y, z)


@wp.func
def sample(grid: Grid, p: wp.vec3):
    """Trilinear interpolation of colour and signed distance."""
    c = cell_index(grid, p)
    fx = p[0] - float(c[0])
    fy = p[1] - float(c[1])
    fz = p[2] - float(c[2])
    sx = grid.ny * grid.nz
    sy = grid.nz
    base = c[0] * sx + c[1] * sy + c[2]
    v = grid.values
    near_y = (v[base] * (1.0 - fz) + v[base + 1] * fz) * (1.0 - fy) + (
        v[base + sy] * (1.0 - fz) + v[base + sy + 1] * fz
    ) * fy
    far_y = (v[base + sx] * (1.0 - fz) + v[base + sx + 1] * fz) * (1.0 - fy) + (
        v[base + sx + sy] * (1.0 - fz) + v[base + sx + sy + 1] * fz
    ) * fy
    return near_y * (1.0 - fx) + far_y * fx


@wp.func
def scatter(grid: Grid, grad: wp.array(dtype=wp.vec4), p: wp.vec3, g: wp.vec4):
    """Adjoint of :func:`sample` with respect to the grid's values."""
    c = cell_index(grid, p)
    fx = p[0] - float(c[0])
    fy = p[1] - float(c[1])
    fz = p[2] - float(c[2])
    sx = grid.ny * grid.nz
    sy = grid.nz
    base = c[0] * sx + c[1] * sy + c[2]
    g0 = g * (1.0 - fx)
    g1 = g * fx
    wp.atomic_add(grad, base, g0 * ((1.0 - fy) * (1.0 - fz)))
    wp.atomic_add(grad, base + 1, g0 * ((1.0 - fy) * fz))
    wp.atomic_add(grad, base + sy, g0 * (fy * (1.0 - fz)))
    wp.atomic_add(grad, base + sy + 1, g0 * (fy * fz))
    wp.atomic_add(grad, base + sx, g1 * ((1.0 - fy) * (1.0 - fz)))
    wp.atomic_add(grad, base + sx + 1, g1 * ((1.0 - fy) * fz))
    wp.atomic_add(grad, base + sx + sy, g1 * (fy * (1.0 - fz)))
    wp.atomic_add(grad, base + sx + sy + 1, g1 * (fy * fz))


@wp.func
def sigmoid(x: float):
    return 1.0 / (1.0 + wp.exp(-x))


@wp.func
def passing(grid: Grid, s: float):
    """What the opacity needs of one sample; its exponential is taken once, not once a segment."""
    if grid.soft != 0:
        return wp.exp(-0.5 * s)
    return sigmoid(grid.sharpness * s)


@wp.func
def opacity(grid: Grid, q0: float, q1: float):
    """Of a segment between two samples of which ``passing`` is known."""
    if grid.soft != 0:
        return 1.0 - wp.exp(-grid.step * q0 * q1)
    p0 = wp.max(q0, 1.0e-6)
    return wp.clamp((p0 - q1) / p0, 0.0, 1.0)


@wp.func
def opacity_slopes(grid: Grid, q0: float, q1: float, alpha: float):
    """Derivatives of the opacity (where it is not clamped) by both distances or densities."""
    if grid.soft != 0:
        # alpha = 1 - exp(-h q), q = exp(-(s0 + s1) / 2): both slopes are -h q exp(-h q) / 2
        slope = -0.5 * grid.step * q0 * q1 * (1.0 - alpha)
        return wp.vec2(slope, slope)
    # alpha = 1 - p1/p0, dp/ds = sharpness p (1 - p)
    p0 = wp.max(q0, 1.0e-6)
    kept = grid.sharpness * q1 / p0
    return wp.vec2(kept * (1.0 - p0), -kept * (1.0 - q1))


@wp.func
def box_span(grid: Grid, o: wp.vec3, d: wp.vec3):
    """Where a ray enters and leaves the grid, (near, far); far < near if it misses."""
    inv = wp.vec3(1.0 / d[0], 1.0 / d[1], 1.0 / d[2])
    top = wp.vec3(float(grid.nx - 1), float(grid.ny - 1), float(grid.nz - 1))
    a = wp.cw_mul(-o, inv)
    b = wp.cw_mul(top - o, inv)
    lo = wp.min(a, b)
    hi = wp.max(a, b)
    return wp.vec2(
        wp.max(wp.max(lo[0], lo[1]), wp.max(lo[2], 0.0)), wp.min(hi[0], wp.min(hi[1], hi[2]))
    )


@wp.func
def skip_empty(grid: Grid, o: wp.vec3, d: wp.vec3, t: float):
    """The first multiple of ``step`` at or after ``t`` outside the empty block around o + t d."""
    p = o + d * t
    x = wp.clamp(int(p[0]) // BLOCK, 0, grid.bx - 1)
    y = wp.clamp(int(p[1]) // BLOCK, 0, grid.by - 1)
    z = wp.clamp(int(p[2]) // BLOCK, 0, grid.bz - 1)
    if grid.occupied[(x * grid.by + y) * grid.bz + z] != wp.uint8(0):
        return t
    side = float(BLOCK)
    ex = wp.where(d[0] > 0.0, float(x + 1) * side, float(x) * side)
    ey = wp.where(d[1] > 0.0, float(y + 1) * side, float(y) * side)
    ez = wp.where(d[2] > 0.0, float(z + 1) * side, float(z) * side)
    exit_t = wp.min((ex - o[0]) / d[0], wp.min((ey - o[1]) / d[1], (ez - o[2]) / d[2]))
    steps = wp.ceil(wp.max(exit_t - t, 0.0) / grid.step)
    return t + wp.max(steps, 1.0) * grid.step


@wp.func
def stride(grid: Grid, distance: float):
    """How far the next sample may lie: near the surface one step, outside nearly the distance."""
    if grid.soft != 0:
        return grid.step
    return wp.max(grid.step, distance - 1.5)


@wp.func
def ends_inside(grid: Grid, distance: float):
    """Whether an empty block after this place lies inside, where nothing more can be seen."""
    return grid.soft == 0 and distance < 0.0


@wp.func
def safe_direction(d: wp.vec3):
    """Unit direction without zero components, so that slab tests never divide by zero."""
    u = wp.normalize(d)
    e = float(1.0e-7)
    return wp.vec3(
        wp.where(wp.abs(u[0]) < e, e, u[0]),
        wp.where(wp.abs(u[1]) < e, e, u[1]),
        wp.where(wp.abs(u[2]) < e, e, u[2]),
    )
