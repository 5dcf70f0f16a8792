# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How a drawn picture differs from its photo, and the gradient, in one pass over the pixels."""

import warp as wp

wp.set_module_options({"enable_backward": False})

LEAST_COVERED = wp.constant(1.0e-3)
SOFT = wp.constant(1.0e-4)  # squared residual [sRGB] around which absolute turns to squared
KNEE = wp.constant(0.0031308)


@wp.func
def encoded(light: wp.float32) -> wp.float32:
    """Linear light to sRGB (IEC 61966-2-1)."""
    if light <= KNEE:
        return light * 12.92
    return 1.055 * wp.pow(light, 1.0 / 2.4) - 0.055


@wp.func
def encoded_slope(light: wp.float32, code: wp.float32) -> wp.float32:
    """Derivative of ``encoded``, whose value is known."""
    if light <= KNEE:
        return 12.92
    return (code + 0.055) / (2.4 * light)


@wp.kernel(enable_backward=False)
def photo_loss_kernel(
    drawn: wp.array[wp.vec4],
    gain: wp.array[wp.vec3],
    truth: wp.array[wp.vec4ub],
    inside: wp.array[wp.vec2],
    height: wp.int32,
    width: wp.int32,
    first: wp.int32,
    terms: wp.array[wp.vec2],
    grad: wp.array[wp.vec4],
):
    """Per pixel: (sum of smoothed absolute differences, of squared ones of colour), and gradient.

    With light l, coverage a, gain k: straight s = k l / max(a, least), drawn colour f(s) a. So
    d/dl = f'(s) a k / max(a, least), and d/da = f(s), less f'(s) s where a is not held.
    """
    i = first + wp.tid()
    view = i // (height * width)
    y = i // width % height
    if wp.float32(y) >= inside[view][0] or wp.float32(i % width) >= inside[view][1]:
        terms[i] = wp.vec2(4.0 * wp.sqrt(SOFT), 0.0)
        grad[i] = wp.vec4(0.0)
        return
    light = drawn[i]
    photo = truth[i]
    cover = light[3]
    share = wp.float32(photo[3]) / 255.0
    held = wp.max(cover, LEAST_COVERED)
    square = wp.float32(0.0)
    r = cover - share
    root = wp.sqrt(r * r + SOFT)
    total = root
    by_cover = r / root
    g = wp.vec4(0.0)
    for c in range(3):
        straight = light[c] * gain[view][c] / held
        code = encoded(straight)
        r = code * cover - wp.float32(photo[c]) / 255.0 * share
        root = wp.sqrt(r * r + SOFT)
        total += root
        square += r * r
        slope = encoded_slope(straight, code)
        g[c] = r / root * slope * cover * gain[view][c] / held
        own = code
        if cover >= LEAST_COVERED:
            own -= slope * straight
        by_cover += r / root * own
    g[3] = by_cover
    terms[i] = wp.vec2(total, square)
    grad[i] = g
