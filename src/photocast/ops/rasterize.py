# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which face each pixel centre sees, and where on that face.

Clip space: pixel_x = (x/w + 1)/2 * width, pixel_y = (y/w + 1)/2 * height with y down, and z/w from
-1 (near) to 1 (far). Faces are seen from both sides. Any image size.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from photocast.kernels.draw import boxes_kernel, draw_kernel, draw_large_kernel, visibility_kernel
from photocast.kernels.rasterize import (
    rasterize_backward_kernel,
    resolve_kernel,
    resolve_with_slopes_kernel,
)
from photocast.ops._check import check_faces, check_tensor
from photocast.ops._launch import (
    GradientSums,
    aligned,
    bands,
    grid_of,
    launch,
    launch_parts,
    launch_rows,
    part_count,
    split,
)

__all__ = ["Raster", "rasterize", "rasterize_twin"]

NO_KEY = 2**63 - 1
DEPTH_STEPS = 2**31 - 1
MOST_PIXELS = 4096  # of a box; larger ones, which are few, are drawn by all threads
DRAWERS = 2**17  # all threads: about what a large GPU holds at once


class Raster(NamedTuple):
    """What each pixel centre sees; zeros where it sees nothing."""

    bary: Tensor
    """(view, h, w, 2): perspective-correct weights of corners 0 and 1; the third is the rest."""
    depth: Tensor
    """(view, h, w): z/w, from -1 near to 1 far."""
    face: Tensor
    """(view, h, w) int32: index of the face, -1 for nothing."""
    bary_da: Tensor
    """(view, h, w, 4): d(bary 0)/dx, d(bary 0)/dy, d(bary 1)/dx, d(bary 1)/dy per pixel; or
    (view, h, w, 0) if rasterised without slopes."""


def rasterize(clip: Tensor, faces: Tensor, size: tuple[int, int], *, slopes: bool = True) -> Raster:
    """Find the nearest face at every pixel centre.

    A centre on an edge shared by two faces belongs to exactly one of them. Faces that cross the
    near plane or reach behind the camera are drawn as if clipped. Of faces at the same depth the
    lower index wins. A face with NaN coordinates or without area is not drawn.

    ``bary`` and ``depth`` carry gradient to ``clip`` with the visibility held fixed; what a
    silhouette uncovers is seen by :func:`photocast.ops.antialias.antialias`. ``face`` and
    ``bary_da`` carry none.

    Source: Olano & Greer, Triangle scan conversion using 2D homogeneous coordinates, 1997.

    Args:
        clip: Homogeneous vertex positions, float32 (view, vert, 4).
        faces: Vertex indices, int32 (face, 3), shared by the views.
        size: Image height and width [px].
        slopes: Whether ``bary_da`` is wanted, a third of all memory traffic. Only
            :func:`photocast.ops.interpolate.interpolate_with_slopes` reads it.

    Returns:
        The raster, on the device of ``clip``.

    Raises:
        ValueError: A shape, dtype, device, index or size does not fit.
    """
    check_tensor("clip", clip, (None, None, 4))
    check_faces("faces", faces, clip.shape[1], device=clip.device)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size is {size}; a height and a width of at least 1 are needed.")
    bary, depth, face, bary_da = _Rasterize.apply(
        aligned(clip), faces.contiguous(), (int(size[0]), int(size[1])), slopes
    )
    return Raster(bary, depth, face, bary_da)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, clip: Tensor, faces: Tensor, size: tuple[int, int], slopes: bool
    ) -> tuple[Tensor, ...]:
        height, width = size
        views, device = len(clip), clip.device
        keys = torch.full((views, height, width), NO_KEY, dtype=torch.int64, device=device)
        if clip.shape[1] and len(faces):
            _draw(clip, faces, keys)
        bary = clip.new_empty((views, height, width, 2))
        depth = clip.new_empty((views, height, width))
        face = torch.empty((views, height, width), dtype=torch.int32, device=device)
        bary_da = clip.new_empty((views, height, width, 4 if slopes else 0))
        shape = (views, height, width)
        kernel, results = resolve_kernel, [bary, depth, face]
        if slopes:
            kernel, results = resolve_with_slopes_kernel, [*results, bary_da]
        launch_rows(kernel, shape, lambda grid: [clip, faces, grid, keys, *results], device)
        ctx.save_for_backward(clip, faces, face)
        ctx.mark_non_differentiable(face, bary_da)
        ctx.set_materialize_grads(False)
        return bary, depth, face, bary_da

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_bary: Tensor | None, grad_depth: Tensor | None, *_: Any
    ) -> tuple[Tensor | None, None, None, None]:
        clip, faces, face = ctx.saved_tensors
        if grad_bary is None and grad_depth is None:
            return None, None, None, None
        views, height, width = face.shape
        given = clip.new_zeros((*face.shape, 2)) if grad_bary is None else aligned(grad_bary)
        slope = face.view(torch.float32) if grad_depth is None else grad_depth.contiguous()
        upstream = [g for g in (grad_bary, grad_depth) if g is not None]
        sums = GradientSums(clip.shape[0] * clip.shape[1], 4, upstream, shared=False)
        launch_rows(
            rasterize_backward_kernel,
            (views, height, width),
            lambda grid: [
                clip,
                faces,
                grid,
                face,
                given,
                slope,
                int(grad_depth is not None),
                *sums.arguments,
            ],
            clip.device,
            in_runs=True,
        )
        return sums.total(clip.shape), None, None, None


