# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of a repair: each takes a draft and gives another one, and says what it changed.

A sentence that is empty means that nothing was to be done.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from photocast.geometry.hole_filling import fill_ring, rim_rings
from photocast.geometry.manifold import split_fans
from photocast.geometry.nesting import shell_depths
from photocast.geometry.topology import label_groups
from photocast.geometry.triangle_shape import triangle_shape
from photocast.stages.repair_draft import Draft

__all__ = [
    "FillHoles",
    "close_cracks",
    "drop_collapsed",
    "drop_fins",
    "drop_floaters",
    "drop_repeated",
    "drop_slivers",
    "fill_holes",
    "separate",
    "turn_outward",
]

FillHoles = Literal["none", "small", "all"]

_CRACK = 1e-6  # of the diagonal: rims that are closer are one
_FLOATER = 0.01  # of the whole area
_SMALL_HOLE = 0.1  # of the diagonal: the box of a hole that is filled without asking
_MOST_RING = 5_000
_MOST_SLIVERS = 20_000
_ROUNDS = 4


def close_cracks(draft: Draft) -> tuple[Draft, str]:
    """Join vertices of open rims that lie within a millionth of the diagonal of each other."""
    topology = draft.topology
    rim = np.unique(topology.start[topology.rim])
    if not len(rim):
        return draft, ""
    pairs = cKDTree(draft.vertices[rim].astype(np.float64)).query_pairs(
        _CRACK * draft.diagonal, output_type="ndarray"
    )
    if not len(pairs):
        return draft, ""
    label = label_groups(len(rim), pairs[:, 0], pairs[:, 1])
    _, first = np.unique(label, return_index=True)
    vertex = np.arange(len(draft.vertices))
    vertex[rim] = rim[first[label]]
    moved = int((vertex[rim] != rim).sum())
    return draft.mapped(vertex), f"{moved} vertices of open rims were joined with one beside them."


def drop_collapsed(draft: Draft) -> tuple[Draft, str]:
    """Drop triangles that name a vertex twice: they have no sides."""
    whole = draft.topology.whole
    if whole.all():
        return draft, ""
    return draft.kept(whole), f"{int((~whole).sum())} collapsed triangles were dropped."


def drop_repeated(draft: Draft) -> tuple[Draft, str]:
    """Keep one of the triangles on the same three vertices; none if as many face either way."""
    repeated = draft.topology.repeated
    if not len(repeated):
        return draft, ""
    corners = draft.faces[repeated]
    ordered = np.sort(corners, axis=1)
    _, group = np.unique(ordered, axis=0, return_inverse=True)
    group = group.reshape(-1)
    ahead = _is_even(corners)
    net = np.bincount(group, weights=np.where(ahead, 1, -1))
    majority = (np.sign(net)[group] == np.where(ahead, 1, -1)) & (net[group] != 0)
    keep = np.ones(len(draft.faces), bool)
    keep[repeated] = False
    chosen = np.flatnonzero(majority)
    _, first = np.unique(group[chosen], return_index=True)
    keep[repeated[chosen[first]]] = True
    return draft.kept(keep), f"{int((~keep).sum())} repeated triangles were dropped."


def drop_slivers(draft: Draft) -> tuple[Draft, str]:
    """Take out triangles without area, so that no gap is left.

    A needle's short side is collapsed. A cap has a vertex on its longest side: the neighbour there
    is split at that vertex instead.
    """
    done = 0
    for _ in range(_ROUNDS):
        shape = triangle_shape(draft.vertices, draft.faces)
        bad = np.flatnonzero(shape.degenerate)
        if not len(bad) or len(bad) > _MOST_SLIVERS:
            break
        after, count = _without_slivers(draft, bad)
        if not count:
            break
        draft, done = after, done + count
    return draft, f"{done} triangles without area were taken out." if done else ""


