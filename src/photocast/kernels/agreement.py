# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Faces listen to their neighbours: about where they look, and about which direction they take."""

import warp as wp

vec6 = wp.types.vector(length=6, dtype=wp.float32)


@wp.kernel(enable_backward=False)
def soften(
    start: int,
    neighbours: wp.array(dtype=wp.vec3i),
    weights: wp.array(dtype=wp.vec3),
    before: wp.array(dtype=wp.vec3),
    after: wp.array(dtype=wp.vec3),
):
    """Move each face's vector half way to the mean of its neighbours; -1 is no neighbour."""
    f = start + wp.tid()
    around = wp.vec3()
    for k in range(3):
        beside = neighbours[f][k]
        if beside >= 0:
            around += weights[f][k] * before[beside]
    after[f] = 0.5 * (before[f] + around)


@wp.kernel(enable_backward=False)
def discuss(
    start: int,
    neighbours: wp.array(dtype=wp.vec3i),
    weights: wp.array(dtype=wp.vec3),
    fit: wp.array(dtype=vec6),
    weight: float,
    before: wp.array(dtype=vec6),
    after: wp.array(dtype=vec6),
):
    """Share out each face's belief by its own fit and what its neighbours believe.

    Scores must stay small enough for exp().
    """
    f = start + wp.tid()
    score = fit[f]
    for k in range(3):
        beside = neighbours[f][k]
        if beside >= 0:
            score += (weight * weights[f][k]) * before[beside]
    total = float(0.0)
    for i in range(6):
        score[i] = wp.exp(score[i])
        total += score[i]
    after[f] = score / total
