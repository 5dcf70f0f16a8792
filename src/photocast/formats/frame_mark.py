# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which way is up in one of our own GLBs: what its root node turns to +Y."""

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.formats.gltf_document import FRAME_MARK
from photocast.geometry.upright import matrix_of

__all__ = ["frame_up"]


def frame_up(path: Path) -> NDArray[np.float64] | None:
    """Read the world's up direction (3,); ``None`` from a file that is not ours, or damaged."""
    if path.suffix.lower() != ".glb" or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            size = struct.unpack("<12xI4x", file.read(20))[0]
            document = json.loads(file.read(size))
        for node in document["nodes"]:
            if FRAME_MARK in node.get("extras", {}):
                x, y, z, w = (float(value) for value in node.get("rotation", (0, 0, 0, 1)))
                up: NDArray[np.float64] = matrix_of((x, y, z, w)).T @ np.array([0.0, 1.0, 0.0])
                return up
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None
