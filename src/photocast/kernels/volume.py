# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Volume rendering of a signed-distance grid: forward, loss and adjoint of a ray in one kernel.

Grid frame: grid vertex (i, j, k) lies at the point (i, j, k); lengths are in voxels. The signed
distance is positive outside. Opacity of a ray segment follows NeuS (Wang et al. 2021, eq. 13) with
the logistic sigmoid: alpha = max((P(s0) - P(s1)) / P(s0), 0), P(s) = 1 / (1 + exp(-sharpness s)).
"""

import warp as wp

BLOCK = wp.constant(4)  # voxels per side of an occupancy block
MIN_TRANSMITTANCE = wp.constant(4.0e-3)
SHINE = wp.constant(4)  # voxels per cell of the coarse grid of view-dependent colour
NEGLIGIBLE = wp.constant(1.0e-4)  # opacity of a segment below which a sample teaches nothing


vec8 = wp.types.vector(length=8, dtype=wp.float32)


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


@wp.struct
class Pixels:
    """Every pixel of every photo, flat, and where each photo's rays start."""

    rgba: wp.array(dtype=wp.vec4ub)  # all photos one after another
    first: wp.array(dtype=wp.int64)  # index of each photo's first pixel
    width: wp.array(dtype=wp.int32)
    origin: wp.array(dtype=wp.vec3)  # optical centre, grid frame
    direction: wp.array(dtype=wp.mat33)  # grid-frame direction = M (x, y, 1), continuous pixels


@wp.struct
class Loss:
    """How a rendered ray is compared with its pixel."""

    color_scale: float  # Charbonnier scale of the colour residual, in sRGB units
    alpha_weight: float  # weight of coverage; 0 without masks
    background: wp.vec3  # colour behind the object, for photos without masks


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
def opacity(grid: Grid, s0: float, s1: float):
    """Of a segment between two samples."""
    if grid.soft != 0:
        return 1.0 - wp.exp(-grid.step * wp.exp(-0.5 * (s0 + s1)))
    p0 = wp.max(sigmoid(grid.sharpness * s0), 1.0e-6)
    p1 = sigmoid(grid.sharpness * s1)
    return wp.clamp((p0 - p1) / p0, 0.0, 1.0)


@wp.func
def opacity_slopes(grid: Grid, s0: float, s1: float):
    """Derivatives of the opacity (where it is not clamped) by s0 and by s1."""
    if grid.soft != 0:
        # alpha = 1 - exp(-h q), q = exp(-(s0 + s1) / 2): both slopes are -h q exp(-h q) / 2
        thick = grid.step * wp.exp(-0.5 * (s0 + s1))
        slope = -0.5 * thick * wp.exp(-thick)
        return wp.vec2(slope, slope)
    # alpha = 1 - p1/p0, dp/ds = sharpness p (1 - p)
    p0 = wp.max(sigmoid(grid.sharpness * s0), 1.0e-6)
    p1 = sigmoid(grid.sharpness * s1)
    kept = grid.sharpness * p1 / p0
    return wp.vec2(kept * (1.0 - p0), -kept * (1.0 - p1))


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
def safe_direction(d: wp.vec3):
    """Unit direction without zero components, so that slab tests never divide by zero."""
    u = wp.normalize(d)
    e = float(1.0e-7)
    return wp.vec3(
        wp.where(wp.abs(u[0]) < e, e, u[0]),
        wp.where(wp.abs(u[1]) < e, e, u[1]),
        wp.where(wp.abs(u[2]) < e, e, u[2]),
    )


@wp.struct
class Ray:
    """What a ray gathered."""

    total: wp.vec4  # premultiplied colour and coverage
    reach: float  # distance to the surface times coverage


