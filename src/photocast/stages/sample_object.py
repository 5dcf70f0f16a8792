# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The sample object as a mesh: a toy rocket of the project's own making.

World: +Z up, metres. A closed surface of one piece and genus 3: body, three fins and a ring. The
mesh is what is photographed; shading normals and paint come from the exact shape.
"""

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.geometry.level_set import level_set
from photocast.ops.rocket import rocket_distance, rocket_paint

__all__ = ["sample_object"]

_LOWER, _UPPER = np.array([-0.8, -0.8, -1.0]), np.array([0.8, 0.8, 1.2])
_CELL = 0.022
_FACE_COUNT = 30_000
_SMOOTHING_STEPS = 8


def sample_object() -> Mesh:
    """Build the rocket: the same 30 000 triangles each time, with its paint at the vertices."""
    nodes = [np.arange(a, b + _CELL, _CELL) for a, b in zip(_LOWER, _UPPER, strict=True)]
    grid = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1)
    values = rocket_distance(torch.from_numpy(grid.reshape(-1, 3).astype(np.float32)))
    vertices, faces = level_set(values.numpy().reshape(grid.shape[:3]), lower=_LOWER, cell=_CELL)
    fewer, faces = _simplified(_relaxed(vertices, faces), faces)
    points = _on_surface(fewer, steps=2)
    colors, _, _ = rocket_paint(points)
    return Mesh(vertices=points.numpy(), faces=faces, colors=colors.clamp(0, 1).numpy())


def _on_surface(vertices: NDArray[np.floating], *, steps: int) -> torch.Tensor:
    points = torch.from_numpy(vertices.astype(np.float32))
    for _ in range(steps):
        _, _, normals = rocket_paint(points)
        points = points - rocket_distance(points).clamp(-_CELL, _CELL)[:, None] * normals
    return points


def _relaxed(vertices: NDArray[np.floating], faces: NDArray[np.int32]) -> NDArray[np.floating]:
    """Even out the triangles: towards the neighbours' mean, then back onto the surface."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    count = len(vertices)
    links = scipy.sparse.coo_matrix((np.ones(ends.shape[1]), ends), shape=(count, count)).tocsr()
    valence = np.asarray(links.sum(axis=1))
    for _ in range(_SMOOTHING_STEPS):
        mean = (links @ vertices) / valence
        vertices = _on_surface((vertices + mean) / 2, steps=1).numpy()
    return vertices


def _simplified(
    vertices: NDArray[np.floating], faces: NDArray[np.int32]
) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
    import fast_simplification

    # A gentle threshold: an aggressive one folds the thin fins.
    fewer, fewer_faces = fast_simplification.simplify(
        vertices.astype(np.float32), faces, target_count=_FACE_COUNT, agg=3
    )
    if _is_closed(fewer_faces):
        return fewer, fewer_faces.astype(np.int32)
    return vertices, faces


def _is_closed(faces: NDArray[np.integer]) -> bool:
    """Whether each directed edge occurs once, with its opposite."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    span = int(faces.max()) + 1
    forward, backward = edges @ [span, 1], edges @ [1, span]
    return len(np.unique(forward)) == len(forward) and np.array_equal(
        np.sort(forward), np.sort(backward)
    )
