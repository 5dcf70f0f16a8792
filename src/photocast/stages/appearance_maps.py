# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Finished maps: what no photo shows takes its surroundings, and gaps between charts are filled."""

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.stages.appearance import Appearance
from photocast.stages.texture_fill import (
    Texels,
    fill_gutters,
    surface_texels,
    vertex_spread,
)

__all__ = ["finished_material"]

_ENOUGH = 0.02
"""In parts of a typical texel's trust: from where a texel is known."""


def finished_material(mesh: Mesh, found: Appearance) -> Material:
    """Turn fitted maps into those of a glTF material.

    Args:
        mesh: With the UVs that the maps belong to.
        found: The fit.

    Returns:
        Base colour, roughness, metallic and normal; not unlit.
    """
    trust = found.trust.cpu().numpy()
    base = _completed(mesh, found.base.cpu().numpy(), trust)
    size = found.gloss.shape[0]
    share = trust.shape[0] // size
    coarse = trust.reshape(size, share, size, share).mean(axis=(1, 3))
    gloss = _completed(mesh, found.gloss.cpu().numpy(), coarse)
    bend = gloss[..., 2:]
    up = np.sqrt(np.maximum(1 - (bend**2).sum(-1, keepdims=True), 0.04))
    normal = np.concatenate([bend, up], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return Material(
        base_color=base.clip(0, 1),
        roughness=np.ascontiguousarray(gloss[..., 0]).clip(0, 1),
        metallic=np.ascontiguousarray(gloss[..., 1]).clip(0, 1),
        normal=normal.astype(np.float32),
        unlit=False,
    )


def _completed(
    mesh: Mesh, image: NDArray[np.float32], trust: NDArray[np.float32]
) -> NDArray[np.float32]:
    size = len(image)
    texels = surface_texels(mesh, size)
    flat, weights = image.reshape(size * size, -1).copy(), trust.ravel()
    inside = weights[texels.index]
    seen = weights[weights > 0]
    enough = _ENOUGH * float(np.median(seen)) if len(seen) else 1.0
    flat[texels.index] = _mixed(mesh, texels, flat[texels.index], inside / max(enough, 1e-12))
    known = np.zeros(size * size, bool)
    known[texels.index] = True
    shape = (size, size)
    return fill_gutters(flat.reshape(*shape, -1), known.reshape(shape))


def _mixed(
    mesh: Mesh, texels: Texels, colors: NDArray[np.float32], known: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Texels as they are where known, and the harmonic continuation over the surface elsewhere."""
    spread = np.concatenate(
        [
            _vertex_values(mesh, texels, colors[:, first : first + 3], known)
            for first in range(0, colors.shape[1], 3)
        ],
        axis=1,
    )[:, : colors.shape[1]]
    share = known.clip(0, 1)[:, None]
    mixed: NDArray[np.float32] = share * colors + (1 - share) * spread
    return mixed


def _vertex_values(
    mesh: Mesh, texels: Texels, colors: NDArray[np.float32], known: NDArray[np.float32]
) -> NDArray[np.float32]:
    three = np.zeros((len(colors), 3), np.float32)
    three[:, : colors.shape[1]] = colors
    at_vertex = vertex_spread(mesh, texels, three, np.minimum(known, 1).astype(np.float32))
    values: NDArray[np.float32] = (at_vertex[texels.vertex] * texels.bary[..., None]).sum(axis=1)
    return values
