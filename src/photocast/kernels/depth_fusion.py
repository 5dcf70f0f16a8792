# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Signed distance of grid vertices to what several depth maps measured, robust against some."""

import warp as wp

BINS = wp.constant(16)  # of the histogram over [-truncation, truncation]
ROUNDS = wp.constant(4)  # of reweighting
Histogram = wp.types.vector(length=16, dtype=wp.float32)


@wp.struct
class DepthViews:
    """Depth maps, one after another, in the grid frame's unit."""

    samples: wp.array(dtype=wp.vec3)  # depth [voxel], slope factor, weight 0..1; weight 0: unknown
    first: wp.array(dtype=wp.int64)
    width: wp.array(dtype=wp.int32)
    height: wp.array(dtype=wp.int32)
    camera_from_grid: wp.array(dtype=wp.mat44)  # rigid: lengths stay in voxels
    intrinsics: wp.array(dtype=wp.vec4)  # fx fy cx cy, continuous pixels of the map


@wp.func
def read_map(views: DepthViews, v: int, x: float, y: float):
    """Bilinear sample at continuous pixel (x, y); weight 0 unless all four neighbours are known."""
    w = views.width[v]
    h = views.height[v]
    left = x - 0.5
    top = y - 0.5
    x0 = int(wp.floor(left))
    y0 = int(wp.floor(top))
    if x0 < 0 or y0 < 0 or x0 + 1 >= w or y0 + 1 >= h:
        return wp.vec3(0.0)
    at = views.first[v] + wp.int64(y0 * w + x0)
    a = views.samples[at]
    b = views.samples[at + wp.int64(1)]
    c = views.samples[at + wp.int64(w)]
    d = views.samples[at + wp.int64(w + 1)]
    if wp.min(wp.min(a[2], b[2]), wp.min(c[2], d[2])) <= 0.0:
        return wp.vec3(0.0)
    fx = left - float(x0)
    fy = top - float(y0)
    return (a * (1.0 - fx) + b * fx) * (1.0 - fy) + (c * (1.0 - fx) + d * fx) * fy


@wp.kernel(enable_backward=False)
def fuse(
    views: DepthViews,
    ny: int,
    nz: int,
    first: int,
    truncation: float,
    scale: float,
    min_support: float,
    distance: wp.array(dtype=wp.float32),
    weight: wp.array(dtype=wp.float32),
):
    """One thread per grid vertex gathers what each view says, then finds where most agree.

    A view says ``gap * slope`` in front of its surface, cut off at ``truncation``; nothing beyond
    ``truncation`` behind it; and fades out in between, where it may look at another sheet. The
    weighted median of these is refined as the Geman-McClure location, by reweighting. A histogram
    keeps each bin's weight and mean, so that one pass over the views suffices.
    """
    i = first + wp.tid()
    z = i % nz
    y = (i // nz) % ny
    x = i // (nz * ny)
    p = wp.vec4(float(x), float(y), float(z), 1.0)
    weights = Histogram()
    sums = Histogram()
    total = float(0.0)
    for v in range(views.first.shape[0]):
        q = views.camera_from_grid[v] * p
        if q[2] > 1.0e-3:
            k = views.intrinsics[v]
            seen = read_map(views, v, q[0] / q[2] * k[0] + k[2], q[1] / q[2] * k[1] + k[3])
            d = wp.min((seen[0] - q[2]) * seen[1], truncation)
            if seen[2] > 0.0 and d > -truncation:
                w = seen[2] * wp.min(1.0 + d / truncation, 1.0)
                bin = wp.min(int((d + truncation) / (2.0 * truncation) * float(BINS)), BINS - 1)
                weights[bin] += w
                sums[bin] += w * d
                total += w
    middle = float(0.0)
    support = float(0.0)
    if total > 0.0:
        reached = float(0.0)
        found = bool(False)
        for n in range(BINS):
            reached += weights[n]
            if not found and 2.0 * reached >= total:
                middle = sums[n] / weights[n]
                found = True
        for _round in range(ROUNDS):
            moment = float(0.0)
            support = float(0.0)
            for n in range(BINS):
                if weights[n] > 0.0:
                    r = (sums[n] / weights[n] - middle) / scale
                    g = 1.0 / ((1.0 + r * r) * (1.0 + r * r))
                    support += weights[n] * g
                    moment += sums[n] * g
            middle = moment / support
    if support < min_support:
        support = 0.0
    distance[i] = middle
    weight[i] = support
