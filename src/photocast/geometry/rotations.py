# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotations spread evenly over all there are, and angles between rotations."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

__all__ = ["angles_between", "spread_rotations", "turned"]

_PSI = 1.533751168755204288118041  # the root of x^4 = x + 4


def spread_rotations(count: int) -> NDArray[np.float64]:
    """Matrices (count, 3, 3), nearly evenly spread; 600 leave no rotation further than 26 degrees.

    Source: Alexa, Super-Fibonacci spirals: fast, low-discrepancy sampling of SO(3), 2022.
    """
    s = np.arange(count) + 0.5
    inner, outer = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / np.sqrt(2), 2 * np.pi * s / _PSI
    rows = [inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta)]
    quaternions = np.stack([*rows, outer * np.cos(beta)], axis=1)
    matrices: NDArray[np.float64] = Rotation.from_quat(quaternions).as_matrix()
    return matrices


def angles_between(a: Tensor, b: Tensor) -> Tensor:
    """Angles [rad] between rotation matrices (..., 3, 3)."""
    trace = (a * b).sum((-2, -1))
    return ((trace - 1) / 2).clamp(-1, 1).acos()


def turned(rotations: Tensor, angle: float) -> Tensor:
    """Each rotation (way, 3, 3) after a turn [rad] about each axis, both ways: (way, 6, 3, 3)."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    turns = Rotation.from_rotvec(angle * axes).as_matrix()
    return rotations[:, None] @ torch.from_numpy(turns).to(rotations)
