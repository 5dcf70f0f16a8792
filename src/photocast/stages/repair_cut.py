# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut a closed part that passes through itself into parts that do not, to be united again.

Two places of a part that meet are taken apart at the shortest ring of edges between them, and both
sides get the same lid. The solids that come out touch at their lids, and a union makes them one.
"""

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from photocast.geometry.hole_filling import fill_ring, rim_rings
from photocast.geometry.topology import label_groups
from photocast.stages.repair_draft import Draft
from photocast.stages.repair_tangles import all_intersections, own_intersections

__all__ = ["cut_apart"]

_MOST_CUTS = 9  # rounds
_MOST_FACES = 300_000  # half a minute for each cut
_MOST_PLACES = 12
_MARGINS = (8, 4, 2, 1, 0)  # rings of faces that a cut stays away from where surfaces meet
_SCALE = 1 << 20  # steps of the longest edge: a flow is counted in whole numbers


def cut_apart(draft: Draft) -> list[Draft] | None:
    """Cut a closed part until no piece passes through itself.

    Returns:
        The pieces, each closed; ``None`` if there is no way that we find.
    """
    tangled, done = [draft], []
    for _ in range(_MOST_CUTS):
        while tangled and not own_intersections(tangled[-1]).any():
            done.append(tangled.pop())
        if not tangled:
            return done
        if len(tangled[-1].faces) > _MOST_FACES or not (halves := _halves(tangled.pop())):
            return None
        tangled += halves
    return None


def _halves(draft: Draft) -> list[Draft]:
    """Both sides of a cut between two places that meet; none if there is no such cut."""
    surface = _Surface(draft)
    pairs = _meeting_places(draft, surface.places(own_intersections(draft)))
    return next((halves for pair in pairs if (halves := surface.cut(*pair))), [])


def _meeting_places(
    draft: Draft, places: list[NDArray[np.int64]]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of places, each some faces, that meet each other; none if a place meets itself."""
    if len(places) > _MOST_PLACES or any(_meets(draft, place) for place in places):
        return []
    pairs = itertools.combinations(places, 2)
    return [(a, b) for a, b in pairs if _meets(draft, np.concatenate([a, b]))]


def _meets(draft: Draft, faces: NDArray[np.int64]) -> bool:
    chosen = np.zeros(len(draft.faces), bool)
    chosen[faces] = True
    return bool(all_intersections(draft.kept(chosen)).any())


class _Surface:
    """Faces as places that flow can go through, across edges as wide as they are long."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        topology = draft.topology
        first, second = topology.pairs.T // 3
        half = topology.pairs[:, 0]
        ends = draft.vertices[topology.start[half]], draft.vertices[topology.stop[half]]
        lengths = np.linalg.norm(ends[1].astype(np.float64) - ends[0], axis=1)
        width = np.ceil(lengths / max(float(lengths.max()), 1e-300) * _SCALE).astype(np.int32)
        self.ways = np.r_[first, second], np.r_[second, first]
        size = (len(draft.faces),) * 2
        self.flow: csr_matrix = coo_matrix((np.r_[width, width], self.ways), shape=size).tocsr()

    def places(self, marks: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """Marked faces that share a vertex, together."""
        faces = self.draft.faces[marks]
        label = label_groups(
            len(self.draft.vertices), faces.ravel(), np.roll(faces, 1, axis=1).ravel()
        )[faces[:, 0]]
        index = np.flatnonzero(marks)
        return [index[label == one] for one in np.unique(label)]

    def cut(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> list[Draft]:
        """Both sides of the shortest cut between two places, with lids; none if it cannot be."""
        apart = self._apart(one, other)
        if apart is None:
            return []
        lids = _lids(self.draft.kept(apart))
        if lids is None:
            return []
        faces, uvs = lids
        back = None if uvs is None else uvs[:, ::-1]
        return [
            self.draft.kept(apart).with_faces(faces, uvs),
            self.draft.kept(~apart).with_faces(faces[:, ::-1], back),
        ]

    def _apart(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Faces on the side of the first place (f,)."""
        count = len(self.draft.faces)
        for margin in _MARGINS:
            source, sink = (self._grown(place, margin) for place in (one, other))
            if not (source & sink).any():
                break
        else:
            return None
        # A node before all of the one, and one behind all of the other.
        wide = np.iinfo(np.int32).max // 4
        start, stop = np.flatnonzero(source), np.flatnonzero(sink)
        flow = self.flow.tocoo()
        rows = np.r_[flow.row, np.full(len(start), count), stop]
        columns = np.r_[flow.col, start, np.full(len(stop), count + 1)]
        widths = np.r_[flow.data, np.full(len(start) + len(stop), wide)].astype(np.int32)
        graph = coo_matrix((widths, (rows, columns)), shape=(count + 2,) * 2).tocsr()
        rest = graph - maximum_flow(graph, count, count + 1).flow
        rest.data = np.maximum(rest.data, 0)
        rest.eliminate_zeros()
        reached, _ = breadth_first_order(rest, count, return_predecessors=True)
        side = np.zeros(count + 2, bool)
        side[reached] = True
        return side[:count]

    def _grown(self, place: NDArray[np.int64], rings: int) -> NDArray[np.bool_]:
        inside = np.zeros(len(self.draft.faces), bool)
        inside[place] = True
        for _ in range(rings):
            inside |= self.flow @ inside.astype(np.int64) > 0
        return inside


def _lids(half: Draft) -> tuple[NDArray[np.int64], NDArray[np.float32] | None] | None:
    """Triangles that close one side, and their UVs: a point of the map each."""
    topology = half.topology
    faces: list[NDArray[np.int64]] = []
    uvs: list[NDArray[np.float32]] = []
    for ring in rim_rings(topology):
        if len(ring) < 3:
            return None
        halves = ring[::-1]
        corners = topology.stop[halves].astype(np.int64)
        made = fill_ring(half.vertices[corners].astype(np.float64))
        faces.append(corners[made])
        if half.uvs is not None:
            uvs.append(np.repeat(half.uvs.reshape(-1, 2)[halves][made[:, :1]], 3, axis=1))
    if not faces:
        return None
    return np.concatenate(faces), np.concatenate(uvs) if uvs else None
