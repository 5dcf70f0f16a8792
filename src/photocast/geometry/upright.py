# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The shortest turn that brings a capture's up to +Y, as the root of our GLB does."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["matrix_of", "upright_matrix", "upright_quaternion"]


def upright_quaternion(up: NDArray[np.floating[Any]]) -> tuple[float, float, float, float]:
    """Turn ``up``, (3,) of any length, to +Y; a unit quaternion x y z w, as glTF writes it."""
    x, y, z = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    if y < -1 + 1e-9:
        return (1.0, 0.0, 0.0, 0.0)  # upside down: any level axis will do
    quaternion = np.array([-z, 0.0, x, 1.0 + y])  # cross(up, +Y), 1 + dot(up, +Y)
    a, b, c, d = (float(q) for q in quaternion / np.linalg.norm(quaternion))
    return (a, b, c, d)


def upright_matrix(up: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the same turn as a matrix (3, 3), from the capture's frame to the GLB's."""
    return matrix_of(upright_quaternion(up))


def matrix_of(quaternion: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Turn a unit quaternion x y z w into a rotation matrix (3, 3)."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
