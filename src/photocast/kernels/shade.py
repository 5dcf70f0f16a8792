# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Light that leaves a textured surface towards the camera, and its adjoint, one thread a sample.

Metallic-roughness material of glTF 2.0 under an environment, split-sum:
    diffuse  = (1 - metallic) base E(n) / pi (1 - 0.04 A - B)
    specular = lobe(r) (f0 A + B) (1 + f0 (1 / (A + B) - 1)),  f0 = mix(0.04, base, metallic)
E comes from the light that reaches each vertex, as nine polynomials (geometry/environment.py);
lobe(r) from filtered environments, one per roughness, dimmed where the mirror direction is
occluded, with the object's own light in its place; A, B from a table.
Sources: Karis, Real shading in Unreal Engine 4, 2013; Fdez-Agüera, A multiple-scattering microfacet
model for real-time image-based lighting, 2019 (the last factor).
"""

import warp as wp

from photocast.kernels.shade_lookup import (
    LobeLevel,
    Lobes,
    Material,
    Patch,
    give_patch,
    lobe_level,
    lookup,
    lookup_slope,
    map_slope,
    patch_at,
    patched,
    scatter,
    shares_of,
    table_at,
)

wp.set_module_options({"enable_backward": False})

DIELECTRIC = wp.constant(0.04)
LEAST_COSINE = wp.constant(0.02)

vec9 = wp.types.vector(length=9, dtype=wp.float32)


@wp.struct
class Surface:
    """The mesh, and the light that reaches it."""

    faces: wp.array[wp.vec3i]
    uv_faces: wp.array[wp.vec3i]
    normals: wp.array[wp.vec3]  # per vertex
    tangents: wp.array[wp.vec4]  # per uv vertex; w is the handedness
    uvs: wp.array[wp.vec2]
    light: wp.array2d[wp.vec3]  # vert, polynomial: weights of E / pi
    open: wp.array2d[wp.float32]  # vert, polynomial: share of a direction that is not occluded
    glow: wp.array[
        wp.vec3
    ]  # one: radiance of the object itself, where it occludes the mirror direction


@wp.struct
class Samples:
    """Points of the surface that a camera sees."""

    face: wp.array[wp.int32]  # -1: nothing there
    bary: wp.array[wp.vec2]  # weights of corners 0 and 1
    level: wp.array[wp.float32]  # log2 of the pixel's footprint in uv units
    view: wp.array[wp.vec3]  # unit vector from the point to the camera
    light_every: wp.int32  # the light learns from every n-th sample, n times as much


@wp.struct
class Grads:
    """Where the adjoint adds up; one set per part on the CPU."""

    base: wp.array[wp.vec4]
    gloss: wp.array[wp.vec4]
    light: wp.array2d[wp.vec3]
    lobes: wp.array[wp.vec3]
    normals: wp.array[wp.vec3]
    bary: wp.array[wp.vec2]  # not shared: one per sample
    wants: wp.vec3i  # material, light, shape


@wp.struct
class Point:
    """Everything that shading a sample computes on the way."""

    corners: wp.vec3i
    spots: wp.vec3i
    weights: wp.vec3
    uv: wp.vec2
    length: wp.float32  # of the interpolated normal
    smooth: wp.vec3
    tangent: wp.vec3
    bitangent: wp.vec3
    normal: wp.vec3
    base: wp.vec3
    gloss: wp.vec4  # roughness, metallic, normal x, normal y
    upright: wp.float32  # normal z of the map
    mirror: wp.vec3
    cosine: wp.float32  # n·v before clamping
    at0: wp.vec3  # E / pi of each corner, for the mapped normal
    at1: wp.vec3
    at2: wp.vec3
    diffuse: wp.vec3
    lobe: LobeLevel
    patch0: Patch  # of the two filtered environments around the roughness
    patch1: Patch
    lobe0: wp.vec3  # what they hold there
    lobe1: wp.vec3
    seen: wp.vec3  # lobe, unoccluded
    share: wp.float32  # of the lobe that is not occluded
    table: wp.vec2  # A, B


@wp.func
def polynomials(d: wp.vec3) -> vec9:
    x = d[0]
    y = d[1]
    z = d[2]
    return vec9(1.0, x, y, z, x * y, y * z, 3.0 * z * z - 1.0, x * z, x * x - y * y)


@wp.func
def gathered(light: wp.array2d[wp.vec3], vertex: wp.int32, p: vec9) -> wp.vec3:
    total = wp.vec3(0.0)
    for k in range(9):
        total += light[vertex, k] * p[k]
    return total


@wp.func
def openness(surface: Surface, corners: wp.vec3i, weights: wp.vec3, direction: wp.vec3):
    p = polynomials(direction)
    total = wp.float32(0.0)
    for j in range(3):
        for k in range(9):
            total += weights[j] * surface.open[corners[j], k] * p[k]
    return wp.clamp(total, 0.0, 1.0)


@wp.func
def point_at(
    surface: Surface, material: Material, lobes: Lobes, samples: Samples, i: wp.int32
) -> Point:
    at = Point()
    face = samples.face[i]
    at.corners = surface.faces[face]
    at.spots = surface.uv_faces[face]
    b = samples.bary[i]
    at.weights = wp.vec3(b[0], b[1], 1.0 - b[0] - b[1])
    at.uv = wp.vec2(0.0)
    n = wp.vec3(0.0)
    t = wp.vec4(0.0)
    for j in range(3):
        at.uv += surface.uvs[at.spots[j]] * at.weights[j]
        n += surface.normals[at.corners[j]] * at.weights[j]
        t += surface.tangents[at.spots[j]] * at.weights[j]
    at.length = wp.max(wp.length(n), 1.0e-8)
    at.smooth = n / at.length
    along = wp.vec3(t[0], t[1], t[2])
    at.tangent = wp.normalize(along - at.smooth * wp.dot(along, at.smooth))
    at.bitangent = wp.cross(at.smooth, at.tangent) * wp.sign(t[3])
    level = samples.level[i]
    color = lookup(material.base, material.base_levels, at.uv, level)
    at.base = wp.vec3(color[0], color[1], color[2])
    at.gloss = lookup(material.gloss, material.gloss_levels, at.uv, level)
    flat = at.gloss[2] * at.gloss[2] + at.gloss[3] * at.gloss[3]
    at.upright = wp.sqrt(wp.max(1.0 - flat, 0.04))
    at.normal = wp.normalize(
        at.smooth * at.upright + at.tangent * at.gloss[2] + at.bitangent * at.gloss[3]
    )
    v = samples.view[i]
    at.cosine = wp.dot(at.normal, v)
    at.mirror = at.normal * (2.0 * at.cosine) - v
    p = polynomials(at.normal)
    at.at0 = gathered(surface.light, at.corners[0], p)
    at.at1 = gathered(surface.light, at.corners[1], p)
    at.at2 = gathered(surface.light, at.corners[2], p)
    e = at.at0 * at.weights[0] + at.at1 * at.weights[1] + at.at2 * at.weights[2]
    at.diffuse = wp.max(e, wp.vec3(0.0))
    at.lobe = lobe_level(lobes, at.gloss[0])
    shares = shares_of(at.mirror)
    at.patch0 = patch_at(lobes, at.lobe.low, shares)
    at.patch1 = patch_at(lobes, at.lobe.low + 1, shares)
    at.lobe0 = patched(lobes.texels, at.patch0)
    at.lobe1 = patched(lobes.texels, at.patch1)
    at.seen = at.lobe0 * (1.0 - at.lobe.share) + at.lobe1 * at.lobe.share
    at.share = openness(surface, at.corners, at.weights, at.mirror)
    at.table = table_at(lobes.table, at.gloss[0], wp.max(at.cosine, LEAST_COSINE))
    return at


@wp.func
def normal_reflectance(base: wp.vec3, metallic: wp.float32) -> wp.vec3:
    return wp.vec3(DIELECTRIC * (1.0 - metallic)) + base * metallic


@wp.func
def reflected(f0: wp.vec3, table: wp.vec2) -> wp.vec3:
    """(f0 A + B) (1 + f0 (1 / (A + B) - 1)), per colour."""
    again = 1.0 / wp.max(table[0] + table[1], 1.0e-3) - 1.0
    once = f0 * table[0] + wp.vec3(table[1])
    return wp.cw_mul(once, wp.vec3(1.0) + f0 * again)


@wp.kernel(enable_backward=False)
def shade_kernel(
    surface: Surface,
    material: Material,
    lobes: Lobes,
    samples: Samples,
    first: wp.int32,
    color: wp.array[wp.vec3],
):
    """Linear radiance per sample; 0 where nothing is."""
    i = first + wp.tid()
    if samples.face[i] < 0:
        color[i] = wp.vec3(0.0)
        return
    at = point_at(surface, material, lobes, samples, i)
    metallic = at.gloss[1]
    kept = (1.0 - metallic) * (1.0 - DIELECTRIC * at.table[0] - at.table[1])
    incoming = at.seen * at.share + surface.glow[0] * (1.0 - at.share)
    specular = reflected(normal_reflectance(at.base, metallic), at.table)
    color[i] = wp.cw_mul(at.base, at.diffuse) * kept + wp.cw_mul(incoming, specular)


@wp.func
def pull_on_normal(p: wp.vec3, e: wp.array2d[wp.vec3], corners: wp.vec3i, w: wp.vec3, g: wp.vec3):
    """Gradient of g · sum_k light_k p_k(n) with respect to n."""
    c = vec9()
    for k in range(9):
        total = e[corners[0], k] * w[0] + e[corners[1], k] * w[1] + e[corners[2], k] * w[2]
        c[k] = wp.dot(total, g)
    x = p[0]
    y = p[1]
    z = p[2]
    return wp.vec3(
        c[1] + c[4] * y + c[7] * z + 2.0 * c[8] * x,
        c[2] + c[4] * x + c[5] * z - 2.0 * c[8] * y,
        c[3] + c[5] * y + 6.0 * c[6] * z + c[7] * x,
    )


@wp.kernel(enable_backward=False)
def shade_adjoint_kernel(
    surface: Surface,
    material: Material,
    lobes: Lobes,
    samples: Samples,
    first: wp.int32,
    grad_color: wp.array[wp.vec3],
    grads: Grads,
):
    """Adjoint of shade_kernel.

    n·v in the table, mip levels, view and occlusion count as constant. With f = reflected:
    df/df0 = A (1 + f0 q) + (f0 A + B) q,  q = 1/(A + B) - 1,  dq/dA = dq/dB = -1/(A + B)².
    The mapped normal follows the smooth one as a rigid frame: d·n = (n × g) × s for the smooth s.
    """
    i = first + wp.tid()
    if samples.face[i] < 0:
        if grads.wants[2] != 0:
            grads.bary[i] = wp.vec2(0.0)
        return
    g = grad_color[i]
    at = point_at(surface, material, lobes, samples, i)
    rough = at.gloss[0]
    metallic = at.gloss[1]
    a = at.table[0]
    b = at.table[1]
    base_share = 1.0 - DIELECTRIC * a - b
    f0 = normal_reflectance(at.base, metallic)
    incoming = at.seen * at.share + surface.glow[0] * (1.0 - at.share)
    specular = reflected(f0, at.table)

    g_light = wp.cw_mul(g, at.base) * ((1.0 - metallic) * base_share)  # for E / pi
    for c in range(3):
        if at.diffuse[c] <= 0.0:
            g_light[c] = 0.0
    g_lobe = wp.cw_mul(g, specular) * at.share
    g_normal = pull_on_normal(at.normal, surface.light, at.corners, at.weights, g_light)
    lobe = at.lobe
    g_mirror = map_slope(lobes, lobe.low, at.patch0, at.mirror, g_lobe * (1.0 - lobe.share))
    g_mirror += map_slope(lobes, lobe.low + 1, at.patch1, at.mirror, g_lobe * lobe.share)
    v = samples.view[i]
    g_normal += v * (2.0 * wp.dot(g_mirror, at.normal)) + g_mirror * (2.0 * at.cosine)

    if grads.wants[0] != 0 or grads.wants[2] != 0:
        total = wp.max(a + b, 1.0e-3)
        q = 1.0 / total - 1.0
        once = f0 * a + wp.vec3(b)
        again = wp.vec3(1.0) + f0 * q
        g_f = wp.cw_mul(g, incoming)
        g_f0 = wp.cw_mul(g_f, again * a + once * q)
        lit = wp.cw_mul(at.base, at.diffuse)
        g_base = wp.cw_mul(g, at.diffuse) * ((1.0 - metallic) * base_share) + g_f0 * metallic
        g_metallic = wp.dot(g_f0, at.base - wp.vec3(DIELECTRIC)) - wp.dot(g, lit) * base_share
        squeeze = wp.dot(wp.cw_mul(g_f, once), f0) / (total * total)
        g_a = wp.dot(g_f, wp.cw_mul(f0, again)) - squeeze
        g_a -= wp.dot(g, lit) * (1.0 - metallic) * DIELECTRIC
        g_b = wp.dot(g_f, again) - squeeze - wp.dot(g, lit) * (1.0 - metallic)
        # along roughness: the table's slope, and the next filtered map
        nv = wp.max(at.cosine, LEAST_COSINE)
        steps = wp.float32(lobes.table.shape[0] - 1)
        row = wp.clamp(rough * steps, 0.0, steps - 1.0e-3)
        low = wp.floor(row) / steps
        rise = (
            table_at(lobes.table, low + 1.0 / steps, nv) - table_at(lobes.table, low, nv)
        ) * steps
        g_rough = g_a * rise[0] + g_b * rise[1]
        if lobe.slope > 0.0:
            g_rough += wp.dot(g_lobe, at.lobe1 - at.lobe0) * lobe.slope
        g_x = wp.dot(g_normal, at.tangent) - wp.dot(g_normal, at.smooth) * at.gloss[2] / at.upright
        g_y = (
            wp.dot(g_normal, at.bitangent) - wp.dot(g_normal, at.smooth) * at.gloss[3] / at.upright
        )
        g_base4 = wp.vec4(g_base[0], g_base[1], g_base[2], 0.0)
        g_gloss = wp.vec4(g_rough, g_metallic, g_x, g_y)
        level = samples.level[i]
        if grads.wants[0] != 0:
            scatter(grads.base, material.base_levels, at.uv, level, g_base4)
            scatter(grads.gloss, material.gloss_levels, at.uv, level, g_gloss)
        if grads.wants[2] != 0:
            slope = lookup_slope(material.base, material.base_levels, at.uv, level, g_base4)
            slope += lookup_slope(material.gloss, material.gloss_levels, at.uv, level, g_gloss)
            pull = wp.cross(wp.cross(at.normal, g_normal), at.smooth) / at.length
            by = wp.vec3(0.0)
            for j in range(3):
                wp.atomic_add(grads.normals, at.corners[j], pull * at.weights[j])
                by[j] = wp.dot(surface.uvs[at.spots[j]], slope)
                by[j] += wp.dot(surface.normals[at.corners[j]], pull)
            by += wp.vec3(wp.dot(at.at0, g_light), wp.dot(at.at1, g_light), wp.dot(at.at2, g_light))
            grads.bary[i] = wp.vec2(by[0] - by[2], by[1] - by[2])
    if grads.wants[1] != 0 and i % samples.light_every == 0:
        times = wp.float32(samples.light_every)
        p = polynomials(at.normal)
        for j in range(3):
            for k in range(9):
                wp.atomic_add(
                    grads.light, at.corners[j], k, g_light * (p[k] * at.weights[j] * times)
                )
        give_patch(grads.lobes, at.patch0, g_lobe * ((1.0 - lobe.share) * times))
        give_patch(grads.lobes, at.patch1, g_lobe * (lobe.share * times))
