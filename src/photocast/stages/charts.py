# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut a surface into charts: connected patches that all face roughly one way.

Every face takes one of six directions. Faces discuss it with their neighbours (a mean-field
relaxation of a Potts model), so that noise does not fray the patches; small patches then join
a neighbour. All steps are a fixed number of passes over the faces.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from photocast.geometry.face_pairs import face_pairs, pieces

__all__ = ["Surface", "chart_labels", "chart_normals", "recount", "surface"]

_DIRECTIONS = np.concatenate([np.eye(3), -np.eye(3)])
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
    lengths: NDArray[np.float64]
    """Of the edge between them (pair,)."""

    def part(self, index: NDArray[np.int64]) -> "Surface":
        """Some of the faces alone."""
        number = np.full(len(self.areas), -1)
        number[index] = np.arange(len(index))
        pairs = number[self.pairs]
        inside = (pairs >= 0).all(axis=1)
        return Surface(self.normals[index], self.areas[index], pairs[inside], self.lengths[inside])


def surface(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> Surface:
    """Measure the faces and find their neighbours."""
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(cross, axis=1)
    pairs, edges = face_pairs(faces)
    return Surface(
        normals=cross / np.where(double > 0, double, 1.0)[:, None],
        areas=double / 2,
        pairs=pairs,
        lengths=np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1),
    )


def chart_labels(mesh: Surface, min_area: float) -> NDArray[np.int64]:
    """Give every face a chart.

    Args:
        mesh: The faces.
        min_area: Charts below this area join a neighbour where that turns no face away.

    Returns:
        (f,), numbered from 0 without gaps.
    """
    count = len(mesh.areas)
    around = _neighbourhood(mesh, count)
    label = _directions(mesh, around)
    chart = _split(label, mesh.pairs)
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
    return np.unique(chart, return_inverse=True)[1].astype(np.int64)


def _neighbourhood(mesh: Surface, count: int) -> csr_matrix:
    a, b = mesh.pairs.T
    rows, columns = np.r_[a, b], np.r_[b, a]
    weights = np.r_[mesh.lengths, mesh.lengths]
    total = np.bincount(rows, weights, count)
    weights = weights / np.maximum(total[rows], 1e-300)
    return csr_matrix((weights.astype(np.float32), (rows, columns)), shape=(count, count))


def _directions(mesh: Surface, around: csr_matrix) -> NDArray[np.int64]:
    smooth = (mesh.normals * mesh.areas[:, None] / max(mesh.areas.mean(), 1e-300)).astype(
        np.float32
    )
    for _ in range(_SMOOTHING_ROUNDS):
        smooth = 0.5 * smooth + 0.5 * (around @ smooth)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-20)
    fit = _CERTAINTY * (smooth @ _DIRECTIONS.T.astype(np.float32))
    belief = _softmax(fit)
    for _ in range(_ROUNDS):
        belief = _softmax(fit + _CERTAINTY * _AGREEMENT * (around @ belief))
    label: NDArray[np.int64] = belief.argmax(axis=1)
    return label


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    # Scores stay within 14 of zero, so nothing overflows without the usual shift.
    weights = np.exp(scores)
    total = weights @ np.ones((weights.shape[1], 1), np.float32)
    shares: NDArray[np.float32] = np.divide(weights, total, out=weights)
    return shares


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
        a, b = np.concatenate([mesh.pairs, mesh.pairs[:, ::-1]]).T
        moves = (own[a] < _KEEP_COSINE) & (chart[a] != chart[b]) & (mesh.areas[a] > 0)
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
