# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Questions every finished mesh must answer, as checks with a number and a limit.

Topology is read from welded positions: a UV seam is not a hole.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from photocast.data import Check, Mesh
from photocast.stages.uv_coverage import uv_coverage

__all__ = ["MAX_UV_OVERLAP", "check_file_size", "check_mesh"]

MAX_UV_OVERLAP = 0.001
"""Share of the used texels that two charts may both claim."""

_MIN_ALTITUDE = 1e-7
"""A triangle is degenerate if its area is below this share of its squared longest edge."""


def check_mesh(mesh: Mesh) -> tuple[Check, ...]:
    """Measure one mesh.

    Args:
        mesh: As it will be saved.
    """
    return (*_numbers(mesh), *_topology(mesh), *_shape(mesh), *_uvs(mesh))


def check_file_size(name: str, size_bytes: int) -> Check:
    """Report how large a written file is."""
    return Check(f"file.{name}", size_bytes, unit="bytes")


def _numbers(mesh: Mesh) -> list[Check]:
    arrays = [a for a in (mesh.vertices, mesh.uvs, mesh.colors) if a is not None]
    bad = sum(int((~np.isfinite(array)).sum()) for array in arrays)
    return [
        Check("mesh.vertices", len(mesh.vertices)),
        _limited("mesh.faces", len(mesh.faces), "> 0", len(mesh.faces) > 0),
        _limited("mesh.not_finite", bad, "= 0", bad == 0),
    ]


def _topology(mesh: Mesh) -> list[Check]:
    faces = mesh.faces.astype(np.int64)
    start, stop = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    # Sorting one number per edge is several times faster than sorting rows.
    count = len(mesh.vertices)
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    undirected, users = np.unique(low * count + high, return_counts=True)
    boundary, crowded = int((users == 1).sum()), int((users > 2).sum())
    watertight = len(faces) > 0 and bool((users == 2).all())
    # Neighbours agree on outside if they walk their edge in opposite directions.
    directed = np.sort(start * count + stop)
    consistent = not bool((directed[1:] == directed[:-1]).any())
    used = np.unique(faces)
    edges = np.stack([undirected // max(count, 1), undirected % max(count, 1)], axis=1)
    pieces = _component_count(edges, used)
    euler = len(used) - len(undirected) + len(faces)
    return [
        Check("mesh.components", pieces),
        _limited("mesh.watertight", watertight, "yes", watertight),
        _limited("mesh.winding_consistent", consistent, "yes", consistent),
        _limited("mesh.boundary_edges", boundary, "= 0", boundary == 0),
        _limited("mesh.non_manifold_edges", crowded, "= 0", crowded == 0),
        Check("mesh.euler_number", euler),
        _genus(euler, pieces, watertight and consistent),
    ]


def _genus(euler: int, pieces: int, closed: bool) -> Check:
    if not closed:
        return Check("mesh.genus", None, note="only defined for a closed surface")
    return Check("mesh.genus", pieces - euler // 2, note="handles and tunnels of all components")


def _shape(mesh: Mesh) -> list[Check]:
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    edges = np.roll(corners, -1, axis=1) - corners
    areas = np.linalg.norm(np.cross(edges[:, 0], -edges[:, 2]), axis=1) / 2
    longest = (edges**2).sum(axis=2).max(axis=1, initial=0)
    flat = int((areas <= _MIN_ALTITUDE * longest).sum())
    centered = corners - (corners.mean(axis=(0, 1)) if len(corners) else 0)
    volume = float(np.einsum("fi,fi->", centered[:, 0], np.cross(centered[:, 1], centered[:, 2])))
    return [
        _limited("mesh.degenerate_faces", flat, "= 0", flat == 0),
        Check("mesh.area", float(areas.sum()), unit="unit²"),
        _limited("mesh.volume", volume / 6, "> 0", volume > 0, unit="unit³"),
    ]


def _uvs(mesh: Mesh) -> list[Check]:
    if mesh.uvs is None or not len(mesh.uvs):
        return [Check("uv.inside", None, note="the mesh has no UVs")]
    inside = bool(((mesh.uvs >= 0) & (mesh.uvs <= 1)).all())
    counts = uv_coverage(mesh)
    used = int((counts > 0).sum())
    overlap = float((counts > 1).sum()) / max(used, 1)
    rule = f"<= {MAX_UV_OVERLAP:g}"
    return [
        _limited("uv.inside", inside, "yes", inside, note="all coordinates within 0..1"),
        _limited("uv.overlap", overlap, rule, overlap <= MAX_UV_OVERLAP, note="of used texels"),
        Check("uv.used", used / counts.size, note="share of the map that charts cover"),
    ]


def _component_count(edges: NDArray[np.int64], used: NDArray[np.int64]) -> int:
    if not len(used):
        return 0
    local = np.searchsorted(used, edges)
    ones: NDArray[Any] = np.ones(len(local), dtype=np.int8)
    graph = coo_matrix((ones, (local[:, 0], local[:, 1])), shape=(len(used), len(used)))
    return int(connected_components(graph, directed=False, return_labels=False))


def _limited(
    name: str, value: float | bool, limit: str, passed: bool, *, unit: str = "", note: str = ""
) -> Check:
    return Check(name, value, unit=unit, limit=limit, passed=passed, note=note)
