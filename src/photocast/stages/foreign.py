# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Make somebody else's mesh fit for work: drop what is no surface, reduce, judge its UVs."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.errors import MeshError
from photocast.stages.uv_coverage import uv_coverage
from photocast.stages.validate import MAX_UV_OVERLAP

__all__ = ["cleaned", "good_uvs", "reduced"]

_FLAT = 1e-7
"""A triangle is no surface if its area is below this share of its squared longest side."""
_LEAST_USE = 0.05
"""Share of the map that UVs must cover; less is a placeholder, or wastes nearly all texels."""


def cleaned(mesh: Mesh) -> Mesh:
    """Drop triangles without area, repeated ones, and vertices that no triangle uses.

    Raises:
        MeshError: No triangle is left.
    """
    kept = _has_area(mesh) & _is_first(mesh.faces)
    if not kept.any():
        raise MeshError(
            f"None of its {len(mesh.faces)} triangles has an area. Export the mesh again.",
            code="mesh.no_faces",
        )
    used, index = np.unique(mesh.faces[kept], return_inverse=True)
    return replace(
        mesh,
        vertices=mesh.vertices[used],
        faces=index.reshape(-1, 3).astype(np.int32),
        uv_faces=None if mesh.uv_faces is None else mesh.uv_faces[kept],
        colors=None if mesh.colors is None else mesh.colors[used],
    )


def _has_area(mesh: Mesh) -> NDArray[np.bool_]:
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    sides = np.roll(corners, -1, axis=1) - corners
    areas = np.linalg.norm(np.cross(sides[:, 0], -sides[:, 2]), axis=1) / 2
    found: NDArray[np.bool_] = areas > _FLAT * (sides**2).sum(axis=2).max(axis=1)
    return found


def _is_first(faces: NDArray[np.int32]) -> NDArray[np.bool_]:
    # Equal up to where they start; a triangle and its back are two.
    turned = np.argmin(faces, axis=1)
    rows = np.take_along_axis(faces, (turned[:, None] + np.arange(3)) % 3, axis=1)
    first = np.zeros(len(faces), np.bool_)
    first[np.unique(rows, axis=0, return_index=True)[1]] = True
    return first


def reduced(mesh: Mesh, face_count: int) -> Mesh:
    """Collapse edges until about ``face_count`` triangles are left; UVs and colours are lost.

    A mesh that is small enough comes back as it is.
    """
    if len(mesh.faces) <= face_count:
        return mesh
    import fast_simplification

    vertices, faces = fast_simplification.simplify(
        mesh.vertices, mesh.faces, target_count=max(face_count, 4)
    )
    fewer = Mesh(np.asarray(vertices, np.float32), np.asarray(faces, np.int32))
    return cleaned(fewer)


def good_uvs(mesh: Mesh) -> bool:
    """Whether the UVs can carry maps: within 0..1, no texel claimed twice, not hardly used."""
    if mesh.uvs is None or not len(mesh.uvs):
        return False
    if mesh.uvs.min() < 0 or mesh.uvs.max() > 1:
        return False
    counts = uv_coverage(mesh)
    used = int((counts > 0).sum())
    overlap = int((counts > 1).sum())
    return used >= _LEAST_USE * counts.size and overlap <= MAX_UV_OVERLAP * used
