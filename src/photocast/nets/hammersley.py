# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Evenly spread points and directions (Hammersley's sequence), in float64."""

import math

__all__ = ["hammersley", "sphere_hammersley"]

_PRIMES = (2, 3, 5, 7, 11, 13)


def hammersley(dim: int, index: int, count: int) -> list[float]:
    """Point ``index`` of ``count`` in the unit cube of ``dim`` dimensions."""
    return [index / count, *(_radical_inverse(base, index) for base in _PRIMES[: dim - 1])]


def sphere_hammersley(
    index: int, count: int, offset: tuple[float, float] = (0.0, 0.0), remap: bool = False
) -> tuple[float, float]:
    """Yaw and pitch [rad] of direction ``index`` of ``count``.

    Args:
        index: Which direction.
        count: How many there are.
        offset: Moves the sequence, by shares of a step down and of a turn around.
        remap: Look less often from below.
    """
    u, v = hammersley(2, index, count)
    u, v = u + offset[0] / count, v + offset[1]
    if remap:
        u = 2 * u if u < 0.25 else 2 / 3 * u + 1 / 3
    return 2 * math.pi * v, math.acos(1 - 2 * u) - math.pi / 2


def _radical_inverse(base: int, index: int) -> float:
    """The digits of ``index``, mirrored at the point."""
    value, weight = 0.0, 1.0 / base
    while index:
        index, digit = divmod(index, base)
        value += digit * weight
        weight /= base
    return value
