# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photographs by path tracing: one thread per pixel, all its samples.

Light and scattering are both sampled and weighted by the balance heuristic. Every random number is
a hash of (seed, pixel, sample, purpose), so the picture does not depend on how rows are shared.
Camera: +X right, +Y down, +Z forward; the first pixel centre is (0.5, 0.5).
Source: Veach & Guibas, Optimally combining sampling techniques, 1995, section 3.
"""

from functools import lru_cache
from typing import Any

import warp as wp

from photocast.kernels.pathtrace_light import light_direction, texel_of
from photocast.kernels.pathtrace_material import (
    scatter_density,
    scatter_direction,
    scattered,
)

wp.set_module_options({"enable_backward": False})

FAR = wp.constant(1.0e30)


@wp.struct
class Lens:
    """A pinhole camera, and the rows of its picture that one launch makes."""

    focal: wp.vec2  # [px]
    center: wp.vec2  # [px]
    rotation: wp.mat33  # world from camera
    position: wp.vec3
    width: int
    part: int  # rows part, part + parts, ...
    parts: int


@wp.struct
class Sampling:
    """How carefully to look."""

    seed: int
    count_log2: int  # samples per pixel
    bounces: int
    offset: float  # how far rays start above the surface, world units


@wp.func
def stratified(seed: int, pixel: int, purpose: int, sample: int, count_log2: int) -> wp.vec2:
    """One jittered cell of a grid over the unit square; each sample of a pixel has its own cell."""
    state = wp.rand_init(seed + 7919 * purpose, pixel)
    flip = wp.randu(state)
    stride = wp.randu(state) * wp.uint32(2) + wp.uint32(1)  # odd: a bijection of the cells
    shift = wp.randu(state)
    count = wp.uint32(1) << wp.uint32(count_log2)
    cell = ((wp.uint32(sample) ^ flip) * stride + shift) & (count - wp.uint32(1))
    wide = wp.uint32(1) << wp.uint32((count_log2 + 1) / 2)
    jitter = wp.rand_init(int(wp.randu(state) & wp.uint32(0x7FFFFFFF)), sample)
    x = (float(cell % wide) + wp.randf(jitter)) / float(wide)
    y = (float(cell / wide) + wp.randf(jitter)) * float(wide) / float(count)
    return wp.vec2(wp.min(x, 0.999999), wp.min(y, 0.999999))


@wp.func
def frame_of(normal: wp.vec3) -> wp.mat33:
    """Columns tangent, bitangent, normal: world from local."""
    helper = wp.vec3(1.0, 0.0, 0.0)
    if wp.abs(normal[0]) > 0.7:
        helper = wp.vec3(0.0, 1.0, 0.0)
    tangent = wp.normalize(wp.cross(helper, normal))
    return wp.matrix_from_cols(tangent, wp.cross(normal, tangent), normal)


@wp.func
def ray_through(lens: Lens, x: float, y: float) -> wp.vec3:
    """World direction through a continuous pixel, of length 1 along the viewing axis."""
    local = wp.vec3((x - lens.center[0]) / lens.focal[0], (y - lens.center[1]) / lens.focal[1], 1.0)
    return lens.rotation * local


@lru_cache(maxsize=8)
def pathtrace_kernel(surface_at: Any) -> Any:
    """Build the kernel for one material.

    Args:
        surface_at: A ``wp.func`` from position and outward geometric normal to ``Surface``.
    """

    @wp.func
    def arriving(
        mesh: wp.uint64,
        start: wp.vec3,
        toward: wp.vec3,
        radiance: wp.array2d(dtype=wp.vec3),
        density: wp.array2d(dtype=float),
        row_cumulative: wp.array2d(dtype=float),
        column_cumulative: wp.array2d(dtype=float),
        sampling: Sampling,
        pixel: int,
        sample: int,
    ) -> wp.vec4:
        # Radiance along one camera ray; the last component is 1 where it met the object.
        rows = radiance.shape[0]
        columns = radiance.shape[1]
        origin = start
        direction = toward
        total = wp.vec3(0.0)
        throughput = wp.vec3(1.0)
        chance = wp.float32(0.0)  # density with which the last scattering picked this direction
        covered = wp.float32(0.0)
        for bounce in range(sampling.bounces + 2):
            hit = wp.mesh_query_ray(mesh, origin, direction, FAR)
            if not hit.result:
                if bounce > 0:
                    texel = texel_of(direction, rows, columns)
                    weight = chance / (chance + density[texel[0], texel[1]])
                    total += weight * wp.cw_mul(throughput, radiance[texel[0], texel[1]])
                break
            if bounce == 0:
                covered = 1.0
            if bounce > sampling.bounces or wp.dot(hit.normal, direction) > 0.0:
                break  # far enough, or inside through a rounding error
            position = wp.mesh_eval_position(mesh, hit.face, hit.u, hit.v)
            surface = surface_at(position, hit.normal)
            frame = frame_of(surface.normal)
            to_eye = wp.transpose(frame) * (-direction)
            # A shading normal may lean away from the eye where the mesh does not: clamp to grazing.
            to_eye = wp.normalize(wp.vec3(to_eye[0], to_eye[1], wp.max(to_eye[2], 1.0e-3)))
            origin = position + sampling.offset * hit.normal

            u = stratified(sampling.seed, pixel, 3 * bounce + 1, sample, sampling.count_log2)
            to_lamp = light_direction(row_cumulative, column_cumulative, u)
            local = wp.transpose(frame) * to_lamp
            if local[2] > 0.0 and wp.dot(to_lamp, hit.normal) > 0.0:
                shadow = wp.mesh_query_ray_anyhit(mesh, origin, to_lamp, FAR)
                if not shadow:
                    texel = texel_of(to_lamp, rows, columns)
                    lamp = density[texel[0], texel[1]]
                    weight = 1.0 / (lamp + scatter_density(surface, to_eye, local))
                    light = wp.cw_mul(throughput, radiance[texel[0], texel[1]])
                    total += weight * wp.cw_mul(light, scattered(surface, to_eye, local))

            u = stratified(sampling.seed, pixel, 3 * bounce + 2, sample, sampling.count_log2)
            pick = stratified(sampling.seed, pixel, 3 * bounce + 3, sample, sampling.count_log2)
            local = scatter_direction(surface, to_eye, u, pick[0])
            direction = frame * local
            if local[2] <= 0.0 or wp.dot(direction, hit.normal) <= 0.0:
                break
            chance = scatter_density(surface, to_eye, local)
            throughput = wp.cw_mul(throughput, scattered(surface, to_eye, local)) / chance
        return wp.vec4(total[0], total[1], total[2], covered)

    @wp.kernel(module="unique", enable_backward=False)
    def pathtrace(
        mesh: wp.uint64,
        lens: Lens,
        sampling: Sampling,
        radiance: wp.array2d(dtype=wp.vec3),
        density: wp.array2d(dtype=float),
        row_cumulative: wp.array2d(dtype=float),
        column_cumulative: wp.array2d(dtype=float),
        color: wp.array2d(dtype=wp.vec4),
        depth: wp.array2d(dtype=float),
    ):
        i, column = wp.tid()
        row = i * lens.parts + lens.part
        pixel = row * lens.width + column
        total = wp.vec4(0.0)
        for sample in range(1 << sampling.count_log2):
            u = stratified(sampling.seed, pixel, 0, sample, sampling.count_log2)
            direction = ray_through(lens, float(column) + u[0], float(row) + u[1])
            total += arriving(
                mesh, lens.position, wp.normalize(direction), radiance, density, row_cumulative,
                column_cumulative, sampling, pixel, sample,
            )  # fmt: skip
        covered = total[3]
        if covered > 0.0:  # straight: the mean over the samples that met the object
            share = covered / float(1 << sampling.count_log2)
            color[row, column] = wp.vec4(
                total[0] / covered, total[1] / covered, total[2] / covered, share
            )
        else:
            color[row, column] = wp.vec4(0.0)
        middle = ray_through(lens, float(column) + 0.5, float(row) + 0.5)
        hit = wp.mesh_query_ray(mesh, lens.position, middle, FAR)
        depth[row, column] = wp.where(hit.result, hit.t, 0.0)

    return pathtrace
