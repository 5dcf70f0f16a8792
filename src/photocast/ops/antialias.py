# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Analytic antialiasing of silhouettes: what makes visibility differentiable.

Source of the idea: Laine et al., Modular primitives for high-performance differentiable rendering,
2020, section 3.5; see also Pidhorskyi et al., Rasterized edge gradients, 2024.
"""

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from torch import Tensor

from photocast.kernels.antialias import (
    Surface,
    antialias_backward_kernel,
    blend_kernel,
    pairs_kernel,
)
from photocast.ops._check import check_faces, check_tensor
from photocast.ops._launch import as_array, launch_rows, part_count, sum_parts
from photocast.ops.rasterize import Raster

__all__ = ["EdgeTopology", "antialias", "edge_topology"]


@dataclass(frozen=True, eq=False)
class EdgeTopology:
    """Which faces meet at each side of a face."""

    twins: Tensor
    """Int32 (face, 3): side k of a face is opposite to its corner k; here is the side on the other
    face as 3 * face + k, or -1 if there is none or more than one."""


def edge_topology(faces: Tensor) -> EdgeTopology:
    """Pair the sides of a mesh.

    Args:
        faces: Int32 (face, 3), indices of welded positions: where a texture seam doubles vertices,
            pass the index buffer from before, or every seam counts as a silhouette.

    Raises:
        ValueError: Wrong dtype or shape.
    """
    check_tensor("faces", faces, (None, 3), dtype=torch.int32)
    ends = faces.long()[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2)
    low, high = ends.amin(1), ends.amax(1)
    keys, order = torch.sort(low * (int(high.max()) + 1 if len(high) else 1) + high, stable=True)
    same = keys[1:] == keys[:-1]
    no = same.new_zeros(1)
    before, after = torch.cat([no, same]), torch.cat([same, no])
    # A run of exactly two equal keys: its first has one after it, and that one none.
    first = torch.nonzero(after & ~before & ~torch.cat([after[1:], no])[: len(after)])[:, 0]
    one, other = order[first], order[first + 1]
    twins = torch.full((len(ends),), -1, dtype=torch.int32, device=faces.device)
    twins[one], twins[other] = other.int(), one.int()
    return EdgeTopology(twins.view(-1, 3))


def antialias(
    color: Tensor,
    raster: Raster,
    clip: Tensor,
    faces: Tensor,
    topology: EdgeTopology | None = None,
) -> Tensor:
    """Blend colours across silhouettes by how far they reach into the next pixel.

    Looks at each pair of pixels side by side that see different faces. From the nearer one the
    surface is followed, face by face, towards the other centre; if it ends or folds back at a side
    in between, that side crosses the pair at an exact place, and the colour of the pixel that holds
    more than its half is blended into the other one. The result is an average of a pixel and its
    neighbours. Over a straight silhouette it sums up to the covered area.

    Gradient reaches ``color`` and, through the place of the crossing, ``clip``: this is what moves
    vertices at silhouettes. Not found: surfaces that cover no pixel centre, intersections of
    surfaces, and silhouettes more than 16 faces away from the centre.

    Args:
        color: Float32 (view, h, w, c), background included.
        raster: What :func:`photocast.ops.rasterize.rasterize` made of ``clip`` and ``faces``.
        clip: Float32 (view, vert, 4).
        faces: Int32 (face, 3).
        topology: Of the welded faces, in the same order; made from ``faces`` if not given.

    Returns:
        The blended colours, like ``color``.

    Raises:
        ValueError: A shape, dtype, device or index does not fit.
    """
    shape, device = raster.face.shape, raster.face.device
    check_tensor("raster.face", raster.face, (None, None, None), dtype=torch.int32)
    check_tensor("raster.depth", raster.depth, tuple(shape), device=device)
    check_tensor("color", color, (*shape, None), device=device)
    check_tensor("clip", clip, (shape[0], None, 4), device=device)
    check_faces("faces", faces, clip.shape[1], device=device)
    topology = edge_topology(faces) if topology is None else topology
    check_tensor(
        "topology.twins", topology.twins, (len(faces), 3), dtype=torch.int32, device=device
    )
    result: Tensor = _Antialias.apply(
        color.contiguous(),
        clip.contiguous(),
        faces.contiguous(),
        topology.twins.contiguous(),
        raster.face.contiguous(),
        raster.depth.detach().contiguous(),
    )
    return result


def _surface(clip: Tensor, faces: Tensor, twins: Tensor) -> Any:
    surface = Surface()
    surface.clip = as_array(clip, wp.vec4)
    surface.faces = as_array(faces, wp.vec3i)
    surface.twins = as_array(twins.view(-1))
    return surface


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        color: Tensor,
        clip: Tensor,
        faces: Tensor,
        twins: Tensor,
        face: Tensor,
        depth: Tensor,
    ) -> Tensor:
        views, height, width = face.shape
        rows, surface = views * height, _surface(clip, faces, twins)
        sides = torch.empty((rows, width, 2), dtype=torch.int32, device=clip.device)
        shifts = clip.new_empty((rows, width, 2))
        launch_rows(
            pairs_kernel,
            (views, height, width),
            lambda grid: [
                surface,
                grid,
                face.view(rows, width),
                depth.view(rows, width),
                sides,
                shifts,
            ],
            clip.device,
        )
        blended = color.clone()
        launch_rows(
            blend_kernel,
            (views, height, width),
            lambda grid: [
                color.view(rows, width, -1),
                grid,
                sides,
                shifts,
                blended.view(rows, width, -1),
            ],
            clip.device,
        )
        ctx.save_for_backward(color, clip, faces, twins, blended, sides, shifts)
        return blended

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor, Tensor | None, None, None, None, None]:
        color, clip, faces, twins, blended, sides, shifts = ctx.saved_tensors
        views, height, width, channels = color.shape
        rows, surface = views * height, _surface(clip, faces, twins)
        wants_clip = bool(ctx.needs_input_grad[1])
        grads = clip.new_zeros(
            (part_count(clip.device), *(clip.shape if wants_clip else (1, 1, 4)))
        )
        grad = grad.contiguous()
        grad_color = grad.clone()
        launch_rows(
            antialias_backward_kernel,
            (views, height, width),
            lambda grid: [
                surface,
                grid,
                color.view(rows, width, channels),
                blended.view(rows, width, channels),
                sides,
                shifts,
                grad.view(rows, width, channels),
                int(wants_clip),
                grad_color.view(rows, width, channels),
                (grads, wp.vec4),
            ],
            clip.device,
        )
        return grad_color, sum_parts(grads) if wants_clip else None, None, None, None, None
