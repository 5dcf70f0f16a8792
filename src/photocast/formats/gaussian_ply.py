# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""PLY of 3D gaussians, as viewers of gaussian splatting read it: one float per property."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_gaussian_ply"]


def write_gaussian_ply(rows: NDArray[np.float32], fields: Sequence[str]) -> bytes:
    """Encode gaussians.

    Args:
        rows: A row per gaussian, a column per field.
        fields: Names of the properties.
    """
    if rows.ndim != 2 or rows.shape[1] != len(fields):
        raise ValueError(f"{rows.shape} values do not fit {len(fields)} fields.")
    lines = ["ply", "format binary_little_endian 1.0", "comment photocast"]
    lines += [f"element vertex {len(rows)}", *(f"property float {field}" for field in fields)]
    header = "\n".join([*lines, "end_header", ""]).encode()
    return header + np.ascontiguousarray(rows, "<f4").tobytes()
