# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse FlexiCubes: cubes of a signed distance field into a mesh with colours.

Only cubes that touch the surface are ever made, so the cost follows the surface, not the grid; the
result is that of the dense grid. Vertices lie in the cube from -0.5 to 0.5.
Source: Shen et al., Flexible Isosurface Extraction for Gradient-Based Mesh Optimization, 2023.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from photocast.nets.flexicubes_tables import CORNERS, EDGES, ambiguous_neighbor, dual_vertices

__all__ = ["CUBE_CHANNELS", "CubeMesh", "extract_mesh"]

CUBE_CHANNELS = 101
"""sdf 8 | deform 8 x 3 | beta 12 | alpha 8 | gamma 1 | colour 8 x 6."""
_SPLIT = (8, 24, 12, 8, 1, 48)


class CubeMesh(NamedTuple):
    """Triangles with six attributes per vertex."""

    vertices: Float[Tensor, "vert 3"]
    faces: Int[Tensor, "face 3"]
    attributes: Float[Tensor, "vert 6"]
    """Red, green and blue in [0, 1], then a normal, also mapped to [0, 1]."""


class _Corners(NamedTuple):
    """Corners of the cubes that are given, sorted by key."""

    key: Int[Tensor, "corner"]
    sdf: Float[Tensor, "corner"]
    deform: Float[Tensor, "corner 3"]
    color: Float[Tensor, "corner 6"]


class _Cubes(NamedTuple):
    """Cubes that the surface passes through, in lexicographic order."""

    key: Int[Tensor, "cube"]
    place: Int[Tensor, "cube 3"]
    corner_key: Int[Tensor, "cube 8"]
    sdf: Float[Tensor, "cube 8"]
    position: Float[Tensor, "cube 8 3"]
    color: Float[Tensor, "cube 8 6"]
    beta: Float[Tensor, "cube 12"]
    alpha: Float[Tensor, "cube 8"]
    gamma: Float[Tensor, "cube"]


def extract_mesh(
    places: Int[Tensor, "cube 3"], features: Float[Tensor, "cube 101"], resolution: int
) -> CubeMesh:
    """Make the mesh.

    Args:
        places: (x, y, z) of the given cubes, in any order.
        features: Their numbers; see :data:`CUBE_CHANNELS`. They are not changed.
        resolution: Cubes along each side of the grid.

    Returns:
        The mesh; no vertices where the field has no surface.
    """
    order = torch.argsort(_key(places.long(), resolution))
    places, features = places[order].long(), features.index_select(0, order)
    corners = _average_corners(places, features, resolution)
    cubes = _surface_cubes(places, features, corners, resolution)
    vertices, colors, gamma, vertex_of_edge = _dual_vertices(cubes, _cases(cubes, resolution))
    faces = _triangles(cubes, vertex_of_edge, gamma)
    return CubeMesh(vertices, faces, colors)


def _key(places: Int[Tensor, "*pt 3"], side: int) -> Int[Tensor, "*pt"]:
    x, y, z = places.unbind(-1)
    return (x * side + y) * side + z


def _place(keys: Int[Tensor, "pt"], side: int) -> Int[Tensor, "pt 3"]:
    x, rest = keys.div(side * side, rounding_mode="floor"), keys % (side * side)
    return torch.stack([x, rest.div(side, rounding_mode="floor"), rest % side], dim=1)


def _find(
    keys: Int[Tensor, "*pt"], among: Int[Tensor, "known"]
) -> tuple[Int[Tensor, "*pt"], Bool[Tensor, "*pt"]]:
    """Place of each key in a sorted list, and whether it is there at all."""
    if len(among) == 0:
        return torch.zeros_like(keys), torch.zeros_like(keys, dtype=torch.bool)
    place = torch.searchsorted(among, keys).clamp(max=len(among) - 1)
    return place, among[place] == keys


def _average_corners(
    places: Int[Tensor, "cube 3"], features: Float[Tensor, "cube 101"], resolution: int
) -> _Corners:
    """Mean over the cubes that share a corner; the field is moved out by 1/resolution before."""
    sdf, deform, _, _, _, color = features.float().split(_SPLIT, dim=1)
    keys = _key(places[:, None] + places.new_tensor(CORNERS), resolution + 1)  # cube 8
    unique, index = torch.unique(keys, return_inverse=True)
    values = torch.cat(
        [
            (sdf - 1 / resolution)[..., None],
            deform.unflatten(1, (8, 3)),
            color.unflatten(1, (8, 6)),
        ],
        dim=2,
    ).flatten(0, 1)
    total = values.new_zeros(len(unique), values.shape[1]).index_add_(0, index.flatten(), values)
    mean = total / torch.bincount(index.flatten(), minlength=len(unique))[:, None]
    return _Corners(unique, mean[:, 0], mean[:, 1:4], mean[:, 4:])


