# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How a cube of signs becomes dual vertices: tables that follow from the cube's topology.

Corner i of a cube lies at (i & 1, i >> 1 & 1, i >> 2 & 1). A case is the sum of 2^i over corners
inside. On a face whose corners alternate, inside corners are cut off from each other.
Source: Nielson, Dual Marching Cubes, 2004; Shen et al., FlexiCubes, 2023.
"""

from functools import cache

import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["CORNERS", "EDGES", "ambiguous_neighbor", "dual_vertices"]

CORNERS = tuple((i & 1, i >> 1 & 1, i >> 2 & 1) for i in range(8))
EDGES = (
    (0, 1),
    (1, 5),
    (4, 5),
    (0, 4),
    (2, 3),
    (3, 7),
    (6, 7),
    (2, 6),
    (2, 0),
    (3, 1),
    (7, 5),
    (6, 4),
)
"""Corners that an edge joins; edges of one direction all point the same way."""

_NUMBER = {frozenset(edge): number for number, edge in enumerate(EDGES)}


def _face(axis: int, side: int) -> tuple[int, ...]:
    """Corners of a face, going around it."""
    first, second = (1 << other for other in range(3) if other != axis)
    origin = side << axis
    return origin, origin | first, origin | first | second, origin | second


_FACES = {(axis, side): _face(axis, side) for axis in range(3) for side in range(2)}


class _Sets:
    """Disjoint sets of numbers; each is named by its smallest member."""

    def __init__(self, count: int) -> None:
        self.name = list(range(count))

    def join(self, a: int, b: int) -> None:
        low, high = sorted((self.name[a], self.name[b]))
        self.name = [low if name == high else name for name in self.name]


def _inside(case: int) -> list[bool]:
    return [bool(case >> corner & 1) for corner in range(8)]


def _cut_edges(corners: tuple[int, ...], inside: list[bool]) -> dict[int, int]:
    """Edges of a face whose ends differ: position on the face to number in the cube."""
    pairs = [(corners[k], corners[(k + 1) % 4]) for k in range(4)]
    return {k: _NUMBER[frozenset(p)] for k, p in enumerate(pairs) if inside[p[0]] != inside[p[1]]}


def _patches(case: int) -> list[list[int]]:
    """Edges around each dual vertex, vertices in the order of the solid parts that they bound."""
    inside = _inside(case)
    edges, solids = _Sets(12), _Sets(8)
    for a, b in EDGES:
        if inside[a] and inside[b]:
            solids.join(a, b)
    for corners in _FACES.values():
        cut = _cut_edges(corners, inside)
        if len(cut) == 2:
            edges.join(*cut.values())
        elif len(cut) == 4:
            for k in range(4):
                if inside[corners[k]]:  # its two edges on this face are cut off together
                    edges.join(cut[k], cut[(k - 1) % 4])
    groups: dict[int, list[int]] = {}
    for number, (a, b) in enumerate(EDGES):
        if inside[a] != inside[b]:
            groups.setdefault(edges.name[number], []).append(number)

    def rank(group: list[int]) -> tuple[int, int]:
        ends = [corner for number in group for corner in EDGES[number]]
        solid = min(solids.name[corner] for corner in ends if inside[corner])
        return solid, min(corner for corner in ends if not inside[corner])

    return sorted(groups.values(), key=rank)


@cache
def dual_vertices() -> tuple[Int[Tensor, "256"], Int[Tensor, "256 4 7"]]:
    """Number of dual vertices of each case, and the edges around each, filled up with -1."""
    table = torch.full((256, 4, 7), -1)
    counts = torch.zeros(256, dtype=torch.long)
    for case in range(256):
        patches = _patches(case)
        counts[case] = len(patches)
        for vertex, patch in enumerate(patches):
            table[case, vertex, : len(patch)] = torch.tensor(patch)
    return counts, table


@cache
def ambiguous_neighbor() -> Int[Tensor, "256 3"]:
    """Step to the cube behind the one alternating face, for cases with one dual vertex; else 0.

    If two such cubes share that face, both are read as their opposite case, which keeps the surface
    free of edges with four faces.
    """
    steps = torch.zeros(256, 3, dtype=torch.long)
    for case in range(256):
        inside = _inside(case)
        alternating = [place for place, f in _FACES.items() if len(_cut_edges(f, inside)) == 4]
        if len(alternating) == 1 and len(_patches(case)) == 1:
            axis, side = alternating[0]
            steps[case, axis] = 2 * side - 1
    return steps
