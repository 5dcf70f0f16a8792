# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Give a mesh UVs: charts that never overlap, at one texel density, with gaps between them.

Any triangles will do: several bodies, borders, edges of many faces, faces without area. The work is
a bounded number of passes over the faces, the result the same on every run.

UV (0, 0) is the top-left corner of the map; in the picture a chart looks as the surface does from
outside, never mirrored.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.config import UnwrapConfig
from photocast.data import Mesh
from photocast.deadline import deadline_of
from photocast.progress import Progress, silent
from photocast.stages.charts import Surface, chart_labels, surface
from photocast.stages.flatten import Flat, flatten, flatten_again, hidden_faces
from photocast.stages.pack import Packing, pack
from photocast.stages.xatlas_charts import NoCharts, seconds_for, xatlas_flat

__all__ = ["unwrap"]

_EXPECTED_USE = 0.6
_REPAIRS = 6
_LEAST_SIDE = 1 / 16
"""Side of the square that all faces would fill, at least, in sides of the object's box."""


def unwrap(
    mesh: Mesh,
    config: UnwrapConfig | None = None,
    progress: Progress = silent,
    *,
    device: torch.device | None = None,
    notes: list[str] | None = None,
) -> Mesh:
    """Cut a mesh into charts and lay them out in the unit square.

    Args:
        mesh: Any triangles; its UVs, if any, are replaced, and its texture maps dropped.
        config: Texture size and gaps.
        progress: Called after each step.
        device: Where to look for overlaps; the CPU if absent.
        notes: Where to say that our own charts were taken instead of those asked for, and why.

    Returns:
        The same vertices and faces, with ``uvs`` and ``uv_faces``.

    Raises:
        MeshError: The mesh has more separate pieces than the texture has room for.
    """
    config = config or UnwrapConfig()
    if not len(mesh.faces):
        return _with_uvs(mesh, np.zeros((0, 2), np.float32), np.zeros((0, 3), np.int32))
    vertices = _unit_vertices(mesh)
    faces = surface(vertices, mesh.faces)
    total = float(faces.areas.sum())
    # Faces of nearly no area in a box of side one: a texel is not made as small as they are.
    texel = max(np.sqrt(total / _EXPECTED_USE), _LEAST_SIDE) / config.size if total > 0 else 1.0
    device = device or torch.device("cpu")
    whole = vertices, mesh.faces, faces
    flat = None
    if config.atlas == "xatlas":
        flat = _by_xatlas(whole, texel, progress, device, notes)
    if flat is None:
        chart = chart_labels(faces, (config.min_chart * texel) ** 2, device=device)
        progress("unwrap", 1, 3)
        flat = flatten(*whole, chart, texel, device=device)

    def mend(flat: Flat, bad: NDArray[np.bool_], alone: bool, scale: float) -> Flat:
        return flatten_again(flat, bad, whole, texel, alone=alone, scale=scale, device=device)

    progress("unwrap", 2, 3)
    flat, packing = _packed(flat, mend, config, device)
    uvs, uv_faces = _uvs(flat, packing, config.size)
    used = float(faces.areas.sum() * packing.scale**2 / config.size**2)
    progress("unwrap", 3, 3, charts=flat.count, used=used)
    return _with_uvs(mesh, uvs, uv_faces)


def _by_xatlas(
    whole: tuple[NDArray[np.float64], NDArray[np.int32], Surface],
    texel: float,
    progress: Progress,
    device: torch.device,
    notes: list[str] | None,
) -> Flat | None:
    seconds = min(seconds_for(len(whole[1])), deadline_of(progress).remaining / 4)
    try:
        return xatlas_flat(*whole, texel, seconds=seconds, device=device)
    except NoCharts as why:
        text = f"The UV map is our own, not that of xatlas: {why}."
        if notes is not None and text not in notes:
            notes.append(text)
        return None


def _unit_vertices(mesh: Mesh) -> NDArray[np.float64]:
    # Tiny and huge units alike become a box of side one, so that thresholds mean something.
    used = mesh.vertices[np.unique(mesh.faces)].astype(np.float64)
    low, extent = used.min(axis=0), float(np.ptp(used, axis=0).max())
    scaled: NDArray[np.float64] = (mesh.vertices.astype(np.float64) - low) / (extent or 1.0)
    return scaled


def _packed(
    flat: Flat,
    mend: Callable[[Flat, NDArray[np.bool_], bool, float], Flat],
    config: UnwrapConfig,
    device: torch.device,
) -> tuple[Flat, Packing]:
    """Pack, and check the final float32 coordinates; faces that collide after rounding go apart."""
    most = None
    for attempt in range(_REPAIRS):
        packing = pack(flat, config.size, config.padding, most=most)
        bad = _collisions(flat, packing, config.size, device)
        if not bad.any():
            break
        flat = mend(flat, bad, attempt > 1, packing.scale)
        most = packing.scale
    return flat, packing


def _collisions(flat: Flat, packing: Packing, size: int, device: torch.device) -> NDArray[np.bool_]:
    uvs, uv_faces = _uvs(flat, packing, size)
    corners = uvs.astype(np.float64)[uv_faces]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    bad: NDArray[np.bool_] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] >= 0
    for fine in (size, 2 * size):
        bad |= hidden_faces(flat, corners * fine, (fine, fine), device=device)
    return bad


def _uvs(flat: Flat, packing: Packing, size: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    uvs = packing.points / size
    uvs[:, 1] = 1 - uvs[:, 1]
    return uvs.clip(0, 1).astype(np.float32), flat.faces.astype(np.int32)


def _with_uvs(mesh: Mesh, uvs: NDArray[np.float32], uv_faces: NDArray[np.int32]) -> Mesh:
    material = replace(mesh.material, base_color=None, roughness=None, metallic=None, normal=None)
    return replace(mesh, uvs=uvs, uv_faces=uv_faces, material=material)
