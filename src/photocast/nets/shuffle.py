# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Channels into places and back, on dense 3D grids.

Channel c * f^3 + (dx * f + dy) * f + dz belongs to the place (f x + dx, f y + dy, f z + dz).
"""

from jaxtyping import Float
from torch import Tensor

__all__ = ["patchify", "pixel_shuffle_3d", "unpatchify"]

Fine = Float[Tensor, "batch channel x y z"]
Coarse = Float[Tensor, "batch patch i j k"]


def patchify(x: Fine, size: int) -> Coarse:
    """Gather cubes of size x size x size places into channels."""
    split = x.unflatten(4, (-1, size)).unflatten(3, (-1, size)).unflatten(2, (-1, size))
    patches: Tensor = split.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)
    return patches


def unpatchify(x: Coarse, size: int) -> Fine:
    """Undo :func:`patchify`."""
    split = x.unflatten(1, (-1, size, size, size))  # batch channel dx dy dz x y z
    grid: Tensor = split.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)
    return grid


pixel_shuffle_3d = unpatchify
