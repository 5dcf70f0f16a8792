# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Make one solid of closed parts that pass through each other, with manifold3d if it is installed.

UVs and colours travel as properties of the corners: what is cut is cut in the map as well.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.geometry.triangle_shape import triangle_shape
from photocast.stages.repair_draft import Draft

__all__ = ["unite"]

_MISSING = (
    "Parts pass through each other; to make one solid of them, install: pip install manifold3d."
)


def unite(draft: Draft, intersecting: int) -> tuple[Draft, str]:
    """Unite all parts.

    Args:
        draft: Mended in all other ways.
        intersecting: How many of its faces meet others.

    Returns:
        The draft, united where that can be done, and what was done or why not.
    """
    if not intersecting:
        return draft, ""
    topology = draft.topology
    if not (topology.watertight and topology.consistent):
        return draft, "Triangles that meet each other were left: the surface is not closed."
    if topology.part_count < 2:
        return draft, "Triangles that meet each other were left: they belong to one part."
    volumes = np.bincount(
        topology.part, weights=triangle_shape(draft.vertices, draft.faces).signed_volume
    )
    if (volumes <= 0).any():
        return draft, "Parts that pass through each other were left: some bound hollows."
    try:
        import manifold3d
    except ImportError:
        return draft, _MISSING
    solids = [_solid(manifold3d, draft.kept(topology.part == part)) for part in range(len(volumes))]
    if any(solid.is_empty() for solid in solids):
        return (
            draft,
            "Parts that pass through each other were left: one is no solid to manifold3d.",
        )
    united = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)
    if united.is_empty():
        return draft, "Parts that pass through each other were left: their union came out empty."
    return _draft(draft, united.to_mesh()), (
        f"{len(solids)} parts were united into one solid, where {intersecting} triangles met."
    )


def _solid(manifold3d: Any, draft: Draft) -> Any:
    """One part; every corner is a vertex with its properties, merged by position."""
    corners = draft.faces.reshape(-1)
    rows: NDArray[np.float32] = np.column_stack(
        [draft.vertices[corners], *_properties(draft, corners)]
    )
    index = np.arange(len(corners), dtype=np.uint32)
    _, first, group = np.unique(corners, return_index=True, return_inverse=True)
    mesh = manifold3d.Mesh(
        vert_properties=np.ascontiguousarray(rows, np.float32),
        tri_verts=index.reshape(-1, 3),
        merge_from_vert=index,
        merge_to_vert=first[group.reshape(-1)].astype(np.uint32),
    )
    return manifold3d.Manifold(mesh)


def _properties(draft: Draft, corners: NDArray[np.int32]) -> list[NDArray[np.float32]]:
    parts = [] if draft.uvs is None else [draft.uvs.reshape(-1, 2)]
    return parts if draft.colors is None else [*parts, draft.colors[corners]]


def _draft(draft: Draft, made: Any) -> Draft:
    rows = np.asarray(made.vert_properties, np.float32)
    vertex = np.arange(len(rows))
    vertex[np.asarray(made.merge_from_vert, np.int64)] = np.asarray(made.merge_to_vert, np.int64)
    table = np.asarray(made.tri_verts, np.int64)
    uvs = None if draft.uvs is None else rows[:, 3:5][table]
    colors = None if draft.colors is None else rows[:, -3:]
    faces = np.ascontiguousarray(vertex[table], np.int32)
    return replace(
        draft, vertices=np.ascontiguousarray(rows[:, :3]), faces=faces, uvs=uvs, colors=colors
    )
