# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which faces lie side by side, and the pieces that they form."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

__all__ = ["face_pairs", "pieces"]


def face_pairs(
    faces: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the edges where the surface goes on from one face to exactly one other.

    Edges of one or of more than two faces are borders, and so are edges that both faces walk in
    the same direction (their windings disagree).

    Args:
        faces: Vertex indices (f, 3).

    Returns:
        Face pairs (pair, 2), and as which side (0, 1, 2) each of the two has the shared edge
        (pair, 2); side k runs from corner k to the next.
    """
    start = faces.astype(np.int64).ravel()
    stop = faces[:, [1, 2, 0]].astype(np.int64).ravel()
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    key = low * (int(faces.max(initial=0)) + 1) + high
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else order
    count = np.diff(np.r_[first, len(key)])
    first = first[count == 2]
    a, b = order[first], order[first + 1]
    good = (start[a] == stop[b]) & (start[a] != stop[a]) & (a // 3 != b // 3)
    halves = np.stack([a[good], b[good]], axis=1)
    return halves // 3, halves % 3


def pieces(count: int, pairs: NDArray[np.integer]) -> tuple[int, NDArray[np.int64]]:
    """Number the connected pieces of ``count`` faces joined by ``pairs``.

    Returns:
        How many pieces, and the piece of each face (count,), numbered by their first face.
    """
    if count == 0:
        return 0, np.zeros(0, np.int64)
    ones = np.ones(len(pairs), np.int8)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    total, piece = connected_components(graph, directed=False)
    return int(total), piece.astype(np.int64)
