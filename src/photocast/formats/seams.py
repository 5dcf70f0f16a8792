# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Split vertices at UV seams for files that need it, and weld them again after loading.

In memory a position exists once; a file with one index per corner must repeat it for every UV.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh

__all__ = ["SplitCorners", "distinct_rows", "split_corners", "weld"]


@dataclass(frozen=True, slots=True, eq=False)
class SplitCorners:
    """One entry per distinct pair of vertex and UV."""

    vertex: NDArray[np.int64]
    """Which vertex each entry copies, (s,), ascending."""
    uv: NDArray[np.int64] | None
    """Which UV each entry copies, (s,)."""
    faces: NDArray[np.uint32]
    """(f, 3), indices of entries."""


def split_corners(mesh: Mesh) -> SplitCorners:
    """List the (vertex, UV) pairs that the faces use; all vertices if there are no UVs."""
    if mesh.uvs is None or mesh.uv_faces is None:
        every = np.arange(len(mesh.vertices), dtype=np.int64)
        return SplitCorners(every, None, mesh.faces.astype(np.uint32))
    uv_count = len(mesh.uvs)
    keys = mesh.faces.astype(np.int64) * uv_count + mesh.uv_faces
    pairs, inverse = np.unique(keys.ravel(), return_inverse=True)
    faces = inverse.reshape(-1, 3).astype(np.uint32)
    return SplitCorners(pairs // uv_count, pairs % uv_count, faces)


def distinct_rows(rows: NDArray[np.floating[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find equal rows, keeping the order in which they first appear.

    Args:
        rows: (n, k).

    Returns:
        Where each distinct row first appears (d,), and for every row the one it equals (n,).
    """
    keys = np.ascontiguousarray(rows + 0.0)  # -0.0 and 0.0 are the same place
    columns = keys.view(f"u{keys.itemsize}").T  # bits are sorted faster than rows are compared
    order = np.lexsort(columns)  # stable: the first of equal rows comes first
    new = np.ones(len(order), dtype=bool)
    new[1:] = (columns[:, order[1:]] != columns[:, order[:-1]]).any(axis=0)
    first = order[new]
    appearance = np.argsort(first)
    rank = np.empty_like(appearance)
    rank[appearance] = np.arange(len(appearance))
    inverse = np.empty_like(order)
    inverse[order] = rank[np.cumsum(new) - 1]
    return first[appearance], inverse


def weld(mesh: Mesh) -> Mesh:
    """Merge vertices at equal positions; their UVs stay apart, their first colour stays.

    Files repeat a vertex for every UV, normal or triangle; the surface has it once.
    """
    first, vertex = distinct_rows(mesh.vertices)
    faces = vertex[mesh.faces].astype(np.int32)
    uvs = uv_faces = None
    if mesh.uvs is not None and mesh.uv_faces is not None:
        keys = (faces.astype(np.int64) * len(mesh.uvs) + mesh.uv_faces).ravel()
        pairs, corner = np.unique(keys, return_inverse=True)
        rows = mesh.uvs[pairs % len(mesh.uvs)].astype(np.float64)
        first_uv, uv = distinct_rows(np.column_stack([pairs // len(mesh.uvs), rows]))
        uvs = np.ascontiguousarray(rows[first_uv], dtype=np.float32)
        uv_faces = uv[corner].reshape(-1, 3).astype(np.int32)
    return replace(
        mesh,
        vertices=mesh.vertices[first],
        faces=faces,
        uvs=uvs,
        uv_faces=uv_faces,
        colors=None if mesh.colors is None else mesh.colors[first],
    )
