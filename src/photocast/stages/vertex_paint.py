# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours at vertices, carried over to another mesh of the same surface, and into a texture."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from photocast.data import Material, Mesh
from photocast.ops.shade import Layout
from photocast.stages.map_fill import fill_gaps, surface_texels

__all__ = ["nearest_colors", "painted"]


def nearest_colors(mesh: Mesh, colored: Mesh) -> NDArray[np.float32]:
    """For each vertex, the linear colour of the nearest vertex of another mesh, (v, 3)."""
    assert colored.colors is not None
    _, nearest = cKDTree(colored.vertices).query(mesh.vertices)
    colors: NDArray[np.float32] = colored.colors[nearest]
    return colors


def painted(mesh: Mesh, size: int, device: torch.device) -> Mesh:
    """Turn the colours at the vertices into a base colour map.

    Args:
        mesh: With UVs and colours; it is shown as it is, without light.
        size: Side of the map [px].
        device: Where to compute.
    """
    assert mesh.uvs is not None
    assert mesh.uv_faces is not None
    assert mesh.colors is not None
    faces, uv_faces, uvs, colors = (
        torch.from_numpy(array).to(device)
        for array in (mesh.faces, mesh.uv_faces, mesh.uvs, mesh.colors)
    )
    layout = Layout(faces, uv_faces, uvs, torch.zeros((len(uvs), 4), device=device))
    texels = surface_texels(layout, size)
    image = torch.zeros((size * size, 3), device=device)
    image[texels.index] = (colors[texels.vertex] * texels.bary[..., None]).sum(dim=1)
    known = torch.zeros(size * size, dtype=torch.bool, device=device)
    known[texels.index] = True
    filled = fill_gaps(image.view(size, size, 3), known.view(size, size))
    material = Material(base_color=filled.clamp(0, 1).cpu().numpy(), unlit=True)
    return replace(mesh, colors=None, material=material)