def _draw(clip: Tensor, faces: Tensor, keys: Tensor) -> None:
    views, height, width = keys.shape
    if not _draws_at_once(clip.device):
        _draw_in_bands(clip, faces, keys)
        return
    strips = _strips(height * width, len(faces))
    counts = torch.zeros(1, dtype=torch.int32, device=clip.device)
    large = torch.empty(views * len(faces), dtype=torch.int32, device=clip.device)
    grid = grid_of(height, width, parts=strips)
    drawn = [clip, faces, grid, MOST_PIXELS, keys, counts, large]
    launch(draw_kernel, (views, len(faces), strips), drawn, clip.device)
    drawn = [clip, faces, grid, counts, large, DRAWERS, keys]
    launch(draw_large_kernel, DRAWERS, drawn, clip.device)


def _draws_at_once(device: torch.device) -> bool:
    return device.type != "cpu"


def _draw_in_bands(clip: Tensor, faces: Tensor, keys: Tensor) -> None:
    views, height, width = keys.shape
    device, face_count = keys.device, len(faces)
    grid = grid_of(height, width)
    boxes = torch.empty((views, face_count, 4), dtype=torch.int32, device=device)
    launch_parts(
        boxes_kernel,
        [
            ((views, stop - first), [clip, faces, grid, first, boxes])
            for first, stop in split(face_count, part_count(device))
        ],
        device,
    )
    launch_parts(
        visibility_kernel,
        [
            (
                (stop - first, face_count),
                [clip, faces, boxes, grid, first, top, bottom, keys],
            )
            for first, stop, top, bottom in bands(views, height, device)
        ],
        device,
    )


def _strips(pixels: int, faces: int) -> int:
    """How many threads share the rows of a face: about three pixels of the image for each."""
    return min(max(pixels // (3 * faces), 1), 8)


def rasterize_twin(clip: Tensor, faces: Tensor, size: tuple[int, int]) -> Raster:
    """The specification: plain torch, every face at every pixel, any precision."""
    height, width = size
    y, x = torch.meshgrid(
        (2 * torch.arange(height, dtype=clip.dtype) + 1) / height - 1,
        (2 * torch.arange(width, dtype=clip.dtype) + 1) / width - 1,
        indexing="ij",
    )
    rays = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # h w 3
    pictures = [_twin_view(points, faces.long(), rays) for points in clip]
    return Raster(*(torch.stack(channel) for channel in zip(*pictures, strict=True)))


def _twin_view(clip: Tensor, faces: Tensor, rays: Tensor) -> tuple[Tensor, ...]:
    corners = clip[faces]  # face 3 4
    xyw = corners[..., [0, 1, 3]]
    lines = torch.linalg.cross(xyw[:, [1, 2, 0]], xyw[:, [2, 0, 1]])  # face corner 3
    det = (xyw[:, 0] * lines[:, 0]).sum(-1)
    edges = torch.einsum("hwi,fki->fhwk", rays, lines)
    with torch.no_grad():
        side = lines * det.sign()[:, None, None]
        first = side[..., 0]
        first = torch.where(first == 0, side[..., 1], first)
        first = torch.where(first == 0, side[..., 2], first)
        signed = edges * det.sign()[:, None, None, None]
        tie = (first > 0)[:, None, None]
        covered = ((signed > 0) | ((signed == 0) & tie)).all(-1)
        depths = (edges * corners[:, None, None, :, 2]).sum(-1) / det[:, None, None]
        covered &= (depths.abs() <= 1) & (det != 0)[:, None, None]
        steps = ((depths.nan_to_num() / 2 + 0.5) * DEPTH_STEPS).long().clamp(0, DEPTH_STEPS)
        keys = (steps << 32) | torch.arange(len(faces))[:, None, None]
        keys = torch.where(covered, keys, NO_KEY)
        blank = torch.full((1, *rays.shape[:2]), NO_KEY)
        key = torch.cat([keys, blank]).amin(0)
        seen = torch.where(key == NO_KEY, -1, key & (2**31 - 1))
    hit = seen >= 0
    bary, depth = clip.new_zeros((*seen.shape, 2)), clip.new_zeros(seen.shape)
    bary_da = clip.new_zeros((*seen.shape, 4))
    chosen = seen[hit]
    weights = torch.einsum("pi,pki->pk", rays[hit], lines[chosen])
    total = weights.sum(-1, keepdim=True)
    weights = weights / total
    bary[hit] = weights[:, :2]
    point = (weights[..., None] * corners[chosen]).sum(1)  # pt 4
    depth[hit] = point[:, 2] / point[:, 3]
    slopes = (lines[chosen] - lines[chosen].sum(1, keepdim=True) * weights[..., None]) / total[
        ..., None
    ]
    pixel = slopes.new_tensor([2 / rays.shape[1], 2 / rays.shape[0]])
    bary_da[hit] = (slopes[:, :2, :2] * pixel).flatten(1)
    return bary, depth, seen.int(), bary_da
