# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut a surface into charts: connected patches that all face roughly one way.

Every face takes one of six directions. Faces discuss it with their neighbours (a mean-field
relaxation of a Potts model), so that noise does not fray the patches; small patches then join
a neighbour. All steps are a fixed number of passes over the faces.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.geometry.face_pairs import face_pairs, pieces
from photocast.ops.agreement import beliefs, softened

__all__ = ["Surface", "chart_labels", "chart_normals", "recount", "surface"]

_CPU = torch.device("cpu")
_CERTAINTY, _AGREEMENT, _ROUNDS = 6.0, 1.2, 24
_SMOOTHING_ROUNDS = 4
_MERGE_COSINE = np.cos(np.deg2rad(66))
_KEEP_COSINE = np.cos(np.deg2rad(80))


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What the cutting needs to know about the faces."""

    normals: NDArray[np.float64]
    """Unit (f, 3); zero for a face without area."""
    areas: NDArray[np.float64]
    """(f,)."""
    pairs: NDArray[np.int64]
    """Faces side by side (pair, 2)."""
    sides: NDArray[np.int8]
    """Which side, 0..2, of each of them the edge between them is (pair, 2)."""
    lengths: NDArray[np.float64]
    """Of the edge between them (pair,)."""

    def part(self, index: NDArray[np.int64]) -> "Surface":
        """Some of the faces alone."""
        number = np.full(len(self.areas), -1)
        number[index] = np.arange(len(index))
        pairs = number[self.pairs]
        inside = (pairs >= 0).all(axis=1)
        return Surface(
            self.normals[index],
            self.areas[index],
            pairs[inside],
            self.sides[inside],
            self.lengths[inside],
        )


def surface(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> Surface:
    """Measure the faces and find their neighbours."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    double = np.linalg.norm(cross, axis=1)
    pairs, sides = face_pairs(faces)
    face, side = pairs[:, 0], sides[:, 0]
    edge = vertices[faces[face, side]] - vertices[faces[face, (side + 1) % 3]]
    return Surface(
        normals=cross / np.where(double > 0, double, 1.0)[:, None],
        areas=double / 2,
        pairs=pairs,
        sides=sides.astype(np.int8),
        lengths=np.linalg.norm(edge, axis=1),
    )


def chart_labels(
    mesh: Surface, min_area: float, *, device: torch.device = _CPU
) -> NDArray[np.int64]:
    """Give every face a chart.

    Args:
        mesh: The faces.
        min_area: Charts below this area join a neighbour where that turns no face away.
        device: Where faces talk to each other.

    Returns:
        (f,), numbered from 0 without gaps.
    """
    chart = _split(_directions(mesh, device), mesh.pairs)
    for _ in range(4):
        joined = _join_small(mesh, chart, min_area)
        if joined.max(initial=0) == chart.max(initial=0):
            break
        chart = joined
    return _split(_give_back(mesh, chart), mesh.pairs)


def chart_normals(mesh: Surface, chart: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean direction of each chart, by area; +Z where it has none."""
    weighted = mesh.normals * mesh.areas[:, None]
    sums = np.stack([np.bincount(chart, weighted[:, i]) for i in range(3)], axis=1)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    empty = length[:, 0] <= 1e-300
    sums[empty], length[empty] = (0.0, 0.0, 1.0), 1.0
    normals: NDArray[np.float64] = sums / length
    return normals


def recount(chart: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number charts from 0 without gaps, in the order of their old numbers."""
    there = np.zeros(int(chart.max(initial=-1)) + 1, bool)
    there[chart] = True
    number: NDArray[np.int64] = (np.cumsum(there) - 1)[chart]
    return number


def _directions(mesh: Surface, device: torch.device) -> NDArray[np.int64]:
    neighbours, weights = (torch.from_numpy(part).to(device) for part in _neighbourhood(mesh))
    normals = mesh.normals * (mesh.areas / max(mesh.areas.mean(), 1e-300))[:, None]
    own = torch.from_numpy(normals.astype(np.float32)).to(device)
    smooth = softened(own, neighbours, weights, _SMOOTHING_ROUNDS)
    smooth = smooth / smooth.norm(dim=1, keepdim=True).clamp(min=1e-20)
    # Scores stay within 14 of zero, so nothing overflows.
    fit = _CERTAINTY * torch.cat([smooth, -smooth], dim=1)
    belief = beliefs(fit, neighbours, weights, _CERTAINTY * _AGREEMENT, _ROUNDS)
    label: NDArray[np.int64] = belief.argmax(dim=1).cpu().numpy()
    return label


def _neighbourhood(mesh: Surface) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Up to three faces beside each, -1 for none, and each one's share of the shared edges."""
    neighbours = np.full((len(mesh.areas), 3), -1, np.int32)
    lengths = np.zeros((len(mesh.areas), 3))
    for own, other in ((0, 1), (1, 0)):
        place = mesh.pairs[:, own], mesh.sides[:, own]
        neighbours[place] = mesh.pairs[:, other]
        lengths[place] = mesh.lengths
    shares = lengths / np.maximum(lengths.sum(axis=1, keepdims=True), 1e-300)
    return neighbours, shares.astype(np.float32)


def _split(label: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    same = label[pairs[:, 0]] == label[pairs[:, 1]]
    return pieces(len(label), pairs[same])[1]


def _join_small(mesh: Surface, chart: NDArray[np.int64], min_area: float) -> NDArray[np.int64]:
    area = np.bincount(chart, mesh.areas)
    count = len(area)
    normal = chart_normals(mesh, chart)
    a, b = chart[mesh.pairs].T
    border = a != b
    a, b = np.r_[a[border], b[border]], np.r_[b[border], a[border]]
    length = np.r_[mesh.lengths[border], mesh.lengths[border]]
    key, back = np.unique(a * count + b, return_inverse=True)
    length = np.bincount(back, length, len(key))
    a, b = key // count, key % count
    # Only into larger charts, so that pointers never form a ring.
    larger = (area[b] > area[a]) | ((area[b] == area[a]) & (b < a))
    turned = (normal[a] * normal[b]).sum(axis=1)
    fits = (area[a] < min_area) & larger & ((turned > _MERGE_COSINE) | (area[a] <= 0))
    a, b, score = a[fits], b[fits], length[fits] * (0.2 + turned[fits].clip(0))
    order = np.lexsort((score, a))
    target = np.arange(count)
    target[a[order]] = b[order]  # the last one written has the highest score
    while (target[target] != target).any():
        target = target[target]
    return recount(target[chart])


def _give_back(mesh: Surface, chart: NDArray[np.int64]) -> NDArray[np.int64]:
    """Let faces that their chart sees edge-on change to a neighbouring chart that sees them."""
    for _ in range(6):
        normal = chart_normals(mesh, chart)
        own = (mesh.normals * normal[chart]).sum(axis=1)
        unhappy = (own < _KEEP_COSINE) & (mesh.areas > 0)
        near = mesh.pairs[unhappy[mesh.pairs].any(axis=1)]
        a, b = np.concatenate([near, near[:, ::-1]]).T
        moves = unhappy[a] & (chart[a] != chart[b])
        a, b = a[moves], b[moves]
        other = (mesh.normals[a] * normal[chart[b]]).sum(axis=1)
        better = other > np.maximum(own[a], 0) + 0.1
        if not better.any():
            break
        a, b, other = a[better], b[better], other[better]
        order = np.lexsort((other, a))
        changed = chart.copy()
        changed[a[order]] = chart[b[order]]
        chart = changed
    return recount(chart)