def _surface_cubes(
    places: Int[Tensor, "cube 3"],
    features: Float[Tensor, "cube 101"],
    corners: _Corners,
    resolution: int,
) -> _Cubes:
    """All cubes with corners on both sides, given or not.

    Cubes that were not given close the surface: their own numbers are 0, and corners that no given
    cube touches lie outside, at +1.
    """
    steps = places.new_tensor(CORNERS)
    negative = _place(corners.key[corners.sdf < 0], resolution + 1)
    around = (negative[:, None] - steps).flatten(0, 1)
    around = around[((around >= 0) & (around < resolution)).all(dim=1)]
    keys = torch.unique(_key(around, resolution))
    cubes = _place(keys, resolution)
    corner_key = _key(cubes[:, None] + steps, resolution + 1)
    index, known = _find(corner_key, corners.key)
    sdf = torch.where(known, _rows(corners.sdf, index), 1.0)
    on_surface = (sdf >= 0).any(dim=1)
    keys, cubes, corner_key, index, known, sdf = (
        x[on_surface] for x in (keys, cubes, corner_key, index, known, sdf)
    )
    deform = torch.where(known[..., None], _rows(corners.deform, index), 0.0)
    color = torch.where(known[..., None], _rows(corners.color, index), 0.0)
    own, given = _find(keys, _key(places, resolution))
    weights = torch.where(given[:, None], _rows(features[:, 32:53].float(), own), 0.0)
    corner = (cubes[:, None] + steps).to(deform.dtype)
    return _Cubes(
        keys,
        cubes,
        corner_key,
        sdf,
        corner / resolution - 0.5 + (1 - 1e-8) / (2 * resolution) * torch.tanh(deform),
        torch.sigmoid(color),
        0.99 * torch.tanh(weights[:, :12]) + 1,
        0.99 * torch.tanh(weights[:, 12:20]) + 1,
        0.99 * torch.sigmoid(weights[:, 20]) + 0.005,
    )


def _cases(cubes: _Cubes, resolution: int) -> Int[Tensor, "cube"]:
    """Signs of each cube as a number; opposite where two ambiguous cubes share their face."""
    bits = 2 ** torch.arange(8, device=cubes.sdf.device)
    case = ((cubes.sdf < 0) * bits).sum(dim=1)
    step = ambiguous_neighbor().to(case.device)[case]
    beside = cubes.place + step
    inside = ((beside >= 0) & (beside < resolution)).all(dim=1)
    index, known = _find(_key(beside, resolution), cubes.key)
    ambiguous = (step != 0).any(dim=1)
    turned = ambiguous & inside & known & ambiguous[index]
    return torch.where(turned, 255 - case, case)


def _dual_vertices(
    cubes: _Cubes, case: Int[Tensor, "cube"]
) -> tuple[
    Float[Tensor, "vert 3"], Float[Tensor, "vert 6"], Float[Tensor, "vert"], Int[Tensor, "cube 12"]
]:
    """Positions, colours and gamma of the vertices, and the vertex at each edge of each cube (-1).

    Vertices of cubes with one come first, then those of cubes with two, and so on.
    """
    counts, table = (x.to(case.device) for x in dual_vertices())
    count = counts[case]
    owner, number = torch.nonzero(
        torch.arange(4, device=case.device) < count[:, None], as_tuple=True
    )
    order = torch.argsort(count[owner], stable=True)
    owner, number = owner[order], number[order]
    edges = table[case[owner], number]  # vert 7
    used, edge = edges >= 0, edges.clamp(min=0)
    vertex_of_edge = torch.full((len(case), 12), -1, device=case.device)
    row, column = torch.nonzero(used, as_tuple=True)
    vertex_of_edge[owner[row], edge[row, column]] = row
    ends = torch.tensor(EDGES, device=case.device)[edge]  # vert 7 2
    corner = 8 * owner[:, None, None] + ends
    score = _rows((cubes.sdf * cubes.alpha).flatten(), corner)
    beta = _rows(cubes.beta.flatten(), 12 * owner[:, None] + edge)
    weight = torch.where(used, beta, 0.0)[..., None]
    total = weight.sum(dim=1)
    denominator = torch.where(used, score[..., 1] - score[..., 0], 1.0)[..., None]

    def blend(values: Float[Tensor, "cube 8 c"]) -> Float[Tensor, "vert c"]:
        a, b = _rows(values.flatten(0, 1), corner).unbind(2)
        at_edge = (a * score[..., 1:] - b * score[..., :1]) / denominator
        return (weight * at_edge).sum(dim=1) / total

    gamma = cubes.gamma.index_select(0, owner)
    return blend(cubes.position), blend(cubes.color), gamma, vertex_of_edge


def _rows(values: Float[Tensor, "row *c"], index: Int[Tensor, "*pt"]) -> Tensor:
    """``values[index]``, with a gradient that adds in place: many points share a row.

    That of indexing sorts the points first, and then walks those of one row one after the other.
    """
    found: Tensor = values.index_select(0, index.flatten()).unflatten(0, index.shape)
    return found


def _triangles(
    cubes: _Cubes, vertex_of_edge: Int[Tensor, "cube 12"], gamma: Float[Tensor, "vert"]
) -> Int[Tensor, "face 3"]:
    """Two triangles for every edge of the grid that the surface cuts and four cubes share."""
    pairs = cubes.corner_key[:, torch.tensor(EDGES, device=gamma.device)].flatten(0, 1)  # use 2
    starts, ends = cubes.sdf[:, torch.tensor(EDGES, device=gamma.device)].flatten(0, 1).unbind(1)
    cut = (starts < 0) != (ends < 0)
    uses = torch.nonzero(cut)[:, 0]
    side = int(pairs.max()) + 1 if len(pairs) else 1
    _, edge, shared = torch.unique(
        pairs[uses, 0] * side + pairs[uses, 1], return_inverse=True, return_counts=True
    )
    full = shared[edge] == 4
    uses, edge = uses[full], edge[full]
    uses = uses[torch.argsort(edge, stable=True)].view(-1, 4)
    quads = vertex_of_edge.flatten()[uses]
    outward = starts[uses[:, 0]] > 0
    quads = torch.cat([quads[outward][:, [0, 1, 3, 2]], quads[~outward][:, [2, 3, 1, 0]]])
    g = gamma[quads]
    across = g[:, 0] * g[:, 2] > g[:, 1] * g[:, 3]
    first, second = quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 3, 1, 2]]
    return torch.where(across[:, None], first, second).view(-1, 3)
