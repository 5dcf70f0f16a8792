# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fill what no photo tells about a texture: unseen surface, and the gaps between charts.

Unseen surface continues its neighbourhood across chart borders, by way of the vertices; gaps take
the nearest texels, so that smaller levels of the map do not mix in a stranger's colour.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from photocast.ops.rasterize import rasterize
from photocast.ops.shade import Layout

__all__ = ["Texels", "completed", "fill_gaps", "surface_texels", "vertex_values"]

_SPREAD, _TO_MEAN = 0.05, 1e-6
_SOLVER_STEPS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Texels:
    """Texels whose centre lies on the surface."""

    index: Int64[Tensor, " texel"]
    """Flat, row-major."""
    vertex: Int64[Tensor, "texel 3"]
    """Corners of the face there."""
    bary: Float32[Tensor, "texel 3"]


def surface_texels(layout: Layout, size: int) -> Texels:
    """Find where on the surface each covered texel centre lies."""
    flat = torch.zeros((1, len(layout.uvs), 4), device=layout.uvs.device)
    flat[0, :, :2], flat[0, :, 3] = 2 * layout.uvs - 1, 1.0
    raster = rasterize(flat, layout.uv_faces, (size, size))
    index = torch.nonzero(raster.face.flatten() >= 0)[:, 0]
    two = raster.bary.view(-1, 2)[index]
    bary = torch.cat([two, 1 - two.sum(1, keepdim=True)], 1).clamp(0, 1)
    vertex = layout.faces[raster.face.flatten()[index].long()].long()
    return Texels(index, vertex, bary)


def completed(
    layout: Layout, image: Float32[Tensor, "h w c"], known: Float32[Tensor, "h w"]
) -> Float32[Tensor, "h w c"]:
    """The map with everything filled.

    Args:
        layout: The surface.
        image: Square.
        known: From 0, where nothing is known of a texel, to 1.
    """
    size, channels = image.shape[0], image.shape[2]
    texels = surface_texels(layout, size)
    flat = image.reshape(-1, channels).clone()
    share = known.reshape(-1)[texels.index].clamp(0, 1)
    at_vertex = vertex_values(layout, texels, flat[texels.index], share)
    spread = (at_vertex[texels.vertex] * texels.bary[..., None]).sum(1)
    flat[texels.index] = torch.lerp(spread, flat[texels.index], share[:, None])
    inside = torch.zeros(size * size, dtype=torch.bool, device=image.device)
    inside[texels.index] = True
    return fill_gaps(flat.view(size, size, channels), inside.view(size, size))


def vertex_values(
    layout: Layout,
    texels: Texels,
    values: Float32[Tensor, "texel c"],
    known: Float32[Tensor, " texel"],
) -> Float32[Tensor, "vert c"]:
    """Means of known texels at the vertices; the rest of the surface takes its neighbours'.

    Minimises known |x - mean of texels|² + 0.05 (differences along edges)² and a trace of the mean.
    """
    count = int(layout.faces.max()) + 1
    share = (texels.bary * known[:, None]).flatten()
    where = texels.vertex.flatten()
    weight = share.new_zeros(count).index_add(0, where, share)
    repeated = values.repeat_interleave(3, 0) * share[:, None]
    sums = values.new_zeros(count, values.shape[1]).index_add(0, where, repeated)
    total = weight.sum()
    if float(total) <= 0:
        return values.new_full((count, values.shape[1]), 0.5)
    mean = sums.sum(0) / total
    typical = weight[weight > 0].median()
    pull = (weight / typical)[:, None]
    right = sums / typical + _TO_MEAN * mean
    start = torch.where(weight[:, None] > 0, sums / weight.clamp(min=1e-30)[:, None], mean)
    faces = layout.faces.long()
    ends = torch.cat([faces, faces.roll(-1, 1)], 1).view(-1, 2, 3).transpose(1, 2).reshape(-1, 2)
    both = torch.cat([ends, ends.flip(1)])
    graph = torch.sparse_coo_tensor(
        both.T, both.new_ones(len(both)).float(), (count, count), check_invariants=False
    ).coalesce()
    degree = torch.sparse.mm(graph, weight.new_ones(count, 1))
    diagonal = pull + _SPREAD * degree + _TO_MEAN

    def apply(x: Tensor) -> Tensor:
        product: Tensor = diagonal * x - _SPREAD * torch.sparse.mm(graph, x)
        return product

    x, residual = start.clone(), right - apply(start)
    direction = residual / diagonal
    old = (residual * direction).sum(0)
    for _ in range(_SOLVER_STEPS):
        ahead = apply(direction)
        step = old / (direction * ahead).sum(0).clamp(min=1e-30)
        x, residual = x + step * direction, residual - step * ahead
        z = residual / diagonal
        new = (residual * z).sum(0)
        direction, old = z + new / old.clamp(min=1e-30) * direction, new
    return x


def fill_gaps(
    image: Float32[Tensor, "h w c"], known: Bool[Tensor, "h w"]
) -> Float32[Tensor, "h w c"]:
    """Fill unknown texels from the nearest known ones, smoothly; known ones stay as they are.

    Averages known texels down a pyramid and takes each unknown texel from the finest level that
    knows anything there.
    """
    height, width = known.shape
    if min(height, width) == 1 or bool(known.all()) or not bool(known.any()):
        return image
    weight = known.float()[None, None]
    sums = torch.nn.functional.pad(
        torch.cat([image.permute(2, 0, 1)[None] * weight, weight], 1), (0, width % 2, 0, height % 2)
    )
    sums = torch.nn.functional.avg_pool2d(sums, 2)[0]
    total = sums[-1]
    mean = (sums[:-1] / total.clamp(min=1e-12)).permute(1, 2, 0)
    coarse = fill_gaps(mean.contiguous(), total > 0).permute(2, 0, 1)[None]
    larger = torch.nn.functional.interpolate(
        coarse, scale_factor=2.0, mode="bilinear", align_corners=False
    )[0].permute(1, 2, 0)[:height, :width]
    return torch.where(known[..., None], image, larger).contiguous()
