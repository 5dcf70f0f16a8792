# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Signed distance of grid vertices to the visual hull."""

import warp as wp


@wp.struct
class Silhouettes:
    """Per view: a map of signed distances to the mask's edge [px], positive outside."""

    distance: wp.array(dtype=wp.float32)  # all maps, flat
    first: wp.array(dtype=wp.int64)
    width: wp.array(dtype=wp.int32)
    height: wp.array(dtype=wp.int32)
    camera_from_grid: wp.array(dtype=wp.mat44)  # rigid up to scale: lengths stay in voxels
    intrinsics: wp.array(dtype=wp.vec4)  # fx fy cx cy, continuous pixels


@wp.func
def bilinear(data: wp.array(dtype=wp.float32), first: wp.int64, w: int, h: int, x: float, y: float):
    """Value at continuous pixel (x, y), clamped to the border."""
    u = wp.clamp(x - 0.5, 0.0, float(w - 1))
    v = wp.clamp(y - 0.5, 0.0, float(h - 1))
    x0 = wp.min(int(u), wp.max(w - 2, 0))
    y0 = wp.min(int(v), wp.max(h - 2, 0))
    x1 = wp.min(x0 + 1, w - 1)
    y1 = wp.min(y0 + 1, h - 1)
    fx = u - float(x0)
    fy = v - float(y0)
    a = data[first + wp.int64(y0 * w + x0)] * (1.0 - fx) + data[first + wp.int64(y0 * w + x1)] * fx
    b = data[first + wp.int64(y1 * w + x0)] * (1.0 - fx) + data[first + wp.int64(y1 * w + x1)] * fx
    return a * (1.0 - fy) + b * fy


@wp.kernel(enable_backward=False)
def carve(
    views: Silhouettes,
    ny: int,
    nz: int,
    first: int,
    rank: int,
    min_views: int,
    enough: float,
    distance: wp.array(dtype=wp.float32),
):
    """Signed distance [voxel] of each grid vertex, positive outside.

    The hull is where every view's cone agrees, so its distance is the largest over the views; with
    ``rank`` r the r-th largest counts, which lets r views be wrong. Views that come after a vertex
    is known to lie farther out than ``enough`` are not asked.
    """
    i = first + wp.tid()
    z = i % nz
    y = (i // nz) % ny
    x = i // (nz * ny)
    p = wp.vec4(float(x), float(y), float(z), 1.0)
    top = wp.vec4(-1.0e6)  # the four largest, in falling order
    seen = int(0)
    for v in range(views.first.shape[0]):
        q = views.camera_from_grid[v] * p
        if q[2] > 1.0e-3:
            k = views.intrinsics[v]
            px = q[0] / q[2] * k[0] + k[2]
            py = q[1] / q[2] * k[1] + k[3]
            w = views.width[v]
            h = views.height[v]
            if px > 0.0 and py > 0.0 and px < float(w) and py < float(h):
                seen += 1
                d = bilinear(views.distance, views.first[v], w, h, px, py) * q[2] / k[0]
                if d > top[0]:
                    top = wp.vec4(d, top[0], top[1], top[2])
                elif d > top[1]:
                    top = wp.vec4(top[0], d, top[1], top[2])
                elif d > top[2]:
                    top = wp.vec4(top[0], top[1], d, top[2])
                elif d > top[3]:
                    top[3] = d
                if top[wp.min(rank, 3)] > enough and seen >= min_views:
                    break
    s = float(1.0e6)
    if seen >= min_views:
        s = top[wp.min(rank, 3)]
    distance[i] = s
