# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Vertex attributes at the pixels, and their image-space slopes."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from photocast.kernels.interpolate import (
    interpolate_backward_kernel,
    interpolate_kernel,
    interpolate_slopes_kernel,
)
from photocast.ops._check import check_faces, check_tensor
from photocast.ops._launch import GradientSums, aligned, launch_rows
from photocast.ops.rasterize import Raster

FOUR = 4  # channels at once

__all__ = ["interpolate", "interpolate_twin", "interpolate_with_slopes"]


def interpolate(attributes: Tensor, raster: Raster, faces: Tensor) -> Tensor:
    """Blend the attributes of each pixel's three corners; zero where nothing is seen.

    Gradient reaches ``attributes`` and ``raster.bary``.

    Args:
        attributes: Float32 (vert, c), or (view, vert, c) if the views differ.
        raster: What :func:`photocast.ops.rasterize.rasterize` found.
        faces: Int32 (face, 3) into ``attributes``: the rasterised faces, or another index buffer
            in the same face order, such as the UV faces.

    Returns:
        (view, h, w, c).

    Raises:
        ValueError: A shape, dtype, device or index does not fit.
    """
    values: Tensor = _Interpolate.apply(*_checked(attributes, raster, faces), None)[0]
    return values


def interpolate_with_slopes(
    attributes: Tensor, raster: Raster, faces: Tensor
) -> tuple[Tensor, Tensor]:
    """Blend attributes, and say how they change from pixel to pixel.

    Like :func:`interpolate`; the slopes carry no gradient. The raster must have slopes.

    Returns:
        Values (view, h, w, c) and slopes (view, h, w, c, 2): d/dx and d/dy per pixel.
    """
    checked = _checked(attributes, raster, faces)
    check_tensor("raster.bary_da", raster.bary_da, (*raster.face.shape, 4), device=faces.device)
    values, slopes = _Interpolate.apply(*checked, aligned(raster.bary_da))
    return values, slopes


def _checked(
    attributes: Tensor, raster: Raster, faces: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shape, device = raster.face.shape, raster.face.device
    batched = attributes if isinstance(attributes, Tensor) and attributes.ndim == 3 else None
    if batched is None:
        check_tensor("attributes", attributes, (None, None), device=device)
        batched = attributes[None]
    else:
        check_tensor("attributes", attributes, (shape[0], None, None), device=device)
    check_tensor("raster.face", raster.face, (None, None, None), dtype=torch.int32)
    check_tensor("raster.bary", raster.bary, (*shape, 2), device=device)
    check_faces("faces", faces, batched.shape[1], device=device)
    return (
        batched.contiguous(),
        faces.contiguous(),
        raster.face.contiguous(),
        aligned(raster.bary),
    )


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        attributes: Tensor,
        faces: Tensor,
        face: Tensor,
        bary: Tensor,
        bary_da: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        views, height, width = face.shape
        channels = attributes.shape[2]
        values = attributes.new_empty((views, height, width, channels))
        slopes = attributes.new_empty((*values.shape, 2)) if bary_da is not None else None
        launch_rows(
            interpolate_kernel,
            (views, height, width),
            lambda grid: [attributes, faces, grid, face, bary, values],
            attributes.device,
        )
        if slopes is not None:
            launch_rows(
                interpolate_slopes_kernel,
                (views, height, width),
                lambda grid: [attributes, faces, grid, face, bary_da, slopes],
                attributes.device,
            )
        ctx.save_for_backward(attributes, faces, face, bary)
        if slopes is not None:
            ctx.mark_non_differentiable(slopes)
        return values, slopes

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_values: Tensor, *_: Any
    ) -> tuple[Tensor | None, None, None, Tensor, None]:
        attributes, faces, face, bary = ctx.saved_tensors
        views, height, width = face.shape
        wants = bool(ctx.needs_input_grad[0])
        count = attributes.shape[0] * attributes.shape[1] if wants else 0
        sums = GradientSums(count, attributes.shape[2], [grad_values], shared=False)
        grad_bary = torch.empty_like(bary)
        grad_values = grad_values.contiguous()
        for first in range(0, max(attributes.shape[2], 1), FOUR):
            launch_rows(
                interpolate_backward_kernel,
                (views, height, width),
                lambda grid, first=first: [  # type: ignore[misc]
                    attributes,
                    faces,
                    grid,
                    face,
                    bary,
                    grad_values,
                    int(wants),
                    first,
                    *sums.arguments,
                    grad_bary,
                ],
                attributes.device,
                in_runs=True,
            )
        return sums.total(attributes.shape) if wants else None, None, None, grad_bary, None


def interpolate_twin(attributes: Tensor, raster: Raster, faces: Tensor) -> tuple[Tensor, Tensor]:
    """The specification of values and slopes: plain torch, any precision."""
    views = len(raster.face)
    batched = attributes if attributes.ndim == 3 else attributes.expand(views, -1, -1)
    hit = raster.face >= 0
    view = torch.arange(views)[:, None, None].expand_as(raster.face)
    corners = faces.long()[raster.face.clamp(min=0).long()] if len(faces) else None
    if corners is None or batched.shape[1] == 0:
        blank = batched.new_zeros((*raster.face.shape, batched.shape[2]))
        return blank, blank[..., None].expand(*blank.shape, 2)
    ends = batched[view[..., None], corners]  # view h w 3 c
    weights = torch.cat([raster.bary, 1 - raster.bary.sum(-1, keepdim=True)], dim=-1)
    values = torch.einsum("vhwk,vhwkc->vhwc", weights, ends)
    da = raster.bary_da.unflatten(-1, (2, 2))  # corner, axis
    slopes = torch.einsum("vhwka,vhwkc->vhwca", da, ends[..., :2, :] - ends[..., 2:, :])
    return values * hit[..., None], slopes * hit[..., None, None]
