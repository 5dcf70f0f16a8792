# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How triangles hang together: edges, rims, fans, parts, and which way they face.

Faces are int (f, 3), counter-clockwise seen from outside; a position is one vertex. A face that
names a vertex twice is collapsed: it has no sides and is left out.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

__all__ = ["Topology", "label_groups", "next_corner"]


@dataclass(frozen=True)
class Topology:
    """Edges of a surface; the rest is found when asked for."""

    faces: NDArray[np.int32]
    """All faces (f, 3)."""
    vertex_count: int

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """Faces with three distinct corners (f,)."""
        a, b, c = self.faces.T
        distinct: NDArray[np.bool_] = (a != b) & (b != c) & (c != a)
        return distinct

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Half-edges (face * 3 + k) by edge; where each edge starts among them; how many it has."""
        low, high = np.minimum(self.start, self.stop), np.maximum(self.start, self.stop)
        key = low.astype(np.int64) * self.vertex_count + high
        halves = np.flatnonzero(np.repeat(self.whole, 3))
        order = halves[np.argsort(key[halves], kind="stable")]
        key = key[order]
        first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else order
        return order, first, np.diff(np.r_[first, len(order)])

    @cached_property
    def start(self) -> NDArray[np.int32]:
        """Vertex at which each half-edge starts (3f,)."""
        return np.ascontiguousarray(self.faces).reshape(-1)

    @cached_property
    def stop(self) -> NDArray[np.int32]:
        """Vertex at which each half-edge stops (3f,)."""
        return np.ascontiguousarray(self.faces[:, [1, 2, 0]]).reshape(-1)

    @property
    def edge_count(self) -> int:
        """Number of distinct edges."""
        return len(self._sorted[1])

    @cached_property
    def rim(self) -> NDArray[np.int64]:
        """Half-edges without a neighbour."""
        order, first, count = self._sorted
        alone: NDArray[np.int64] = order[first[count == 1]]
        return alone

    @cached_property
    def crowded(self) -> NDArray[np.int64]:
        """Half-edges of edges that more than two faces use."""
        order, _, count = self._sorted
        return order[np.repeat(count > 2, count)]

    @property
    def crowded_count(self) -> int:
        """Number of edges that more than two faces use."""
        return int((self._sorted[2] > 2).sum())

    @cached_property
    def pairs(self) -> NDArray[np.int64]:
        """The two half-edges of every edge of exactly two faces (n, 2)."""
        order, first, count = self._sorted
        plain = first[count == 2]
        return np.stack([order[plain], order[plain + 1]], axis=1)

    @cached_property
    def against(self) -> NDArray[np.int64]:
        """Of the pairs, those whose faces walk the edge the same way: one is flipped (n, 2)."""
        same = self.start[self.pairs[:, 0]] == self.start[self.pairs[:, 1]]
        found: NDArray[np.int64] = self.pairs[same]
        return found

    @property
    def watertight(self) -> bool:
        """Whether every edge has exactly two faces."""
        count = self._sorted[2]
        return len(count) > 0 and bool((count == 2).all())

    @cached_property
    def consistent(self) -> bool:
        """Whether as many faces walk each edge one way as the other, but for an odd one."""
        order, first, count = self._sorted
        forward = (self.start[order] < self.stop[order]).astype(np.int64)
        if not len(order):
            return True
        ahead = np.add.reduceat(forward, first)
        return bool((np.abs(2 * ahead - count) <= 1).all())

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Vertices that some face names (v,)."""
        found = np.zeros(self.vertex_count, bool)
        found[self.faces] = True
        return found

    @cached_property
    def part(self) -> NDArray[np.int64]:
        """Connected part of each face, numbered from 0 (f,)."""
        a, b, c = self.faces.T
        labels = label_groups(self.vertex_count, np.r_[a, b], np.r_[b, c])
        return np.unique(labels[a], return_inverse=True)[1].astype(np.int64)

    @property
    def part_count(self) -> int:
        """Number of connected parts."""
        return int(self.part.max(initial=-1)) + 1

    @cached_property
    def rim_loop(self) -> NDArray[np.int64]:
        """Connected rim that each half-edge of :attr:`rim` belongs to, numbered from 0."""
        if not len(self.rim):
            return np.zeros(0, np.int64)
        ends, local = np.unique([self.start[self.rim], self.stop[self.rim]], return_inverse=True)
        local = local.reshape(2, -1)
        labels = label_groups(len(ends), local[0], local[1])[local[0]]
        loops: NDArray[np.int64] = labels.astype(np.int64)
        return loops

    @cached_property
    def pinched(self) -> NDArray[np.int64]:
        """Vertices around which the faces form more than one fan."""
        if not len(self.faces):
            return np.zeros(0, np.int64)
        order, first, count = self._sorted
        # Each half-edge with the first of its edge: both ends of the edge join the two faces there.
        head = np.repeat(order[first], count)
        a, b = head[order != head], order[order != head]
        same = self.start[a] == self.start[b]
        a_next, b_next = next_corner(a), next_corner(b)
        one = np.r_[a, a_next]
        two = np.r_[np.where(same, b, b_next), np.where(same, b_next, b)]
        fan = label_groups(self.faces.size, one, two)
        corners = np.flatnonzero(np.repeat(self.whole, 3))
        _, chosen = np.unique(fan[corners], return_index=True)
        fans = np.bincount(self.start[corners[chosen]], minlength=self.vertex_count)
        return np.flatnonzero(fans > 1)

    @cached_property
    def _alike(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Faces by their three vertices, and whether each has those of the one before."""
        corners = np.sort(self.faces, axis=1).astype(np.int64)
        if self.vertex_count < 2**21:
            key = (corners[:, 0] << 42) | (corners[:, 1] << 21) | corners[:, 2]
        else:
            key = np.unique(corners, axis=0, return_inverse=True)[1].reshape(-1)
        order = np.argsort(key, kind="stable")
        again = np.zeros(len(order), bool)
        again[1:] = key[order][1:] == key[order][:-1]
        return order, again

    @property
    def duplicates(self) -> NDArray[np.int64]:
        """Faces of the same three vertices as an earlier one, in any order."""
        order, again = self._alike
        return np.sort(order[again])

    @property
    def repeated(self) -> NDArray[np.int64]:
        """The same, and the earlier ones."""
        order, again = self._alike
        return np.sort(order[again | np.r_[again[1:], False]])

    @cached_property
    def euler(self) -> NDArray[np.int64]:
        """Vertices minus edges plus faces, of each part."""
        order, first, _ = self._sorted
        count = self.part_count
        vertex_part = np.full(self.vertex_count, -1, np.int64)
        vertex_part[self.faces] = self.part[:, None]
        vertices = np.bincount(vertex_part[vertex_part >= 0], minlength=count)
        edges = np.bincount(self.part[order[first] // 3], minlength=count)
        faces = np.bincount(self.part[self.whole], minlength=count)
        return (vertices - edges + faces).astype(np.int64)

    def flipped(self) -> tuple[NDArray[np.bool_], bool]:
        """Faces that disagree with the majority of their sheet, and whether all can agree.

        A Möbius strip cannot: then some of its faces are named, and the second answer is false.
        """
        faces = len(self.faces)
        if not len(self.against):
            return np.zeros(faces, bool), True
        a, b = self.pairs.T
        turn = self.start[a] == self.start[b]
        a, b = a // 3, b // 3
        # Each face twice, as it is and turned; joined to the neighbour that agrees.
        label = label_groups(
            2 * faces, np.r_[a, a + faces], np.r_[b + turn * faces, b + ~turn * faces]
        )
        sheet = label_groups(faces, a, b)
        whole = bool((label[:faces] != label[faces:]).all())
        first = np.full(int(sheet.max(initial=-1)) + 1, -1)
        first[sheet[::-1]] = np.arange(faces)[::-1]
        other = label[:faces] != label[first[sheet]]
        votes = np.bincount(sheet, weights=other) * 2 > np.bincount(sheet)
        return other ^ votes[sheet], whole


def label_groups(
    count: int, one: NDArray[np.integer], two: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Number the connected groups of ``count`` things joined in pairs (n,) and (n,)."""
    links = coo_matrix((np.ones(len(one), np.int8), (one, two)), shape=(count, count))
    labels: NDArray[np.int32] = connected_components(links, directed=False)[1]
    return labels


def next_corner(corner: NDArray[np.int64]) -> NDArray[np.int64]:
    """The corner after each in the same face; corners are face * 3 + k."""
    return corner - corner % 3 + (corner % 3 + 1) % 3
