# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh while it is being mended: faces may come and go, each keeps its own UVs.

UVs are per corner here, so that a change of topology needs no bookkeeping of seams.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.formats.seams import weld
from photocast.geometry.topology import Topology

__all__ = ["Draft", "draft_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Vertices, faces, and what the corners carry."""

    vertices: NDArray[np.float32]
    """(v, 3)."""
    faces: NDArray[np.int32]
    """(f, 3)."""
    uvs: NDArray[np.float32] | None
    """Of each corner (f, 3, 2)."""
    colors: NDArray[np.float32] | None
    """Of each vertex (v, 3)."""
    source: Mesh
    """Where the material comes from."""

    @property
    def topology(self) -> Topology:
        """How its faces hang together."""
        return Topology(self.faces, len(self.vertices))

    @property
    def diagonal(self) -> float:
        """Of the box of the vertices in use."""
        if not len(self.faces):
            return 0.0
        return float(np.linalg.norm(np.ptp(self.vertices[self.topology.used], axis=0)))

    def kept(self, faces: NDArray[np.bool_]) -> "Draft":
        """Some of the faces."""
        uvs = None if self.uvs is None else self.uvs[faces]
        return replace(self, faces=self.faces[faces], uvs=uvs)

    def flipped(self, faces: NDArray[np.bool_]) -> "Draft":
        """Some faces wound the other way."""
        order = np.where(faces[:, None], [0, 2, 1], [0, 1, 2])
        table = np.take_along_axis(self.faces, order, axis=1)
        uvs = None if self.uvs is None else np.take_along_axis(self.uvs, order[..., None], axis=1)
        return replace(self, faces=table, uvs=uvs)

    def with_faces(self, faces: NDArray[np.integer], uvs: NDArray[np.floating] | None) -> "Draft":
        """More faces, with the UVs of their corners (n, 3, 2) if there are any."""
        joined = None
        if self.uvs is not None and uvs is not None:
            joined = np.concatenate([self.uvs, uvs.astype(np.float32).reshape(-1, 3, 2)])
        table = np.concatenate([self.faces, faces.astype(np.int32).reshape(-1, 3)])
        return replace(self, faces=table, uvs=joined)

    def mapped(self, vertex: NDArray[np.integer]) -> "Draft":
        """Every vertex (v,) replaced by another one; positions stay."""
        return replace(self, faces=np.ascontiguousarray(vertex[self.faces], np.int32))

    def mesh(self) -> Mesh:
        """The mesh, without vertices that no face uses, equal positions welded."""
        used, faces = np.unique(self.faces, return_inverse=True)
        count = len(self.faces)
        return weld(
            replace(
                self.source,
                vertices=self.vertices[used],
                faces=faces.reshape(-1, 3).astype(np.int32),
                uvs=None if self.uvs is None else self.uvs.reshape(-1, 2),
                uv_faces=None
                if self.uvs is None
                else np.arange(3 * count, dtype=np.int32).reshape(-1, 3),
                colors=None if self.colors is None else self.colors[used],
            )
        )


def draft_of(mesh: Mesh) -> Draft:
    """Start from a welded mesh."""
    uvs = None
    if mesh.uvs is not None and mesh.uv_faces is not None:
        uvs = mesh.uvs[mesh.uv_faces]
    return Draft(mesh.vertices, mesh.faces, uvs, mesh.colors, mesh)
