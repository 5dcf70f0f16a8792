# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes that several stages are tried on."""

import numpy as np
import pytest

from photocast.data import Mesh
from photocast.geometry.level_set import level_set


@pytest.fixture(scope="session")
def bowl() -> Mesh:
    """Half a ball with a dent of radius 0.75 in its flat top: its hull is filled to the rim.

    On the axis the dent reaches down to z = -0.3.
    """
    axis = np.linspace(-1.1, 1.1, 65)
    p = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    solid = np.maximum(np.linalg.norm(p, axis=-1) - 0.9, p[..., 2] - 0.05)
    dent = 0.75 - np.linalg.norm(p - [0, 0, 0.45], axis=-1)
    vertices, faces = level_set(
        np.maximum(solid, dent), lower=np.full(3, -1.1), cell=axis[1] - axis[0]
    )
    return Mesh(vertices.astype(np.float32), faces)
