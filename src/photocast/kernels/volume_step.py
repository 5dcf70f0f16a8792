# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One optimiser step on a grid of colour and signed distance, and what keeps the grid smooth."""

import warp as wp

from photocast.kernels.volume_grid import Grid


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
    smooth: float  # where colour changes along the surface by much more than ``plain`` a voxel
    smooth_plain: float  # where by much less
    plain: float
    anchor: float  # weight of the measured distance
    smooth_color: float
    band: float  # distances are clamped to +-band [voxel]


@wp.func
def distance_at(grid: Grid, x: int, y: int, z: int):
    xc = wp.clamp(x, 0, grid.nx - 1)
    yc = wp.clamp(y, 0, grid.ny - 1)
    zc = wp.clamp(z, 0, grid.nz - 1)
    return grid.values[(xc * grid.ny + yc) * grid.nz + zc]


@wp.func
def is_seen(grads: wp.array2d(dtype=wp.vec4), index: int):
    """Whether a ray of this step saw colour at a vertex."""
    total = float(0.0)
    for part in range(grads.shape[0]):
        g = grads[part, index]
        total += wp.abs(g[0]) + wp.abs(g[1]) + wp.abs(g[2])
    return total > 1.0e-5


@wp.func
def change_along(dx: wp.vec4, dy: wp.vec4, dz: wp.vec4) -> float:
    """Square of the colour's slope along the surface, mean of the channels [sRGB / voxel]."""
    n = wp.vec3(dx[3], dy[3], dz[3])
    n = n / wp.max(wp.length(n), 1.0e-6)
    total = float(0.0)
    for c in range(3):
        slope = wp.vec3(dx[c], dy[c], dz[c])
        along = slope - n * wp.dot(slope, n)
        total += wp.dot(along, along)
    return total / 3.0


@wp.kernel(enable_backward=False)
def regularize(
    grid: Grid,
    active: wp.array(dtype=wp.int32),
    first: int,
    step: Step,
    measured: wp.array(dtype=wp.vec2),  # distance [voxel], firmness 0..1
    grads: wp.array2d(dtype=wp.vec4),  # of this step, by part
    prior: wp.array(dtype=wp.vec4),
):
    """Gradient of the smoothness terms at each active grid vertex, written to ``prior``.

    Eikonal: sum over vertices of (|central difference| - 1)^2; smoothness: half the squared
    Laplacian's Dirichlet form, with more weight where colour says nothing about the shape. Each
    vertex gathers from its neighbours, so nothing races.
    """
    n = first + wp.tid()
    index = active[n]
    z = index % grid.nz
    y = (index // grid.nz) % grid.ny
    x = index // (grid.nz * grid.ny)
    here = grid.values[index]
    left = distance_at(grid, x - 1, y, z)
    right = distance_at(grid, x + 1, y, z)
    front = distance_at(grid, x, y - 1, z)
    back = distance_at(grid, x, y + 1, z)
    below = distance_at(grid, x, y, z - 1)
    above = distance_at(grid, x, y, z + 1)
    rough = here - (left + right + front + back + below + above) / 6.0
    change = change_along((right - left) * 0.5, (back - front) * 0.5, (above - below) * 0.5)
    smooth = step.smooth
    if is_seen(grads, index):  # where no ray arrives, nothing would hold against it
        told = change / (change + step.plain * step.plain + 1.0e-12)
        smooth = step.smooth * told + step.smooth_plain * (1.0 - told)
    # d/ds of the eikonal terms of the six neighbours whose central difference uses this vertex
    eikonal = float(0.0)
    if step.eikonal > 0.0:
        for axis in range(3):
            for side in range(2):
                shift = 2 * side - 1
                ax = x + wp.where(axis == 0, shift, 0)
                ay = y + wp.where(axis == 1, shift, 0)
                az = z + wp.where(axis == 2, shift, 0)
                # beyond the band distances are clamped and have no slope to restore
                if wp.abs(distance_at(grid, ax, ay, az)[3]) < step.band - 0.5:
                    g = (
                        wp.vec3(
                            distance_at(grid, ax + 1, ay, az)[3]
                            - distance_at(grid, ax - 1, ay, az)[3],
                            distance_at(grid, ax, ay + 1, az)[3]
                            - distance_at(grid, ax, ay - 1, az)[3],
                            distance_at(grid, ax, ay, az + 1)[3]
                            - distance_at(grid, ax, ay, az - 1)[3],
                        )
                        * 0.5
                    )
                    length = wp.length(g)
                    if length > 1.0e-6:
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
        smooth * rough[3] + step.eikonal * eikonal + anchor,
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
