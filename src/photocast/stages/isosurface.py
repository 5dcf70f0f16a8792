# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Turn a fitted volume into a closed, manifold triangle mesh of bounded size."""

import numpy as np
from numpy.typing import NDArray

from photocast.config import MeshConfig
from photocast.data import Mesh
from photocast.errors import PhotocastError
from photocast.geometry.manifold import face_areas, face_parts, separate_touching
from photocast.ops.isosurface import marching_cubes
from photocast.stages.volume import BAND, Volume

__all__ = ["extract_mesh"]

_FEWEST = 20_000  # triangles that are kept whatever their share
_MAX_ROUNDS = 4  # of reducing and taking apart, until the number of triangles is met


def extract_mesh(volume: Volume, config: MeshConfig) -> Mesh:
    """Triangulate the zero level, drop specks, reduce the number of triangles.

    Args:
        volume: Fitted grid.
        config: Size limits.

    Returns:
        A closed mesh in the world, without UVs.

    Raises:
        PhotocastError: The volume is empty.
    """
    points, triangles = marching_cubes(volume.values[..., 3], border=BAND)
    if not len(triangles):
        raise PhotocastError(
            "The fitted volume is empty: the photos agree on no surface. Check the cameras with "
            "'photocast inspect'.",
            code="optimize.empty",
        )
    vertices, faces = points.cpu().numpy(), triangles.cpu().numpy().astype(np.int32)
    vertices, faces = _large_parts(vertices, faces, config.min_part)
    target = min(config.face_count, max(int(config.detail * len(faces)), _FEWEST))
    for _ in range(_MAX_ROUNDS):
        if len(faces) > target:
            vertices, faces = _simplified(vertices, faces, target)
            # Collapsing may leave two sheets that share an edge, or pinch off a speck.
            vertices, faces = _large_parts(vertices, faces, config.min_part)
        vertices, faces = separate_touching(vertices, faces)
        vertices, faces = _large_parts(vertices, faces, config.min_part)
        if len(faces) <= config.face_count:
            break
        target -= 2 * (len(faces) - config.face_count)  # taking sheets apart adds faces
    world = volume.frame.to_world(vertices).astype(np.float32)
    return Mesh(vertices=world, faces=np.ascontiguousarray(faces, np.int32))


def _large_parts(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], min_part: float
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Keep outer surfaces of a relevant size; drop specks, and bubbles inside the solid."""
    parts = face_parts(faces, len(vertices))
    areas = np.bincount(parts, weights=face_areas(vertices, faces))
    volumes = np.bincount(parts, weights=_volumes(vertices, faces))
    count = max(len(areas), len(volumes))
    areas = np.pad(areas, (0, count - len(areas)))
    keep = (areas >= min_part * areas.max()) & (volumes > 0)
    kept = faces[keep[parts]]
    used = np.zeros(len(vertices), bool)
    used[kept] = True
    return vertices[used], (np.cumsum(used, dtype=np.int32) - 1)[kept].astype(np.int32)


def _volumes(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float64]:
    """Signed volume between each face and the origin, (f,)."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (
        vertices.T.astype(np.float64)[:, faces[:, i]] for i in range(3)
    )
    x, y, z = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    volumes: NDArray[np.float64] = (ax * x + ay * y + az * z) / 6
    return volumes


def _simplified(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], target: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Collapse edges until about ``target`` faces are left, without faces that lost a side."""
    import fast_simplification

    fewer, triangles = fast_simplification.simplify(vertices, faces, target_count=max(target, 4))
    a, b, c = triangles.T
    kept = triangles[(a != b) & (b != c) & (c != a)]
    return np.asarray(fewer, np.float32), np.asarray(kept, np.int32)
