# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure a UV map and its texture. Nothing is judged here."""

import numpy as np
from numpy.typing import NDArray

from photocast.data import Material, Mesh
from photocast.geometry.topology import Topology
from photocast.stages.surface_facts import Facts, histogram
from photocast.stages.uv_coverage import covered_more_than_once, uv_coverage

__all__ = ["uv_facts"]

_NAMES = ("charts", "seam_length", "inside", "outside_share", "overlap", "used", "flipped_share",
          "stretch_p95", "texel_density_p5", "texel_density_p50")  # fmt: skip


def uv_facts(facts: Facts, mesh: Mesh) -> None:
    """Append what there is to know.

    Args:
        facts: Of the same mesh.
        mesh: Equal positions welded.
    """
    if mesh.uvs is None or mesh.uv_faces is None or not len(mesh.uvs) or not len(mesh.faces):
        for name in _NAMES:
            facts.add(f"uv.{name}", None, "the mesh has no UVs")
    else:
        _charts(facts, mesh, mesh.uv_faces)
        _place(facts, mesh, mesh.uvs, mesh.uv_faces)
        _scale(facts, mesh, mesh.uvs, mesh.uv_faces)
    facts.add("uv.materials", mesh.material.sources, _laid_out(mesh.material))
    picture = mesh.material.base_color
    for axis, name in ((1, "width"), (0, "height")):
        size = None if picture is None else picture.shape[axis]
        facts.add(f"uv.texture_{name}", size, "" if size else "the mesh has no texture")


def _laid_out(material: Material) -> str:
    if material.sources == 1:
        return ""
    if material.base_color is None:
        return "their maps are too many or repeat too often to be read"
    return "their maps were laid side by side, as one of this size, and are measured like that"


def _charts(facts: Facts, mesh: Mesh, uv_faces: NDArray[np.int32]) -> None:
    map_ = Topology(uv_faces, int(uv_faces.max()) + 1)
    facts.add("uv.charts", map_.part_count)
    # An edge of the surface with a neighbour, whose edge in the map has none, is a seam.
    rim = np.zeros(uv_faces.size, bool)
    rim[map_.rim] = True
    surface = Topology(mesh.faces, len(mesh.vertices))
    seam = surface.pairs[rim[surface.pairs].any(axis=1), 0]
    ends = mesh.vertices[surface.start[seam]], mesh.vertices[surface.stop[seam]]
    lengths = np.linalg.norm(ends[1].astype(np.float64) - ends[0], axis=1)
    facts.add("uv.seam_length", float(lengths.sum()))


def _place(facts: Facts, mesh: Mesh, uvs: NDArray[np.float32], uv_faces: NDArray[np.int32]) -> None:
    outside = ((uvs.min(axis=1) < 0) | (uvs.max(axis=1) > 1))[uv_faces]
    if mesh.material.sources > 1:
        reason = "the maps of several materials were laid side by side, and repeated where needed"
        facts.add("uv.inside", None, reason)
        facts.add("uv.outside_share", None, reason)
    else:
        facts.add("uv.inside", not bool(outside.any()), "all coordinates within 0..1")
        facts.add("uv.outside_share", float(outside.mean()))
    if outside.any():
        facts.flags["uv.inside"] = outside.max(axis=1)
    counts = uv_coverage(mesh)
    used = int((counts > 0).sum())
    if not used:
        for name in ("overlap", "used"):
            facts.add(f"uv.{name}", None, "no triangle covers a texel within 0..1")
        return
    overlap = float((counts > 1).sum()) / used
    facts.add("uv.overlap", overlap, "of used texels")
    facts.add("uv.used", used / counts.size, "share of the map that charts cover")
    if overlap:
        facts.flags["uv.overlap"] = covered_more_than_once(mesh, counts)


def _scale(facts: Facts, mesh: Mesh, uvs: NDArray[np.float32], uv_faces: NDArray[np.int32]) -> None:
    """How the map is laid on the surface: turned over, stretched, and how densely.

    The singular values of the Jacobian, from the plane of the triangle to the map.
    Source: Sander et al., Texture Mapping Progressive Meshes, 2001, section 3.
    """
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(np.float64) for i in range(3))
    p, q, r = (uvs[uv_faces[:, i]].astype(np.float64) for i in range(3))
    u, v = b - a, c - a
    base = np.linalg.norm(u, axis=1)
    along = np.einsum("fi,fi->f", u, v) / np.maximum(base, 1e-300)
    height = np.sqrt(np.maximum(np.einsum("fi,fi->f", v, v) - along**2, 0))
    signed = (q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0]
    double = base * height
    good = (double > 0) & (signed != 0)
    if not good.any():
        for name in ("flipped_share", "stretch_p95", "texel_density_p5", "texel_density_p50"):
            facts.add(f"uv.{name}", None, "no triangle has an area in space and in the map")
        return
    backward = float((signed[good] > 0).mean())
    facts.add("uv.flipped_share", min(backward, 1 - backward))
    base, along, height, double, signed = (x[good] for x in (base, along, height, double, signed))
    du = (q - p)[good] / base[:, None]  # per unit along the first side, face 2
    dv = ((r - p)[good] - du * along[:, None]) / height[:, None]
    e, f, g = ((x * y).sum(axis=1) for x, y in ((du, du), (du, dv), (dv, dv)))
    spread = np.sqrt((e - g) ** 2 + 4 * f**2)
    large = np.sqrt((e + g + spread) / 2)
    small = np.abs(signed) / double / large
    stretch = large / np.maximum(small, 1e-300)
    facts.add("uv.stretch_p95", float(np.percentile(stretch, 95)))
    layer = np.full(len(good), np.nan, np.float32)
    layer[good] = stretch
    facts.layers["stretch"] = layer
    _density(facts, mesh, np.sqrt(np.abs(signed) / double), double)
    facts.histograms.append(histogram("stretch", "1", stretch, np.geomspace(1, 100, 31)))


def _density(
    facts: Facts, mesh: Mesh, scale: NDArray[np.float64], area: NDArray[np.float64]
) -> None:
    picture = mesh.material.base_color
    if picture is None:
        for name in ("p5", "p50"):
            facts.add(f"uv.texel_density_{name}", None, "the mesh has no texture")
        return
    density = scale * float(np.sqrt(picture.shape[0] * picture.shape[1]))
    order = np.argsort(density)
    reached = np.cumsum(area[order]) / area.sum()
    for name, share in (("p5", 0.05), ("p50", 0.5)):
        at = min(int(np.searchsorted(reached, share)), len(order) - 1)
        facts.add(f"uv.texel_density_{name}", float(density[order[at]]))
