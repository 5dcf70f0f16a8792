# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Look-ups that shading needs: four-channel textures, filtered environments, the split-sum table.

Textures are pyramids as in kernels/texture.py. Environments are latitude-longitude maps, +Z up.
"""

import warp as wp

from photocast.kernels.sums import add_at
from photocast.kernels.texture import Tap, tap_at
from photocast.kernels.vectors import load_texel

wp.set_module_options({"enable_backward": False})


@wp.struct
class Material:
    """Two pyramids: (base colour, unused) and (roughness, metallic, normal x, normal y)."""

    base: wp.array[wp.vec4]
    base_levels: wp.array[wp.vec3i]  # first texel, height, width
    gloss: wp.array[wp.vec4]
    gloss_levels: wp.array[wp.vec3i]


@wp.struct
class Lobes:
    """The environment as mirrors of growing roughness see it, and the split-sum table."""

    texels: wp.array[wp.vec3]  # map after map
    maps: wp.array[wp.vec3i]  # first texel, height, width
    roughness: wp.array[wp.float32]  # of each map, rising
    table: wp.array2d[wp.vec2]  # roughness, n·v


@wp.struct
class LobeLevel:
    low: wp.int32
    share: wp.float32  # of the map after it
    slope: wp.float32  # d share / d roughness; 0 where clamped


@wp.func
def lobe_level(lobes: Lobes, roughness: wp.float32) -> LobeLevel:
    at = LobeLevel()
    at.low = 0
    count = lobes.roughness.shape[0]
    for k in range(count - 1):
        if roughness >= lobes.roughness[k]:
            at.low = wp.min(k, count - 2)
    low = lobes.roughness[at.low]
    high = lobes.roughness[at.low + 1]
    share = (roughness - low) / (high - low)
    at.share = wp.clamp(share, 0.0, 1.0)
    at.slope = wp.where(share >= 0.0 and share <= 1.0, 1.0 / (high - low), 0.0)
    return at


@wp.func
def table_at(table: wp.array2d[wp.vec2], roughness: wp.float32, cosine: wp.float32) -> wp.vec2:
    rows = table.shape[0] - 1
    columns = table.shape[1] - 1
    y = wp.clamp(roughness, 0.0, 1.0) * wp.float32(rows)
    x = wp.clamp(cosine, 0.0, 1.0) * wp.float32(columns)
    i = wp.min(wp.int32(y), rows - 1)
    j = wp.min(wp.int32(x), columns - 1)
    fy = y - wp.float32(i)
    fx = x - wp.float32(j)
    upper = table[i, j] * (1.0 - fx) + table[i, j + 1] * fx
    lower = table[i + 1, j] * (1.0 - fx) + table[i + 1, j + 1] * fx
    return upper * (1.0 - fy) + lower * fy


@wp.func
def level_in(levels: wp.array[wp.vec3i], footprint: wp.float32) -> wp.float32:
    """Mip level at which a footprint of 2**footprint uv units is one texel."""
    size = wp.max(levels[0][1], levels[0][2])
    top = wp.float32(levels.shape[0] - 1)
    return wp.clamp(footprint + wp.log2(wp.float32(size)), 0.0, top)


@wp.func
def mixed(texels: wp.array[wp.vec4], tap: Tap) -> wp.vec4:
    t00 = load_texel(texels, tap.i00)
    t01 = load_texel(texels, tap.i01)
    t10 = load_texel(texels, tap.i10)
    t11 = load_texel(texels, tap.i11)
    upper = t00 * (1.0 - tap.fx) + t01 * tap.fx
    lower = t10 * (1.0 - tap.fx) + t11 * tap.fx
    return upper * (1.0 - tap.fy) + lower * tap.fy


@wp.func
def lookup(
    texels: wp.array[wp.vec4], levels: wp.array[wp.vec3i], uv: wp.vec2, footprint: wp.float32
) -> wp.vec4:
    level = level_in(levels, footprint)
    low = wp.int32(level)
    share = level - wp.float32(low)
    value = mixed(texels, tap_at(levels, low, uv)) * (1.0 - share)
    if share > 0.0:
        value += mixed(texels, tap_at(levels, low + 1, uv)) * share
    return value


@wp.func
def give(grad: wp.array[wp.vec4], tap: Tap, g: wp.vec4):
    add_at(grad, tap.i00, g * ((1.0 - tap.fx) * (1.0 - tap.fy)))
    add_at(grad, tap.i01, g * (tap.fx * (1.0 - tap.fy)))
    add_at(grad, tap.i10, g * ((1.0 - tap.fx) * tap.fy))
    add_at(grad, tap.i11, g * (tap.fx * tap.fy))


@wp.func
def scatter(
    grad: wp.array[wp.vec4],
    levels: wp.array[wp.vec3i],
    uv: wp.vec2,
    footprint: wp.float32,
    g: wp.vec4,
):
    """Adjoint of lookup with respect to the texels."""
    level = level_in(levels, footprint)
    low = wp.int32(level)
    share = level - wp.float32(low)
    give(grad, tap_at(levels, low, uv), g * (1.0 - share))
    if share > 0.0:
        give(grad, tap_at(levels, low + 1, uv), g * share)


@wp.func
def slope_in(
    texels: wp.array[wp.vec4], levels: wp.array[wp.vec3i], level: wp.int32, uv: wp.vec2, g: wp.vec4
) -> wp.vec2:
    tap = tap_at(levels, level, uv)
    t00 = wp.dot(load_texel(texels, tap.i00), g)
    t01 = wp.dot(load_texel(texels, tap.i01), g)
    t10 = wp.dot(load_texel(texels, tap.i10), g)
    t11 = wp.dot(load_texel(texels, tap.i11), g)
    x = (t01 - t00) * (1.0 - tap.fy) + (t11 - t10) * tap.fy
    y = (t10 - t00) * (1.0 - tap.fx) + (t11 - t01) * tap.fx
    return wp.vec2(x * wp.float32(levels[level][2]), y * wp.float32(levels[level][1]))


@wp.func
def lookup_slope(
    texels: wp.array[wp.vec4],
    levels: wp.array[wp.vec3i],
    uv: wp.vec2,
    footprint: wp.float32,
    g: wp.vec4,
) -> wp.vec2:
    """Gradient of g · lookup with respect to uv."""
    level = level_in(levels, footprint)
    low = wp.int32(level)
    share = level - wp.float32(low)
    slope = slope_in(texels, levels, low, uv, g) * (1.0 - share)
    if share > 0.0:
        slope += slope_in(texels, levels, low + 1, uv, g) * share
    return slope


@wp.struct
class Patch:
    """The four texels of one map around a direction; columns wrap, rows end at the poles."""

    i00: wp.int32
    i01: wp.int32
    i10: wp.int32
    i11: wp.int32
    fx: wp.float32
    fy: wp.float32


@wp.func
def shares_of(d: wp.vec3) -> wp.vec2:
    """Where a direction lies on every environment: share of the width, share of the height."""
    x = wp.atan2(d[1], d[0]) / (2.0 * wp.pi)
    return wp.vec2(x, wp.acos(wp.clamp(d[2], -1.0, 1.0)) / wp.pi)


@wp.func
def patch_at(lobes: Lobes, map: wp.int32, spot_of: wp.vec2) -> Patch:
    spot = lobes.maps[map]
    height = spot[1]
    width = spot[2]
    y = spot_of[1] * wp.float32(height) - 0.5
    y = wp.clamp(y, 0.0, wp.float32(height - 1))
    x = spot_of[0] * wp.float32(width) - 0.5
    if x < 0.0:
        x += wp.float32(width)
    row = wp.min(wp.int32(y), height - 2)
    left = wp.min(wp.int32(x), width - 1)
    right = (left + 1) % width
    at = Patch()
    at.fx = x - wp.float32(left)
    at.fy = y - wp.float32(row)
    at.i00 = spot[0] + row * width + left
    at.i01 = spot[0] + row * width + right
    at.i10 = at.i00 + width
    at.i11 = at.i01 + width
    return at


@wp.func
def patched(texels: wp.array[wp.vec3], at: Patch) -> wp.vec3:
    upper = texels[at.i00] * (1.0 - at.fx) + texels[at.i01] * at.fx
    lower = texels[at.i10] * (1.0 - at.fx) + texels[at.i11] * at.fx
    return upper * (1.0 - at.fy) + lower * at.fy


@wp.func
def give_patch(grad: wp.array[wp.vec3], at: Patch, g: wp.vec3):
    wp.atomic_add(grad, at.i00, g * ((1.0 - at.fx) * (1.0 - at.fy)))
    wp.atomic_add(grad, at.i01, g * (at.fx * (1.0 - at.fy)))
    wp.atomic_add(grad, at.i10, g * ((1.0 - at.fx) * at.fy))
    wp.atomic_add(grad, at.i11, g * (at.fx * at.fy))


@wp.func
def patch_slope(texels: wp.array[wp.vec3], at: Patch, g: wp.vec3) -> wp.vec2:
    """Gradient of g · patched with respect to the place in texels, across and down."""
    t00 = wp.dot(texels[at.i00], g)
    t01 = wp.dot(texels[at.i01], g)
    t10 = wp.dot(texels[at.i10], g)
    t11 = wp.dot(texels[at.i11], g)
    by_x = (t01 - t00) * (1.0 - at.fy) + (t11 - t10) * at.fy
    by_y = (t10 - t00) * (1.0 - at.fx) + (t11 - t01) * at.fx
    if at.fy <= 0.0 or at.fy >= 1.0:  # held at the pole
        by_y = 0.0
    return wp.vec2(by_x, by_y)


@wp.func
def map_slope(lobes: Lobes, map: wp.int32, at: Patch, d: wp.vec3, g: wp.vec3) -> wp.vec3:
    """Gradient of g · patched with respect to the (unit) direction."""
    spot = lobes.maps[map]
    by = patch_slope(lobes.texels, at, g)
    by_x = by[0] * wp.float32(spot[2]) / (2.0 * wp.pi)
    by_y = by[1] * wp.float32(spot[1]) / wp.pi
    flat = wp.max(d[0] * d[0] + d[1] * d[1], 1.0e-6)
    return wp.vec3(-by_x * d[1] / flat, by_x * d[0] / flat, -by_y / wp.sqrt(flat))