def drop_fins(draft: Draft) -> tuple[Draft, str]:
    """Drop triangles that hang on an edge of more than two, and end in the open."""
    dropped = 0
    for _ in range(_ROUNDS):
        topology = draft.topology
        fin = np.zeros(len(draft.faces), bool)
        fin[topology.rim // 3] = True
        crowded = np.zeros(len(draft.faces), bool)
        crowded[topology.crowded // 3] = True
        fin &= crowded
        if not fin.any():
            break
        draft, dropped = draft.kept(~fin), dropped + int(fin.sum())
    return draft, f"{dropped} triangles that hung on crowded edges were dropped." if dropped else ""


def drop_floaters(draft: Draft) -> tuple[Draft, str]:
    """Drop parts of less than 1 % of the area."""
    part = draft.topology.part
    area = triangle_shape(draft.vertices, draft.faces).area
    share = np.bincount(part, weights=area) / max(float(area.sum()), 1e-300)
    small = share < _FLOATER
    if not small.any() or small.all():
        return draft, ""
    gone = small[part]
    text = (
        f"{int(small.sum())} parts of less than 1 % of the area were dropped, with "
        f"{int(gone.sum())} triangles."
    )
    return draft.kept(~gone), text


def turn_outward(draft: Draft) -> tuple[Draft, str]:
    """Make neighbours agree; then closed parts face outwards, and hollows inwards.

    A closed part within solid that faces outwards encloses nothing new: it is dropped.
    """
    flipped, _ = draft.topology.flipped()
    said = []
    if flipped.any():
        draft = draft.flipped(flipped)
        said.append(f"{int(flipped.sum())} triangles were turned to agree with their neighbours.")
    topology = draft.topology
    if topology.watertight and topology.consistent:
        part = topology.part
        volumes = np.bincount(
            part, weights=triangle_shape(draft.vertices, draft.faces).signed_volume
        )
        depths = shell_depths(draft.vertices, draft.faces, part)
        outer = [p for p, depth in depths.items() if depth % 2 == 0]
        turned = np.zeros(len(volumes), bool)
        if all(volumes[p] < 0 for p in outer):
            turned[:] = True  # everything is inside out, hollows too
        else:
            turned[[p for p in outer if volumes[p] < 0]] = True
        if turned.any():
            draft = draft.flipped(turned[part])
            volumes = np.where(turned, -volumes, volumes)
            said.append(f"{int(turned.sum())} parts were turned to face outwards.")
        within = np.zeros(len(volumes), bool)
        within[[p for p, depth in depths.items() if depth % 2 and volumes[p] > 0]] = True
        if within.any():
            draft = draft.kept(~within[part])
            said.append(f"{int(within.sum())} solid parts within solid were dropped.")
    return draft, " ".join(said)


def separate(draft: Draft) -> tuple[Draft, str]:
    """Give surfaces that only touch at an edge or a vertex vertices of their own."""
    topology = draft.topology
    touching = len(topology.pinched) or topology.crowded_count
    if not touching or len(topology.rim) or not topology.consistent:
        return draft, ""
    vertices, faces, source = split_fans(draft.vertices, draft.faces)
    colors = None if draft.colors is None else draft.colors[source]
    more = len(vertices) - int(topology.used.sum())
    text = f"{more} vertices were added where surfaces only touched, a thousandth of a side apart."
    return replace(draft, vertices=vertices, faces=faces, colors=colors), text


def fill_holes(draft: Draft, which: FillHoles) -> tuple[Draft, str]:
    """Close open rims. New triangles have one colour of the rim: a single point of the map."""
    topology = draft.topology
    rings = rim_rings(topology)
    if not rings:
        return draft, ""
    filled = edges = 0
    large: list[float] = []
    faces: list[NDArray[np.int64]] = []
    uvs: list[NDArray[np.float32]] = []
    for ring in rings:
        # Walked backwards, so that new faces meet the old ones in opposite directions.
        halves = ring[::-1]
        corners = topology.stop[halves].astype(np.int64)
        size = float(np.linalg.norm(np.ptp(draft.vertices[corners], axis=0)))
        allowed = which == "all" or (which == "small" and size <= _SMALL_HOLE * draft.diagonal)
        if len(ring) < 3 or not allowed or len(ring) > _MOST_RING:
            large.append(size)
            continue
        made = fill_ring(draft.vertices[corners].astype(np.float64))
        faces.append(corners[made])
        filled, edges = filled + 1, edges + len(ring)
        if draft.uvs is not None:
            own = draft.uvs.reshape(-1, 2)[halves]  # where each half-edge starts
            uvs.append(np.repeat(own[made[:, :1]], 3, axis=1))
    said = []
    if filled:
        table = np.concatenate(faces)
        draft = draft.with_faces(table, np.concatenate(uvs) if uvs else None)
        said.append(f"{filled} holes of {edges} edges were filled with {len(table)} triangles.")
    if large:
        said.append(
            f"{len(large)} holes were left open, up to {max(large):.4g} units wide"
            + ("." if which == "all" else ": fill them with --fill-holes all.")
        )
    return draft, " ".join(said)


def _is_even(corners: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether sorting three corners takes an even number of swaps (n, 3) -> (n,)."""
    a, b, c = corners.T
    even: NDArray[np.bool_] = ((a < b) & (b < c)) | ((b < c) & (c < a)) | ((c < a) & (a < b))
    return even


def _without_slivers(draft: Draft, bad: NDArray[np.int64]) -> tuple[Draft, int]:
    """One pass over slivers, none of which shares a vertex with another one that is treated."""
    points = draft.vertices.astype(np.float64)
    topology = draft.topology
    partner = np.full(draft.faces.size, -1)
    partner[topology.pairs[:, 0]] = topology.pairs[:, 1]
    partner[topology.pairs[:, 1]] = topology.pairs[:, 0]
    vertex = np.arange(len(points))
    busy = np.zeros(len(points), bool)
    keep = np.ones(len(draft.faces), bool)
    faces: list[list[int]] = []
    uvs: list[NDArray[np.float32]] = []
    count = 0
    for face in bad.tolist():
        corners = draft.faces[face]
        sides = np.linalg.norm(points[np.roll(corners, -1)] - points[corners], axis=1)
        long, short = int(sides.argmax()), int(sides.argmin())
        other = int(partner[3 * face + long])
        around = corners if other < 0 else np.r_[corners, draft.faces[other // 3]]
        if busy[around].any():
            continue
        if sides[short] <= 1e-3 * sides[long]:
            a, b = int(corners[short]), int(corners[(short + 1) % 3])
            if not _may_collapse(draft.faces, a, b):
                continue
            vertex[b] = a
            near = draft.faces[(draft.faces == b).any(axis=1)]
            busy[near] = True
        elif other >= 0:
            middle = int(corners[(long + 2) % 3])
            second, k = divmod(other, 3)
            p, q, r = (int(draft.faces[second, (k + i) % 3]) for i in range(3))
            if middle == r:
                continue
            keep[[face, second]] = False
            faces += [[p, middle, r], [middle, q, r]]
            if draft.uvs is not None:
                at, bt, ct = (draft.uvs[second, (k + i) % 3] for i in range(3))
                span = points[q] - points[p]
                t = float((points[middle] - points[p]) @ span / max(float(span @ span), 1e-300))
                mt = (at + np.float32(t) * (bt - at)).astype(np.float32)
                uvs += [np.stack([at, mt, ct]), np.stack([mt, bt, ct])]
        else:
            keep[face] = False  # it lies at a rim: nothing hangs on its long side
        busy[around] = True
        count += 1
    draft = draft.kept(keep)
    if faces:
        draft = draft.with_faces(np.array(faces), np.stack(uvs) if uvs else None)
    draft = draft.mapped(vertex)
    return draft.kept(draft.topology.whole), count


def _may_collapse(faces: NDArray[np.int32], a: int, b: int) -> bool:
    """Whether a and b have just the neighbours in common that their edge has (link condition)."""
    one, two = (set(faces[(faces == v).any(axis=1)].ravel().tolist()) for v in (a, b))
    shared = (one & two) - {a, b}
    edge = int(((faces == a).any(axis=1) & (faces == b).any(axis=1)).sum())
    return len(shared) == edge
