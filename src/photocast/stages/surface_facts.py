# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure a surface: how it hangs together, how its triangles are shaped, whether it meets itself.

Nothing is judged here. Topology is read from welded positions: a UV seam is not a hole.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Check, Histogram, Mesh
from photocast.geometry.nesting import shell_depths
from photocast.geometry.topology import Topology
from photocast.geometry.triangle_shape import TriangleShape, neighbour_area_ratio, triangle_shape
from photocast.ops.pathtrace import RayMesh
from photocast.ops.self_intersections import self_intersections
from photocast.ops.thickness import thickness

__all__ = ["Facts", "histogram", "surface_facts"]

_LARGE_PART = 0.01
_SLIVER_DEG = 5.0
_ZERO_EDGE = 1e-9
_THICKNESS_FACES = 20_000
_CPU = torch.device("cpu")


@dataclass
class Facts:
    """What was measured, as it is collected."""

    checks: list[Check] = field(default_factory=list)
    flags: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Faces (f,) that a check counts, by its name."""
    layers: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """A number for each face (f,), by name."""
    histograms: list[Histogram] = field(default_factory=list)

    def add(self, name: str, value: float | int | bool | str | None, note: str = "") -> None:
        """Append an answer; without a value the note says why."""
        self.checks.append(Check(name, value, note=note))


def surface_facts(
    mesh: Mesh, *, with_thickness: bool = True, device: torch.device | None = None
) -> Facts:
    """Measure one mesh.

    Args:
        mesh: Equal positions welded.
        with_thickness: Whether to send rays through the solid.
        device: Where to look for intersections; the CPU if absent.
    """
    facts = Facts()
    topology = Topology(mesh.faces, len(mesh.vertices))
    shape = triangle_shape(mesh.vertices, mesh.faces)
    _counts(facts, mesh, topology, shape)
    _edges(facts, mesh, topology)
    _sides(facts, mesh, topology, shape)
    _triangles(facts, mesh, topology, shape)
    _space(facts, mesh, topology, shape, with_thickness, device or _CPU)
    return facts


def histogram(
    name: str, unit: str, values: NDArray[np.floating[Any]], edges: NDArray[np.floating[Any]]
) -> Histogram:
    """Count values between edges; what lies outside counts at the ends."""
    inside = np.clip(values[~np.isnan(values)], edges[0], edges[-1])
    counts, _ = np.histogram(inside, edges)
    return Histogram(name, unit, tuple(edges.tolist()), tuple(counts.tolist()))


def _counts(facts: Facts, mesh: Mesh, topology: Topology, shape: TriangleShape) -> None:
    arrays = [a for a in (mesh.vertices, mesh.uvs, mesh.colors) if a is not None]
    facts.add("mesh.vertices", len(mesh.vertices))
    facts.add("mesh.faces", len(mesh.faces))
    facts.add("mesh.not_finite", sum(int((~np.isfinite(array)).sum()) for array in arrays))
    facts.add("mesh.duplicate_faces", len(topology.duplicates))
    _flag(facts, "mesh.duplicate_faces", topology.repeated, len(mesh.faces))
    facts.add("mesh.components", topology.part_count)
    total = float(shape.area.sum())
    if total > 0:
        share = np.bincount(topology.part, weights=shape.area) / total
        small = share <= _LARGE_PART
        facts.add("mesh.large_components", int((~small).sum()))
        facts.add("mesh.largest_share", float(share.max()))
        if small.any():
            facts.flags["mesh.components"] = small[topology.part]
    else:
        for name in ("mesh.large_components", "mesh.largest_share"):
            facts.add(name, None, "the mesh has no area")


def _edges(facts: Facts, mesh: Mesh, topology: Topology) -> None:
    count = len(mesh.faces)
    facts.add("mesh.watertight", topology.watertight)
    facts.add("mesh.boundary_edges", len(topology.rim))
    _flag(facts, "mesh.boundary_edges", topology.rim // 3, count)
    facts.add("mesh.boundary_loops", int(topology.rim_loop.max(initial=-1)) + 1)
    ends = mesh.vertices[topology.start[topology.rim]], mesh.vertices[topology.stop[topology.rim]]
    lengths = np.linalg.norm(ends[1].astype(np.float64) - ends[0], axis=1)
    facts.add("mesh.boundary_length", float(lengths.sum()))
    facts.add("mesh.non_manifold_edges", topology.crowded_count)
    _flag(facts, "mesh.non_manifold_edges", topology.crowded // 3, count)
    facts.add("mesh.non_manifold_vertices", len(topology.pinched))
    if len(topology.pinched):
        pinched = np.zeros(len(mesh.vertices), bool)
        pinched[topology.pinched] = True
        around = np.flatnonzero(pinched[mesh.faces].any(axis=1))
        _flag(facts, "mesh.non_manifold_vertices", around, count)


def _sides(facts: Facts, mesh: Mesh, topology: Topology, shape: TriangleShape) -> None:
    facts.add("mesh.winding_consistent", topology.consistent)
    flipped, can_agree = topology.flipped()
    facts.add(
        "mesh.flipped_faces",
        int(flipped.sum()),
        "" if can_agree else "a sheet has only one side, like a Möbius strip: no winding can agree",
    )
    if flipped.any():
        facts.flags["mesh.flipped_faces"] = flipped
    closed = topology.watertight and topology.consistent
    why_not = "" if closed else "the surface is not closed, or its winding is not consistent"
    if closed:
        _orientation(facts, mesh, topology, shape)
    else:
        facts.add("mesh.outward", None, why_not)
        facts.add("mesh.hollows", None, why_not)
    euler = int(topology.euler.sum())
    facts.add("mesh.euler_number", euler)
    genus = topology.part_count - euler // 2 if closed else None
    facts.add("mesh.genus", genus, why_not or "handles and tunnels of all components")
    facts.add("mesh.degenerate_faces", int(shape.degenerate.sum()))
    _flag(facts, "mesh.degenerate_faces", np.flatnonzero(shape.degenerate), len(mesh.faces))
    facts.add("mesh.area", float(shape.area.sum()))
    facts.add("mesh.volume", float(shape.signed_volume.sum()) if closed else None, why_not)


def _orientation(facts: Facts, mesh: Mesh, topology: Topology, shape: TriangleShape) -> None:
    volumes = np.bincount(topology.part, weights=shape.signed_volume)
    depths = {0: 0} if len(volumes) == 1 else shell_depths(mesh.vertices, mesh.faces, topology.part)
    # A part of zero volume, such as a folded sheet, faces no way at all.
    wrong = [p for p, depth in depths.items() if volumes[p] * (-1) ** depth <= 0]
    facts.add("mesh.outward", not wrong)
    if wrong:
        facts.flags["mesh.outward"] = np.isin(topology.part, wrong)
    facts.add("mesh.hollows", sum(volumes[p] < 0 and d % 2 == 1 for p, d in depths.items()))


def _triangles(facts: Facts, mesh: Mesh, topology: Topology, shape: TriangleShape) -> None:
    ratio = neighbour_area_ratio(shape.area, topology.pairs // 3)
    facts.layers |= {
        "min_angle": shape.min_angle_deg,
        "aspect": shape.aspect,
        "area_ratio": ratio,
        "component": topology.part.astype(np.float32),
    }
    names = ("min_angle", "min_angle_p5", "sliver_share", "aspect_p95", "area_ratio_p99",
             "edge_ratio", "zero_edges")  # fmt: skip
    if not len(mesh.faces):
        for name in (*names, "box"):
            facts.add(f"shape.{name}", None, "there are no triangles")
        return
    diagonal = float(np.linalg.norm(np.ptp(mesh.vertices[topology.used].astype(float), axis=0)))
    sliver = shape.min_angle_deg < _SLIVER_DEG
    short = shape.shortest <= _ZERO_EDGE * diagonal
    values = (
        float(shape.min_angle_deg.min()),
        float(np.percentile(shape.min_angle_deg, 5)),
        float(sliver.mean()),
        _finite(float(np.percentile(shape.aspect, 95, method="lower"))),
        float(np.percentile(ratio, 99)),
        _finite(float(shape.longest.max() / max(float(np.median(shape.longest)), 1e-300))),
        int(short.sum()),
    )
    for name, value in zip(names, values, strict=True):
        note = "" if value is not None else "too many triangles are degenerate"
        facts.add(f"shape.{name}", value, note)
    facts.flags["shape.sliver_share"] = sliver
    _flag(facts, "shape.zero_edges", np.flatnonzero(short), len(short))
    box = " x ".join(f"{side:.6g}" for side in np.ptp(mesh.vertices[topology.used], axis=0))
    facts.add("shape.box", box)
    facts.histograms += [
        histogram("min_angle", "°", shape.min_angle_deg, np.linspace(0, 60, 31)),
        histogram("aspect", "1", shape.aspect, np.geomspace(1, 100, 31)),
        histogram("area_ratio", "1", ratio, np.geomspace(1, 100, 31)),
    ]


def _space(
    facts: Facts,
    mesh: Mesh,
    topology: Topology,
    shape: TriangleShape,
    with_thickness: bool,
    device: torch.device,
) -> None:
    reason = "" if with_thickness else "not asked for"
    if not len(mesh.faces) or not shape.area.max() > 0:
        for name in ("faces", "share"):
            facts.add(f"shape.self_intersecting_{name}", None, "the mesh has no area")
        _add_thickness(facts, None, 1.0, reason or "the mesh has no area")
        return
    # A power of two changes no digit, and keeps tiny and gigantic units within a float's range.
    scale = 2.0 ** -np.ceil(np.log2(float(np.abs(mesh.vertices).max())))
    vertices = torch.from_numpy((mesh.vertices * scale).astype(np.float32)).to(device)
    faces = torch.from_numpy(np.ascontiguousarray(mesh.faces)).to(device)
    rays = RayMesh(vertices, faces)
    meets = self_intersections(vertices, faces, rays).cpu().numpy()
    facts.add("shape.self_intersecting_faces", int(meets.sum()))
    facts.add("shape.self_intersecting_share", float(meets.mean()))
    _flag(facts, "shape.self_intersecting_faces", np.flatnonzero(meets), len(meets))
    if not topology.watertight:
        reason = reason or "only defined for a closed surface"
    found = None if reason else _thickness(facts, vertices, faces, rays, shape, scale)
    _add_thickness(facts, found, rays.diagonal / scale, reason)


def _add_thickness(
    facts: Facts, found: NDArray[np.float32] | None, diagonal: float, reason: str
) -> None:
    if found is None or not len(found):
        for name in ("p1", "p50", "p1_share"):
            facts.add(f"shape.thickness_{name}", None, reason or "no ray met another face")
        return
    thin, middle = (float(x) for x in np.percentile(found, [1, 50]))
    facts.add("shape.thickness_p1", thin)
    facts.add("shape.thickness_p50", middle)
    facts.add("shape.thickness_p1_share", thin / diagonal)
    top = float(np.percentile(found, 99))
    if top > 0:
        facts.histograms.append(histogram("thickness", "unit", found, np.linspace(0, top, 31)))


def _thickness(
    facts: Facts,
    vertices: torch.Tensor,
    faces: torch.Tensor,
    rays: RayMesh,
    shape: TriangleShape,
    scale: float,
) -> NDArray[np.float32]:
    able = np.flatnonzero(~shape.degenerate)
    step = max(len(able) / _THICKNESS_FACES, 1.0)
    chosen = able[np.arange(0, len(able), step).astype(np.int64)].astype(np.int32)
    places = torch.from_numpy(chosen).to(vertices.device)
    scaled = thickness(vertices, faces, places, rays).cpu().numpy()
    found: NDArray[np.float32] = (scaled / scale).astype(np.float32)
    layer = np.full(len(faces), np.nan, np.float32)
    layer[chosen] = np.where(found >= 0, found, np.nan)
    facts.layers["thickness"] = layer
    return found[found >= 0]


def _flag(facts: Facts, name: str, faces: NDArray[np.integer[Any]], count: int) -> None:
    if len(faces):
        flags = np.zeros(count, bool)
        flags[faces] = True
        facts.flags[name] = flags


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
