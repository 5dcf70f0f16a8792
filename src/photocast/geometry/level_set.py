# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The surface where a sampled function crosses zero, always a closed manifold.

Each grid cell is cut into six tetrahedra around its main diagonal; within a tetrahedron a plane
separates the inside (negative) from the outside, so there is no ambiguous case.
Source: Doi & Koide, An efficient method of triangulating equi-valued surfaces, 1991.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

__all__ = ["level_set"]

# Corner c of a cell is at (c & 1, c >> 1 & 1, c >> 2); a path along the axes a, b, c from corner 0
# to corner 7 gives one tetrahedron.
_TETRAHEDRA = np.array([[0, 1 << a, (1 << a) | (1 << b), 7] for a, b, _ in permutations(range(3))])
_MARGIN = 0.05  # crossings keep this share of an edge away from its ends: no zero-area triangles


def level_set(
    values: NDArray[np.floating], *, lower: NDArray[np.floating], cell: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Triangulate the zero level.

    Args:
        values: Samples at the nodes of a regular grid, (x, y, z); positive on the whole border.
        lower: Position of node (0, 0, 0).
        cell: Spacing of the nodes.

    Returns:
        Vertices (v, 3) and faces (f, 3), counter-clockwise seen from the positive side.
    """
    corners = _active_tetrahedra(values)  # tet 4; node numbers
    inside = values.ravel()[corners] < 0
    triangles = np.concatenate([_one_alone(corners, inside), _two_and_two(corners, inside)])
    # A triangle corner is an edge between an inside and an outside node.
    edges, index = np.unique(triangles.reshape(-1, 2), axis=0, return_inverse=True)
    ends = np.stack(np.unravel_index(edges, values.shape), axis=-1)  # edge 2 3
    a, b = values.ravel()[edges].T.astype(np.float64)
    t = np.clip(a / (a - b), _MARGIN, 1 - _MARGIN)[:, None]
    vertices = lower + cell * (ends[:, 0] * (1 - t) + ends[:, 1] * t)
    faces = index.reshape(-1, 3)
    # Orientation is decided at the edges' middles, where no triangle is degenerate.
    middle = ends.mean(axis=1)[faces]  # face 3 3
    normal = np.cross(middle[:, 1] - middle[:, 0], middle[:, 2] - middle[:, 0])
    outward = (ends[:, 1] - ends[:, 0])[faces].sum(axis=1)
    flipped = (normal * outward).sum(axis=1) < 0
    faces[flipped] = faces[flipped][:, ::-1]
    return vertices, faces.astype(np.int32)


def _active_tetrahedra(values: NDArray[np.floating]) -> NDArray[np.int64]:
    inside = values < 0
    any_in = np.zeros(tuple(n - 1 for n in values.shape), dtype=bool)
    all_in = np.ones_like(any_in)
    offsets = [(c & 1, c >> 1 & 1, c >> 2) for c in range(8)]
    for x, y, z in offsets:
        part = inside[x:, y:, z:][: any_in.shape[0], : any_in.shape[1], : any_in.shape[2]]
        any_in |= part
        all_in &= part
    cells = np.argwhere(any_in & ~all_in)
    nodes = np.stack(
        [np.ravel_multi_index(tuple((cells + offset).T), values.shape) for offset in offsets], 1
    )
    tetrahedra = nodes[:, _TETRAHEDRA].reshape(-1, 4)
    count = inside.ravel()[tetrahedra].sum(axis=1)
    crossed: NDArray[np.int64] = tetrahedra[(count > 0) & (count < 4)]
    return crossed


def _one_alone(corners: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Triangles of the tetrahedra with one corner on its own side, (f, 3, 2) (inside, outside)."""
    count = inside.sum(axis=1)
    found = []
    for lonely_in, chosen in ((True, count == 1), (False, count == 3)):
        lonely = inside[chosen] == lonely_in
        own = corners[chosen][lonely]
        others = corners[chosen][~lonely].reshape(-1, 3)
        pair = [np.broadcast_to(own[:, None], others.shape), others]
        found.append(np.stack(pair if lonely_in else pair[::-1], axis=-1))
    return np.concatenate(found)


def _two_and_two(corners: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Two triangles for each tetrahedron with two corners inside, (f, 3, 2)."""
    chosen = inside.sum(axis=1) == 2
    a, b = corners[chosen][inside[chosen]].reshape(-1, 2).T
    c, d = corners[chosen][~inside[chosen]].reshape(-1, 2).T
    loop = np.stack([np.stack(pair, 1) for pair in ((a, c), (a, d), (b, d), (b, c))], 1)  # quad 4 2
    return np.concatenate([loop[:, [0, 1, 2]], loop[:, [0, 2, 3]]])
