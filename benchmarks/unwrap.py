# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How long unwrapping takes, and what the atlas is like, from smooth to very noisy surfaces.

Run ``python benchmarks/unwrap.py [face_count ...]``. Times are processor seconds of one core.
"""

import logging
import sys
import time

import fast_simplification
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from photocast.data import Mesh
from photocast.ops.isosurface import marching_cubes
from photocast.stages.unwrap import unwrap
from photocast.stages.uv_coverage import uv_coverage

log = logging.getLogger(__name__)


def isosurface(face_count: int, noise: float) -> Mesh:
    """Two balls and a rod, decimated; ``noise`` shakes the surface by that many voxels."""
    side = int(np.sqrt(face_count / 3.0)) + 16
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * 3, indexing="ij"))
    field = np.minimum(
        np.sqrt((grid[0] - 0.2) ** 2 + grid[1] ** 2 + grid[2] ** 2) - 0.5,
        np.sqrt((grid[0] + 0.4) ** 2 + (1.5 * grid[1]) ** 2 + grid[2] ** 2) - 0.45,
    )
    rod = np.maximum(np.hypot(grid[0], grid[1]) - 0.12, np.abs(grid[2]) - 0.9)
    random = gaussian_filter(np.random.default_rng(0).standard_normal(field.shape), 1.2)
    field = np.minimum(field, rod) + noise * random / random.std() * 2 / side
    surface = marching_cubes(torch.from_numpy(field.astype(np.float32)), border=1.0)
    vertices, faces = (part.numpy() for part in surface)

    if len(faces) > face_count:
        vertices, faces = fast_simplification.simplify(vertices, faces, target_count=face_count)
    return Mesh(vertices.astype(np.float32), faces.astype(np.int32))


def measure(face_count: int, noise: float) -> None:
    """Log one line."""
    mesh = isosurface(face_count, noise)
    numbers: dict[str, float] = {}
    start = time.process_time()
    result = unwrap(mesh, progress=lambda *_, **values: numbers.update(values))
    seconds = time.process_time() - start
    coverage = uv_coverage(result)
    log.info(
        "%7d faces, noise %.1f voxels: %5.1f s, %5d charts, %4.1f %% used, %d texels twice",
        len(mesh.faces),
        noise,
        seconds,
        numbers["charts"],
        100 * float((coverage > 0).mean()),
        int((coverage > 1).sum()),
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for wanted in [int(text) for text in sys.argv[1:]] or [60_000, 300_000]:
        for voxels in (0.0, 0.3, 1.0):
            measure(wanted, voxels)
