# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The shape of the sample object, a toy rocket, as a signed distance; positive outside.

A function of position alone, so the truth is exact at any resolution. World: +Z up, metres, about
2 m tall; the porthole looks along -Y. Fins, ring and body close loops: the genus is 3.
Source of the distance primitives: Hart, Sphere tracing, 1996, appendix; the smooth minimum is the
cubic polynomial of the same family.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

BODY_RADIUS = wp.constant(1.1213)  # of the two arcs whose overlap, revolved, is the hull
BODY_OFFSET = wp.constant(0.6813)  # their centres' distance from the axis
BODY_FLOOR = wp.constant(-0.60)
RING_HEIGHT = wp.constant(-0.86)
RING_RADIUS = wp.constant(0.66)
WINDOW = wp.constant(wp.vec3(0.0, -0.412, 0.22))
WINDOW_AXIS = wp.constant(wp.vec3(0.0, -0.9815, 0.1917))  # the hull's normal there


@wp.struct
class Parts:
    """Distance to each part, all in metres."""

    hull: float
    collar: float
    nozzle: float
    fins: float
    ring: float
    window: float
    antenna: float


@wp.func
def smooth_union(a: float, b: float, width: float) -> float:
    h = wp.max(width - wp.abs(a - b), 0.0) / width
    return wp.min(a, b) - h * h * h * width / 6.0


@wp.func
def torus(radial: float, height: float, radius: float, tube: float) -> float:
    return wp.length(wp.vec2(radial - radius, height)) - tube


@wp.func
def segment(p: wp.vec2, a: wp.vec2, b: wp.vec2) -> float:
    along = b - a
    t = wp.clamp(wp.dot(p - a, along) / wp.dot(along, along), 0.0, 1.0)
    return wp.length(p - a - t * along)


@wp.func
def left_of(p: wp.vec2, a: wp.vec2, b: wp.vec2) -> float:
    """Signed distance to the line a-b; positive to its right, outside a counter-clockwise shape."""
    d = wp.normalize(b - a)
    return (p[0] - a[0]) * d[1] - (p[1] - a[1]) * d[0]


@wp.func
def fold_three(p: wp.vec3) -> wp.vec3:
    """Turn by a multiple of 120 degrees, to the sector around +Y."""
    third = 2.0 * wp.pi / 3.0
    angle = wp.atan2(p[0], p[1])
    angle = angle - third * wp.floor(angle / third + 0.5)
    radial = wp.length(wp.vec2(p[0], p[1]))
    return wp.vec3(radial * wp.sin(angle), radial * wp.cos(angle), p[2])


@wp.func
def fin(p: wp.vec3) -> float:
    # A swept blade: a convex quadrilateral in the (radial, height) plane, thinner outwards.
    folded = fold_three(p)
    q = wp.vec2(folded[1], folded[2])
    a = wp.vec2(0.20, -0.62)
    b = wp.vec2(0.60, -0.92)
    c = wp.vec2(0.70, -0.84)
    d = wp.vec2(0.66, -0.52)
    e = wp.vec2(0.20, 0.08)
    outline = wp.max(left_of(q, a, b), wp.max(left_of(q, b, c), left_of(q, c, d)))
    outline = wp.max(outline, left_of(q, d, e))
    half = 0.038 - 0.02 * wp.clamp((folded[1] - 0.2) / 0.5, 0.0, 1.0)
    side = wp.abs(folded[0]) - half
    corner = wp.length(wp.vec2(wp.max(outline + 0.015, 0.0), wp.max(side + 0.015, 0.0)))
    return corner + wp.min(wp.max(outline + 0.015, side + 0.015), 0.0) - 0.015


@wp.func
def parts_at(p: wp.vec3) -> Parts:
    radial = wp.length(wp.vec2(p[0], p[1]))
    parts = Parts()
    arc = wp.length(wp.vec2(radial + BODY_OFFSET, p[2])) - BODY_RADIUS
    parts.hull = wp.max(arc, BODY_FLOOR - p[2])
    seam_low = wp.max(wp.abs(p[2] + 0.30) - 0.022, arc - 0.018)
    seam_high = wp.max(wp.abs(p[2] - 0.53) - 0.022, arc - 0.018)
    parts.collar = wp.min(wp.max(seam_low, -0.05 - arc), wp.max(seam_high, -0.05 - arc))
    # A bell: wider at the bottom, hollow.
    slope = 0.17 + 0.35 * (-0.58 - p[2])
    bell = wp.max((radial - slope) * 0.94, wp.abs(p[2] + 0.67) - 0.12)
    hollow = wp.max((radial - slope + 0.045) * 0.94, p[2] + 0.64)
    parts.nozzle = wp.max(bell, -hollow)
    parts.fins = fin(p)
    parts.ring = torus(radial, p[2] - RING_HEIGHT, RING_RADIUS, 0.055)
    to_window = p - WINDOW
    depth = wp.dot(to_window, WINDOW_AXIS)
    across = wp.length(to_window - depth * WINDOW_AXIS)
    parts.window = torus(across, depth, 0.15, 0.036)
    q = wp.vec2(radial, p[2])
    stick = segment(q, wp.vec2(0.0, 0.8), wp.vec2(0.0, 1.02)) - 0.024
    parts.antenna = smooth_union(stick, wp.length(q - wp.vec2(0.0, 1.05)) - 0.062, 0.03)
    return parts


@wp.func
def distance_at(p: wp.vec3) -> float:
    parts = parts_at(p)
    body = smooth_union(parts.hull, parts.antenna, 0.05)
    body = wp.min(body, parts.collar)
    body = wp.min(body, parts.nozzle)
    body = smooth_union(body, parts.window, 0.02)
    legs = smooth_union(parts.fins, parts.ring, 0.04)
    return smooth_union(body, legs, 0.06)


@wp.func
def normal_at(p: wp.vec3) -> wp.vec3:
    # Four evaluations at the corners of a tetrahedron give the gradient without bias.
    step = wp.float32(5.0e-4)
    a = wp.vec3(1.0, -1.0, -1.0)
    b = wp.vec3(-1.0, -1.0, 1.0)
    c = wp.vec3(-1.0, 1.0, -1.0)
    d = wp.vec3(1.0, 1.0, 1.0)
    gradient = a * distance_at(p + step * a) + b * distance_at(p + step * b)
    gradient += c * distance_at(p + step * c) + d * distance_at(p + step * d)
    return wp.normalize(gradient)
