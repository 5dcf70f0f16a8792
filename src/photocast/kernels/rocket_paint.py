# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the sample rocket is painted with: base colour and roughness as functions of position.

Colours are linear light. Edges of the pattern are sharp: the renderer's samples smooth them.
"""

import warp as wp

from photocast.kernels.pathtrace_material import Surface
from photocast.kernels.rocket import (
    WINDOW,
    WINDOW_AXIS,
    distance_at,
    fold_three,
    normal_at,
    parts_at,
)

wp.set_module_options({"enable_backward": False})

CREAM = wp.constant(wp.vec3(0.74, 0.65, 0.47))
RED = wp.constant(wp.vec3(0.62, 0.055, 0.035))
TEAL = wp.constant(wp.vec3(0.03, 0.27, 0.30))
YELLOW = wp.constant(wp.vec3(0.78, 0.46, 0.05))
NAVY = wp.constant(wp.vec3(0.03, 0.05, 0.12))
STEEL = wp.constant(wp.vec3(0.20, 0.20, 0.21))
GLASS = wp.constant(wp.vec3(0.20, 0.45, 0.62))
SHINE = wp.constant(wp.vec3(0.72, 0.82, 0.86))


@wp.func
def stripes(value: float, period: float) -> bool:
    """True in the first half of each period."""
    return value / period - wp.floor(value / period) < 0.5


@wp.func
def turn(p: wp.vec3) -> float:
    """Share of a full turn around the axis, 0..1."""
    return wp.atan2(p[1], p[0]) / (2.0 * wp.pi) + 0.5


@wp.func
def mottle(p: wp.vec3) -> float:
    """Worn paint: three octaves of gradient noise, about -1..1."""
    state = wp.rand_init(7)
    coarse = wp.noise(state, p * 5.0)
    middle = wp.noise(state, p * 17.0)
    fine = wp.noise(state, p * 53.0)
    return coarse + 0.7 * middle + 0.5 * fine


@wp.func
def star(q: wp.vec2, radius: float) -> bool:
    """Inside a five-pointed star, one point up."""
    fifth = 2.0 * wp.pi / 5.0
    angle = wp.atan2(q[0], q[1])
    angle = wp.abs(angle - fifth * wp.floor(angle / fifth + 0.5))
    # The edge runs from the tip (angle 0) to the notch (angle 36 degrees, 0.4 of the radius).
    x = wp.length(q) * wp.cos(angle) / radius
    y = wp.length(q) * wp.sin(angle) / radius
    return y * 0.6764 < (1.0 - x) * 0.2351


@wp.func
def hull_paint(p: wp.vec3) -> wp.vec3:
    around = turn(p)
    if p[2] > 0.53:  # nose: candy spiral
        if stripes(around * 3.0 + p[2] * 4.0, 1.0):
            return RED
        return CREAM
    if p[2] < -0.30:  # skirt: checkers
        checker = stripes(around, 1.0 / 9.0) != stripes(p[2] + 0.30, 0.2)
        if checker:
            return NAVY
        return CREAM
    if p[2] > 0.43:
        return TEAL
    if p[2] > 0.405 and p[2] < 0.42:
        return NAVY
    # A row of dots, a star on the back, rivets along the lower seam.
    cell = around * 12.0 - wp.floor(around * 12.0) - 0.5
    if wp.length(wp.vec2(cell * 0.22, p[2] + 0.12)) < 0.052:
        return YELLOW
    if p[1] > 0.0 and star(wp.vec2(-p[0], p[2] - 0.17), 0.2):
        return RED
    rivet = around * 40.0 - wp.floor(around * 40.0) - 0.5
    if wp.length(wp.vec2(rivet * 0.066, p[2] + 0.25)) < 0.014:
        return STEEL
    return CREAM


@wp.func
def fin_paint(p: wp.vec3) -> wp.vec3:
    q = fold_three(p)
    if stripes(q[1] * 0.8 + q[2], 0.19):
        return RED
    return YELLOW


@wp.func
def window_paint(p: wp.vec3) -> wp.vec3:
    # The glass mirrors a soft diagonal gleam, painted on.
    q = p - WINDOW
    gleam = wp.abs(q[0] + q[2] + 0.03)
    if gleam < 0.022 or wp.abs(gleam - 0.06) < 0.01:
        return SHINE
    return GLASS


@wp.func
def paint(p: wp.vec3) -> wp.vec4:
    """Base colour, and roughness in the last component, before wear."""
    parts = parts_at(p)
    nearest = parts.hull
    result = hull_paint(p)
    rough = wp.float32(0.5)
    across = p - WINDOW
    depth = wp.dot(across, WINDOW_AXIS)
    if wp.length(across - depth * WINDOW_AXIS) < 0.15 and wp.abs(depth) < 0.1:
        result = window_paint(p)
        rough = 0.25
    if parts.collar < nearest:
        nearest = parts.collar
        result = NAVY
        rough = 0.4
    if parts.nozzle < nearest:
        nearest = parts.nozzle
        result = STEEL
        if stripes(p[2], 0.08):
            result = STEEL * 0.45
        rough = 0.6
    if parts.fins < nearest:
        nearest = parts.fins
        result = fin_paint(p)
    if parts.antenna < nearest:
        nearest = parts.antenna
        result = YELLOW
        rough = 0.35
    if parts.window < nearest:
        nearest = parts.window
        result = YELLOW
        rough = 0.35
    if parts.ring < nearest:
        result = TEAL
        if stripes(turn(p), 1.0 / 12.0):
            result = CREAM
    return wp.vec4(result[0], result[1], result[2], rough)


@wp.func
def rocket_surface(p: wp.vec3, normal: wp.vec3) -> Surface:
    """Paint, wear and the exact normal, at a point on the mesh."""
    coat = paint(p)
    wear = mottle(p)
    surface = Surface()
    worn = wp.vec3(coat[0], coat[1], coat[2]) * (1.0 + 0.22 * wear)
    surface.base_color = wp.min(worn, wp.vec3(0.95))
    surface.roughness = wp.clamp(coat[3] + 0.08 * wear, 0.2, 0.8)
    surface.specular = 0.04
    surface.normal = normal_at(p)
    return surface


@wp.kernel
def distance_kernel(points: wp.array(dtype=wp.vec3), out: wp.array(dtype=float)):
    i = wp.tid()
    out[i] = distance_at(points[i])


@wp.kernel
def surface_kernel(
    points: wp.array(dtype=wp.vec3),
    colors: wp.array(dtype=wp.vec3),
    roughness: wp.array(dtype=float),
    normals: wp.array(dtype=wp.vec3),
):
    i = wp.tid()
    surface = rocket_surface(points[i], wp.vec3(0.0, 0.0, 1.0))
    colors[i] = surface.base_color
    roughness[i] = surface.roughness
    normals[i] = surface.normal
