# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The program that runs xatlas: vertices and faces of one file in, UVs in another out.

A process of its own, since xatlas cannot be asked to stop, and on some meshes does not.
"""

import sys

import numpy as np

__all__ = ["MISSING", "main"]

MISSING = 9
"""Exit code: xatlas is not installed."""

_SIZE = 1000.0  # of the object: its thresholds are lengths, and drop the triangles of small ones


def main(source: str, target: str) -> int:
    """Unwrap a mesh.

    Args:
        source: An ``.npz`` with ``vertices`` (v, 3) in a box of side 1 and ``faces`` (f, 3).
        target: The ``.npz`` to write, with ``uvs`` (t, 2) in texels of any size and ``faces``.
    """
    try:
        import xatlas
    except (ImportError, OSError):
        return MISSING
    with np.load(source) as mesh:
        vertices, faces = mesh["vertices"], mesh["faces"]
    atlas = xatlas.Atlas()
    atlas.add_mesh((_SIZE * vertices).astype(np.float32), faces.astype(np.uint32))
    options = xatlas.PackOptions()
    options.rotate_charts = False  # it rotates by swapping the axes, which mirrors
    atlas.generate(pack_options=options)
    _, found, uvs = atlas[0]
    size = np.array([atlas.width, atlas.height], np.float64)
    np.savez(target, uvs=uvs.astype(np.float64) * size, faces=found.astype(np.int64))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