@wp.func
def march(grid: Grid, o: wp.vec3, d: wp.vec3, span: wp.vec2):
    """Premultiplied colour and coverage along a ray, and where it ended."""
    total = wp.vec4(0.0)
    reach = float(0.0)
    transmittance = float(1.0)
    t = float(span[0])
    previous = wp.vec4(0.0)
    have = bool(False)
    while t < span[1] and transmittance > MIN_TRANSMITTANCE:
        jump = skip_empty(grid, o, d, t)
        if jump > t:
            t = jump
            have = False
        else:
            value = sample(grid, o + d * t)
            if have:
                alpha = opacity(grid, previous[3], value[3])
                w = 0.5 * transmittance * alpha
                total += wp.vec4(
                    w * (previous[0] + value[0]),
                    w * (previous[1] + value[1]),
                    w * (previous[2] + value[2]),
                    2.0 * w,
                )
                reach += 2.0 * w * t
                transmittance *= 1.0 - alpha
            previous = value
            have = True
            t += stride(grid, value[3])
    ray = Ray()
    ray.total = total
    ray.reach = reach
    return ray


@wp.func
def march_adjoint(
    grid: Grid,
    o: wp.vec3,
    d: wp.vec3,
    span: wp.vec2,
    total: wp.vec4,
    g: wp.vec4,
    grad: wp.array(dtype=wp.vec4),
):
    """Scatter the gradient of <g, march(...)> into the grid's values.

    With segments i, colour total = sum_i T_i a_i c_i and T_i = prod_{j<i} (1 - a_j):
    d total / d a_i = T_i c_i - (sum_{j>i} T_j a_j c_j) / (1 - a_i). The sum behind segment i is the
    known total minus what was accumulated up to i, so one more forward sweep suffices.
    """
    done = wp.vec4(0.0)
    transmittance = float(1.0)
    t = float(span[0])
    previous = wp.vec4(0.0)
    at = wp.vec3(0.0)  # where the previous sample lies
    pending = wp.vec4(0.0)  # gradient gathered so far for it
    teaches = bool(False)  # whether that gradient is worth scattering
    have = bool(False)
    while t < span[1] and transmittance > MIN_TRANSMITTANCE:
        jump = skip_empty(grid, o, d, t)
        if jump > t:
            if teaches:
                scatter(grid, grad, at, pending)
            t = jump
            have = False
            teaches = False
            pending = wp.vec4(0.0)
        else:
            here = o + d * t
            value = sample(grid, here)
            current = wp.vec4(0.0)
            learns = bool(False)
            if have:
                alpha = opacity(grid, previous[3], value[3])
                if alpha > 0.0:
                    w = transmittance * alpha
                    color = wp.vec4(
                        0.5 * (previous[0] + value[0]),
                        0.5 * (previous[1] + value[1]),
                        0.5 * (previous[2] + value[2]),
                        1.0,
                    )
                    done += color * w
                    behind = wp.dot(g, total - done) / wp.max(1.0 - alpha, 1.0e-3)
                    g_alpha = transmittance * wp.dot(g, color) - behind
                    slopes = opacity_slopes(grid, previous[3], value[3])
                    g_s0 = g_alpha * slopes[0]
                    g_s1 = g_alpha * slopes[1]
                    gc = g * (0.5 * w)
                    pending += wp.vec4(gc[0], gc[1], gc[2], g_s0)
                    current = wp.vec4(gc[0], gc[1], gc[2], g_s1)
                    learns = alpha > NEGLIGIBLE
                if teaches or learns:
                    scatter(grid, grad, at, pending)
                transmittance *= 1.0 - alpha
            pending = current
            teaches = learns
            at = here
            previous = value
            have = True
            t += stride(grid, value[3])
    if teaches:
        scatter(grid, grad, at, pending)


@wp.func
def shine_basis(d: wp.vec3):
    """Spherical harmonics of degree 1 and 2, without their constants; each has a mean of zero."""
    x = d[0]
    y = d[1]
    z = d[2]
    return vec8(x, y, z, 2.0 * x * y, 2.0 * y * z, 2.0 * x * z, x * x - y * y, z * z - 1.0 / 3.0)


@wp.func
def shine_cell(grid: Grid, p: wp.vec3):
    """First coarse vertex around a point of the grid frame, and how far the point is from it."""
    q = p / float(SHINE)
    x = wp.clamp(int(q[0]), 0, grid.sx - 2)
    y = wp.clamp(int(q[1]), 0, grid.sy - 2)
    z = wp.clamp(int(q[2]), 0, grid.sz - 2)
    return wp.vec4(
        float((x * grid.sy + y) * grid.sz + z),
        wp.clamp(q[0] - float(x), 0.0, 1.0),
        wp.clamp(q[1] - float(y), 0.0, 1.0),
        wp.clamp(q[2] - float(z), 0.0, 1.0),
    )


