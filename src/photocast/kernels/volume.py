# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Volume rendering of a signed-distance grid: forward, loss and adjoint of a ray in one kernel.

The grid, its frame and its opacity are those of kernels/volume_grid.py.
"""

import warp as wp

from photocast.kernels.volume_grid import (
    Grid,
    box_span,
    ends_inside,
    opacity,
    opacity_slopes,
    passing,
    safe_direction,
    sample,
    scatter,
    skip_empty,
    stride,
)
from photocast.kernels.volume_shine import shine_at, shine_scatter

MIN_TRANSMITTANCE = wp.constant(4.0e-3)
NOWHERE = wp.constant(-1.0)  # rays start at 0
NEGLIGIBLE = wp.constant(1.0e-4)  # opacity of a segment below which a sample teaches nothing


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


@wp.struct
class Ray:
    """What a ray gathered."""

    total: wp.vec4  # premultiplied colour and coverage
    reach: float  # distance to the surface times coverage
    begin: float  # sample before which all segments are negligible
    finish: float  # sample after which they are; NOWHERE if all are
    arriving: float  # transmittance at ``begin``
    before: wp.vec4  # what was gathered up to there


@wp.func
def march(grid: Grid, o: wp.vec3, d: wp.vec3, span: wp.vec2):
    """Premultiplied colour and coverage along a ray, and where it ended."""
    total = wp.vec4(0.0)
    reach = float(0.0)
    transmittance = float(1.0)
    t = float(span[0])
    previous = wp.vec4(0.0)
    passed = float(0.0)
    at = float(0.0)  # where the previous sample lies on the ray
    have = bool(False)
    ray = Ray()  # begins at 0: past NOWHERE, also where the grid lies behind the camera
    ray.finish = NOWHERE
    while t < span[1] and transmittance > MIN_TRANSMITTANCE:
        jump = skip_empty(grid, o, d, t)
        if jump > t:
            if have and ends_inside(grid, previous[3]):
                break
            t = jump
            have = False
        else:
            value = sample(grid, o + d * t)
            passes = passing(grid, value[3])
            if have:
                alpha = opacity(grid, passed, passes)
                if alpha > NEGLIGIBLE:
                    if ray.finish == NOWHERE:
                        ray.begin = at
                        ray.arriving = transmittance
                        ray.before = total
                    ray.finish = t
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
            passed = passes
            at = t
            have = True
            t += stride(grid, value[3])
    ray.total = total
    ray.reach = reach
    return ray


@wp.func
def march_adjoint(
    grid: Grid, o: wp.vec3, d: wp.vec3, ray: Ray, g: wp.vec4, grad: wp.array(dtype=wp.vec4)
):
    """Scatter the gradient of <g, total of march(...)> into the grid's values.

    With segments i, colour total = sum_i T_i a_i c_i and T_i = prod_{j<i} (1 - a_j):
    d total / d a_i = T_i c_i - (sum_{j>i} T_j a_j c_j) / (1 - a_i). The sum behind segment i is the
    known total minus what was accumulated up to i, so one more forward sweep suffices, over the
    part of the ray whose segments are not negligible.
    """
    done = ray.before
    transmittance = ray.arriving
    t = float(ray.begin)
    previous = wp.vec4(0.0)
    passed = float(0.0)
    at = wp.vec3(0.0)  # where the previous sample lies
    pending = wp.vec4(0.0)  # gradient gathered so far for it
    teaches = bool(False)  # whether that gradient is worth scattering
    have = bool(False)
    while t <= ray.finish + 0.25 * grid.step:  # rounding must not hide the last sample
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
            passes = passing(grid, value[3])
            current = wp.vec4(0.0)
            learns = bool(False)
            if have:
                alpha = opacity(grid, passed, passes)
                if alpha > 0.0:
                    w = transmittance * alpha
                    color = wp.vec4(
                        0.5 * (previous[0] + value[0]),
                        0.5 * (previous[1] + value[1]),
                        0.5 * (previous[2] + value[2]),
                        1.0,
                    )
                    done += color * w
                    behind = wp.dot(g, ray.total - done) / wp.max(1.0 - alpha, 1.0e-3)
                    g_alpha = transmittance * wp.dot(g, color) - behind
                    slopes = opacity_slopes(grid, passed, passes, alpha)
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
            passed = passes
            have = True
            t += stride(grid, value[3])
    if teaches:
        scatter(grid, grad, at, pending)


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


@wp.struct
class Way:
    """Where a pixel looks, in the grid frame."""

    origin: wp.vec3
    direction: wp.vec3  # unit


@wp.func
def way_of(pixels: Pixels, pixel: wp.int64):
    view = find_view(pixels, pixel)
    local = int(pixel - pixels.first[view])
    width = pixels.width[view]
    x = float(local % width) + 0.5
    y = float(local // width) + 0.5
    way = Way()
    way.origin = pixels.origin[view]
    way.direction = safe_direction(pixels.direction[view] * wp.vec3(x, y, 1.0))
    return way


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
    way = way_of(pixels, pixel)
    o = way.origin
    d = way.direction
    span = box_span(grid, o, d)
    transmittance = float(1.0)
    t = span[0]
    passed = float(0.0)
    have = bool(False)
    while t < span[1] and transmittance > MIN_TRANSMITTANCE:
        p = o + d * t
        passes = passing(grid, sample(grid, p)[3])
        if have:
            transmittance *= 1.0 - opacity(grid, passed, passes)
        passed = passes
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
    way = way_of(pixels, pixel)
    o = way.origin
    d = way.direction
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
    march_adjoint(grid, o, d, ray, wp.vec4(gc[0], gc[1], gc[2], ga), grad)


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
    grad_colors: wp.array(dtype=wp.vec4),
    grad: wp.array(dtype=wp.vec4),
):
    """Adjoint of :func:`render_rays` with respect to the grid's values."""
    i = first + wp.tid()
    d = safe_direction(directions[i])
    span = box_span(grid, origins[i], d)
    march_adjoint(grid, origins[i], d, march(grid, origins[i], d, span), grad_colors[i], grad)
