# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours for texels that no photo saw.

On the surface: colours spread over the mesh from what was seen, across chart borders, so a hidden
spot takes the colour around it in space. Between charts: the nearest colours, level by level.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import cg

from photocast.data import Mesh
from photocast.geometry.covered_texels import covered_texels

__all__ = ["Texels", "fill_gutters", "surface_texels", "vertex_spread"]


@dataclass(frozen=True, slots=True, eq=False)
class Texels:
    """Texels whose centre lies on the surface."""

    index: NDArray[np.int64]
    """Flat, row-major (t,)."""
    vertex: NDArray[np.int64]
    """Corners of the face there (t, 3)."""
    bary: NDArray[np.float32]
    """Weights of the corners (t, 3)."""


def surface_texels(mesh: Mesh, size: int) -> Texels:
    """Find where on the surface each covered texel centre lies."""
    assert mesh.uvs is not None
    assert mesh.uv_faces is not None
    corners = mesh.uvs.astype(np.float64)[mesh.uv_faces] * size
    index, face = covered_texels(corners, (size, size))
    center = np.stack([index % size, index // size], axis=1) + 0.5
    a, b, c = (corners[face, i] for i in range(3))
    total = _cross(b - a, c - a)
    safe = np.where(total == 0, 1.0, total)
    weights = np.stack([_cross(b - center, c - center), _cross(c - center, a - center)]) / safe
    bary = np.stack([weights[0], weights[1], 1 - weights.sum(axis=0)], axis=1).clip(0, 1)
    return Texels(index, mesh.faces[face].astype(np.int64), bary.astype(np.float32))


def _cross(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return product


def vertex_spread(
    mesh: Mesh, texels: Texels, color: NDArray[np.float32], trust: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Average seen texels at the vertices and let the rest of the surface take its neighbours'.

    Args:
        mesh: The surface.
        texels: Its covered texels.
        color: Of the texels (t, 3).
        trust: Weight of each (t,); 0 for unseen ones.

    Returns:
        Colours of the vertices (v, 3): means where seen, harmonic in between, and the mean of all
        on parts that no photo saw.
    """
    count = len(mesh.vertices)
    share = texels.bary * trust[:, None]
    where = texels.vertex.ravel()
    weight = np.bincount(where, share.ravel(), count)
    sums = np.stack(
        [np.bincount(where, (share * color[:, i, None]).ravel(), count) for i in range(3)], axis=1
    )
    if weight.sum() <= 0:
        return np.full((count, 3), 0.5, np.float32)
    mean = sums.sum(axis=0) / weight.sum()
    start, stop = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    ones = np.ones(len(start))
    graph = coo_matrix((ones, (start, stop)), shape=(count, count)).tocsr()
    graph = graph + graph.T
    degree = np.asarray(graph.sum(axis=1)).ravel()
    # Minimise seen * |x - mean of texels|^2 + 0.05 * differences along edges, a trace of mean.
    pull = weight / max(float(np.median(weight[weight > 0])), 1e-12)
    system = diags(pull + 0.05 * degree + 1e-6) - 0.05 * graph
    result = np.empty((count, 3), np.float32)
    scale = np.where(weight > 0, pull / np.maximum(weight, 1e-30), 0.0)
    for i in range(3):
        right = sums[:, i] * scale + 1e-6 * mean[i]
        guess = np.where(weight > 0, sums[:, i] / np.maximum(weight, 1e-30), mean[i])
        jacobi = diags(1 / system.diagonal())
        result[:, i] = cg(system, right, x0=guess, rtol=1e-5, maxiter=300, M=jacobi)[0]
    return result


def fill_gutters(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill unknown texels from the nearest known ones, smoothly.

    Averages known texels down a pyramid and takes each unknown texel from the finest level that
    knows anything there.

    Args:
        image: (h, w, c).
        known: (h, w).

    Returns:
        (h, w, c); known texels as they were.
    """
    if known.all() or not known.any():
        return image
    height, width = known.shape
    filled = np.where(known[..., None], image, 0).astype(np.float32)
    weight = known.astype(np.float32)
    padded = np.pad(filled, ((0, height % 2), (0, width % 2), (0, 0)))
    padded_weight = np.pad(weight, ((0, height % 2), (0, width % 2)))
    h, w = padded_weight.shape
    total = padded_weight.reshape(h // 2, 2, w // 2, 2).sum(axis=(1, 3))
    mean = padded.reshape(h // 2, 2, w // 2, 2, -1).sum(axis=(1, 3))
    mean /= np.maximum(total, 1)[..., None]
    coarse = fill_gutters(mean, total > 0)
    larger = _doubled(coarse)[:height, :width]
    return np.where(known[..., None], image, larger).astype(np.float32)


def _doubled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    # Bilinear between the coarse centres.
    for axis in (0, 1):
        before = np.concatenate(
            [image.take([0], axis), image.take(range(image.shape[axis] - 1), axis)], axis
        )
        after = np.concatenate(
            [image.take(range(1, image.shape[axis]), axis), image.take([-1], axis)], axis
        )
        pair = np.stack([0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after], axis + 1)
        shape = list(image.shape)
        shape[axis] *= 2
        image = pair.reshape(shape)
    return image
