# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour that depends on the view, on a coarse grid of spherical harmonics of degree 1 and 2."""

import warp as wp

from photocast.kernels.volume_grid import Grid

SHINE = wp.constant(4)  # voxels per cell of the coarse grid

vec8 = wp.types.vector(length=8, dtype=wp.float32)


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