@wp.func
def shine_corner(grid: Grid, cell: wp.vec4, k: int):
    """Index and weight of the k-th coarse vertex of a cell."""
    x = k // 4
    y = (k // 2) % 2
    z = k % 2
    wx = wp.where(x == 1, cell[1], 1.0 - cell[1])
    wy = wp.where(y == 1, cell[2], 1.0 - cell[2])
    wz = wp.where(z == 1, cell[3], 1.0 - cell[3])
    return wp.vec2(float((x * grid.sy + y) * grid.sz + z), wx * wy * wz)


@wp.func
def shine_at(grid: Grid, p: wp.vec3, d: wp.vec3):
    """What a view direction adds to the colour."""
    basis = shine_basis(d)
    cell = shine_cell(grid, p)
    total = wp.vec3(0.0)
    for k in range(8):
        corner = shine_corner(grid, cell, k)
        index = int(cell[0]) + int(corner[0])
        for j in range(8):
            total += grid.shine[index, j] * (basis[j] * corner[1])
    return total


@wp.func
def shine_scatter(grid: Grid, grad: wp.array2d(dtype=wp.vec3), p: wp.vec3, d: wp.vec3, g: wp.vec3):
    """Adjoint of :func:`shine_at` with respect to the coarse grid."""
    basis = shine_basis(d)
    cell = shine_cell(grid, p)
    for k in range(8):
        corner = shine_corner(grid, cell, k)
        index = int(cell[0]) + int(corner[0])
        for j in range(8):
            wp.atomic_add(grad, index, j, g * (basis[j] * corner[1]))


@wp.func
def find_view(pixels: Pixels, pixel: wp.int64):
    """Binary search for the photo that holds a flat pixel index."""
    lo = int(0)
    hi = pixels.first.shape[0] - 1
    while lo < hi:
        mid = (lo + hi + 1) // 2
        if pixels.first[mid] <= pixel:
            lo = mid
        else:
            hi = mid - 1
    return lo


@wp.kernel(enable_backward=False)
def mark_seen(
    grid: Grid,
    pixels: Pixels,
    chosen: wp.array(dtype=wp.int64),
    first: int,
    seen: wp.array(dtype=wp.float32),
):
    """Raise each vertex that a ray passes to the share of the ray that still arrives there."""
    i = first + wp.tid()
    pixel = chosen[i]
    view = find_view(pixels, pixel)
    local = int(pixel - pixels.first[view])
    width = pixels.width[view]
    x = float(local % width) + 0.5
    y = float(local // width) + 0.5
    o = pixels.origin[view]
    d = safe_direction(pixels.direction[view] * wp.vec3(x, y, 1.0))
    span = box_span(grid, o, d)
    transmittance = float(1.0)
    t = span[0]
    previous = wp.vec4(0.0)
    have = bool(False)
    while t < span[1] and transmittance > MIN_TRANSMITTANCE:
        p = o + d * t
        value = sample(grid, p)
        if have:
            transmittance *= 1.0 - opacity(grid, previous[3], value[3])
        previous = value
        have = True
        cx = wp.clamp(int(p[0] + 0.5), 0, grid.nx - 1)
        cy = wp.clamp(int(p[1] + 0.5), 0, grid.ny - 1)
        cz = wp.clamp(int(p[2] + 0.5), 0, grid.nz - 1)
        wp.atomic_max(seen, (cx * grid.ny + cy) * grid.nz + cz, transmittance)
        t += 0.5


@wp.kernel(enable_backward=False)
def train_rays(
    grid: Grid,
    pixels: Pixels,
    loss: Loss,
    chosen: wp.array(dtype=wp.int64),
    first: int,
    seed: int,
    grad: wp.array(dtype=wp.vec4),
    grad_shine: wp.array2d(dtype=wp.vec3),
    error: wp.array(dtype=wp.float32),
):
    """Render the chosen pixels, compare with the photos, and scatter the gradient.

    ``chosen``: flat pixel indices; this launch covers ``first`` onwards. ``error``: squared colour
    and coverage error per ray. Gradients are sums over rays.
    """
    i = first + wp.tid()
    pixel = chosen[i]
    view = find_view(pixels, pixel)
    local = int(pixel - pixels.first[view])
    width = pixels.width[view]
    x = float(local % width) + 0.5
    y = float(local // width) + 0.5
    o = pixels.origin[view]
    d = safe_direction(pixels.direction[view] * wp.vec3(x, y, 1.0))
    span = box_span(grid, o, d)
    rng = wp.rand_init(seed, i)
    span[0] = span[0] + wp.randf(rng) * grid.step

    raw = pixels.rgba[pixel]
    a = float(raw[3]) / 255.0
    target = wp.vec3(float(raw[0]), float(raw[1]), float(raw[2])) * (a / 255.0)

    ray = march(grid, o, d, span)
    total = ray.total
    rgb = wp.vec3(total[0], total[1], total[2])
    shine = wp.vec3(0.0)
    shiny = grid.sx > 0 and total[3] > 0.2
    end = o + d * (ray.reach / wp.max(total[3], 1.0e-3))
    if shiny:
        shine = shine_at(grid, end, d)
        rgb += shine * total[3]
    residual = rgb - target + loss.background * (a - total[3])
    residual_alpha = total[3] - a
    square = wp.dot(residual, residual)
    error[i] = square
    # Charbonnier: d/dr sqrt(r^2 + c^2) scaled so that small residuals behave as least squares
    gc = residual / wp.sqrt(square / (loss.color_scale * loss.color_scale) + 1.0)
    ga = loss.alpha_weight * residual_alpha + wp.dot(gc, shine - loss.background)
    if shiny:
        shine_scatter(grid, grad_shine, end, d, gc * total[3])
    if span[1] > span[0]:
        march_adjoint(grid, o, d, span, total, wp.vec4(gc[0], gc[1], gc[2], ga), grad)


@wp.kernel(enable_backward=False)
def render_rays(
    grid: Grid,
    origins: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    first: int,
    colors: wp.array(dtype=wp.vec4),
):
    """Premultiplied colour and coverage of arbitrary rays in the grid frame."""
    i = first + wp.tid()
    d = safe_direction(directions[i])
    span = box_span(grid, origins[i], d)
    colors[i] = march(grid, origins[i], d, span).total


@wp.kernel(enable_backward=False)
def render_rays_adjoint(
    grid: Grid,
    origins: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    first: int,
    colors: wp.array(dtype=wp.vec4),
    grad_colors: wp.array(dtype=wp.vec4),
    grad: wp.array(dtype=wp.vec4),
):
    """Adjoint of :func:`render_rays` with respect to the grid's values."""
    i = first + wp.tid()
    d = safe_direction(directions[i])
    span = box_span(grid, origins[i], d)
    march_adjoint(grid, origins[i], d, span, colors[i], grad_colors[i], grad)


@wp.struct
class Step:
    """Adam with per-channel rates, and the regularisers' weights."""

    rate_color: float
    rate_distance: float  # [voxel]
    beta1: float
    beta2: float
    correct1: float  # 1 / (1 - beta1^n)
    correct2: float
    epsilon: float  # gradients well below this move nothing
    eikonal: float
    smooth: float
    anchor: float  # weight of the measured distance
    smooth_color: float
    band: float  # distances are clamped to +-band [voxel]


@wp.func
def distance_at(grid: Grid, x: int, y: int, z: int):
    xc = wp.clamp(x, 0, grid.nx - 1)
    yc = wp.clamp(y, 0, grid.ny - 1)
    zc = wp.clamp(z, 0, grid.nz - 1)
    return grid.values[(xc * grid.ny + yc) * grid.nz + zc]


@wp.kernel(enable_backward=False)
def regularize(
    grid: Grid,
    active: wp.array(dtype=wp.int32),
    first: int,
    step: Step,
    measured: wp.array(dtype=wp.vec2),  # distance [voxel], firmness 0..1
    prior: wp.array(dtype=wp.vec4),
):
    """Gradient of the smoothness terms at each active grid vertex, written to ``prior``.

    Eikonal: sum over vertices of (|central difference| - 1)^2; smoothness: half the squared
    Laplacian's Dirichlet form. Each vertex gathers from its neighbours, so nothing races.
    """
    n = first + wp.tid()
    index = active[n]
    z = index % grid.nz
    y = (index // grid.nz) % grid.ny
    x = index // (grid.nz * grid.ny)
    here = grid.values[index]
    mean = (
        distance_at(grid, x - 1, y, z)
        + distance_at(grid, x + 1, y, z)
        + distance_at(grid, x, y - 1, z)
        + distance_at(grid, x, y + 1, z)
        + distance_at(grid, x, y, z - 1)
        + distance_at(grid, x, y, z + 1)
    ) / 6.0
    rough = here - mean
    # d/ds of the eikonal terms of the six neighbours whose central difference uses this vertex
    eikonal = float(0.0)
    for axis in range(3):
        for side in range(2):
            shift = 2 * side - 1
            ax = x + wp.where(axis == 0, shift, 0)
            ay = y + wp.where(axis == 1, shift, 0)
            az = z + wp.where(axis == 2, shift, 0)
            g = (
                wp.vec3(
                    distance_at(grid, ax + 1, ay, az)[3] - distance_at(grid, ax - 1, ay, az)[3],
                    distance_at(grid, ax, ay + 1, az)[3] - distance_at(grid, ax, ay - 1, az)[3],
                    distance_at(grid, ax, ay, az + 1)[3] - distance_at(grid, ax, ay, az - 1)[3],
                )
                * 0.5
            )
            length = wp.length(g)
            # beyond the band distances are clamped and have no slope to restore
            if length > 1.0e-6 and wp.abs(distance_at(grid, ax, ay, az)[3]) < step.band - 0.5:
                eikonal += (length - 1.0) * g[axis] / length * float(-shift)
    anchor = float(0.0)
    if measured.shape[0] > 0:
        # Geman-McClure with a scale of one voxel: places that the photos deny let go
        target = wp.clamp(measured[index][0], -step.band, step.band)
        off = here[3] - target
        anchor = step.anchor * measured[index][1] * off / ((1.0 + off * off) * (1.0 + off * off))
    prior[n] = wp.vec4(
        step.smooth_color * rough[0],
        step.smooth_color * rough[1],
        step.smooth_color * rough[2],
        step.smooth * rough[3] + step.eikonal * eikonal + anchor,
    )


@wp.kernel(enable_backward=False)
def update(
    grid: Grid,
    active: wp.array(dtype=wp.int32),
    first: int,
    step: Step,
    prior: wp.array(dtype=wp.vec4),
    grads: wp.array2d(dtype=wp.vec4),
    momentum: wp.array(dtype=wp.vec4),
    square: wp.array(dtype=wp.vec4),
):
    """One Adam step on the active vertices; sums the parts' gradients and clears them."""
    n = first + wp.tid()
    index = active[n]
    g = prior[n]
    for part in range(grads.shape[0]):
        g += grads[part, index]
        grads[part, index] = wp.vec4(0.0)
    for c in range(4):  # one bad ray must not spoil a vertex for good
        if not wp.isfinite(g[c]):
            g[c] = 0.0
    m = momentum[index] * step.beta1 + g * (1.0 - step.beta1)
    v = square[index] * step.beta2 + wp.cw_mul(g, g) * (1.0 - step.beta2)
    momentum[index] = m
    square[index] = v
    value = grid.values[index]
    for c in range(4):
        rate = wp.where(c == 3, step.rate_distance, step.rate_color)
        value[c] -= rate * m[c] * step.correct1 / (wp.sqrt(v[c] * step.correct2) + step.epsilon)
    for c in range(3):
        value[c] = wp.clamp(value[c], 0.0, 1.0)
    value[3] = wp.clamp(value[3], -step.band, step.band)
    grid.values[index] = value
