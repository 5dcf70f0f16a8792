# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Make one solid of closed parts that pass through each other, with manifold3d if it is installed.

A part that passes through itself is cut apart first, where that can be done.

UVs and colours travel as properties of the corners: what is cut is cut in the map as well.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.geometry.triangle_shape import triangle_shape
from photocast.stages.repair_cut import cut_apart
from photocast.stages.repair_draft import Draft, draft_of
from photocast.stages.repair_steps import (
    drop_collapsed,
    drop_repeated,
    drop_slivers,
    separate,
)

__all__ = ["unite"]

_MISSING = (
    "Parts pass through each other; to make one solid of them, install: pip install manifold3d."
)
_NO_SOLID = "Parts that pass through each other were left: one is no solid to manifold3d."
_DECIDE = (
    "how it should run is for you to decide. Move it apart in a mesh editor, or remesh it; the "
    "issues that photocast check lists say where."
)
_OPEN = (
    "Triangles that meet each other were left: the surface is not closed, so neither side is "
    f"solid, and {_DECIDE}"
)
_ONE_PART = f"Triangles that meet each other were left: a part passes through itself, and {_DECIDE}"


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
        return draft, _OPEN
    volumes = np.bincount(
        topology.part, weights=triangle_shape(draft.vertices, draft.faces).signed_volume
    )
    if (volumes <= 0).any():
        return draft, "Parts that pass through each other were left: some bound hollows."
    try:
        import manifold3d
    except ImportError:
        return draft, _MISSING
    pieces: list[Draft] = []
    for part in range(len(volumes)):
        cut = cut_apart(draft.kept(topology.part == part))
        if cut is None:
            return draft, _ONE_PART
        pieces += cut
    solids = [_solid(manifold3d, piece) for piece in pieces]
    if any(solid.is_empty() or solid.volume() <= 0 for solid in solids):
        return draft, _ONE_PART if len(solids) > len(volumes) else _NO_SOLID
    united = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)
    if united.is_empty():
        return draft, "Parts that pass through each other were left: their union came out empty."
    cuts = len(solids) - len(volumes)
    cut_first = f", {cuts} of them cut from parts that pass through themselves," if cuts else ""
    return _tidy(_draft(draft, united.to_mesh())), (
        f"{len(solids)} parts{cut_first} were united into one solid, where {intersecting} "
        "triangles met."
    )


def _tidy(draft: Draft) -> Draft:
    """Undo what rounding to float32 does where surfaces cross: no area, sheets that touch."""
    draft = draft_of(draft.mesh())
    for step in (drop_collapsed, drop_slivers, drop_repeated, separate):
        draft, _ = step(draft)
    return draft


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
