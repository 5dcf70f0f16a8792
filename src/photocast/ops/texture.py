# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Mip pyramids and filtered texture look-up.

UV (0, 0) is the top-left corner of the texture's first row; texel i is centred at (i + 0.5) / size;
beyond the border the border texel repeats.
"""

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from torch import Tensor
from torch.autograd.function import once_differentiable

from photocast.kernels.texture import (
    Halving,
    halve_backward_kernel,
    halve_kernel,
    texture_backward_kernel,
    texture_kernel,
)
from photocast.ops._check import check_tensor
from photocast.ops._launch import GradientSums, launch_parts, launch_rows, part_count

__all__ = ["MipPyramid", "mip_pyramid", "mip_pyramid_twin", "texture", "texture_twin"]


@dataclass(frozen=True, eq=False)
class MipPyramid:
    """A texture and its smaller versions, in one buffer."""

    texels: Tensor
    """(texel, c): level after level, each row-major."""
    sizes: tuple[tuple[int, int], ...]
    """Height and width per level, the finest first."""

    @property
    def levels(self) -> list[Tensor]:
        """Each level as (h, w, c), a view of ``texels``."""
        counts = [h * w for h, w in self.sizes]
        pieces = self.texels.split(counts)
        return [piece.view(h, w, -1) for piece, (h, w) in zip(pieces, self.sizes, strict=True)]


def level_sizes(height: int, width: int, levels: int | None) -> tuple[tuple[int, int], ...]:
    """Halve, rounding down, until 1x1 or ``levels`` are reached."""
    sizes = [(height, width)]
    while sizes[-1] != (1, 1) and (levels is None or len(sizes) < levels):
        h, w = sizes[-1]
        sizes.append((max(h // 2, 1), max(w // 2, 1)))
    return tuple(sizes)


def mip_pyramid(image: Tensor, levels: int | None = None) -> MipPyramid:
    """Average a texture down, level by level.

    Every texel is the mean, by area, of what it covers one level below; so every level has the
    texture's mean, also at odd sizes. Gradient reaches ``image`` from all levels.

    Args:
        image: Float32 (h, w, c), any size.
        levels: At most this many, counting the texture itself; all down to 1x1 by default.

    Raises:
        ValueError: Wrong dtype, shape or device, an empty image, or ``levels`` below 1.
    """
    check_tensor("image", image, (None, None, None))
    if 0 in image.shape:
        raise ValueError(f"image has shape {tuple(image.shape)}; no axis may be empty.")
    if levels is not None and levels < 1:
        raise ValueError(f"levels is {levels}; at least 1 is needed.")
    sizes = level_sizes(image.shape[0], image.shape[1], levels)
    return MipPyramid(_Pyramid.apply(image.contiguous(), sizes), sizes)


def texture(
    source: MipPyramid | Tensor,
    uv: Tensor,
    uv_da: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    level_bias: float = 0.0,
) -> Tensor:
    """Look a texture up at every pixel.

    Without ``uv_da`` bilinear in the finest level; with it trilinear, at the level where the
    longest axis of the pixel's footprint is one texel (isotropic). Gradient reaches the texels of
    all levels used, and ``uv``; the level counts as constant, so ``uv_da`` gets none.

    Args:
        source: A pyramid, or a texture (h, w, c) without smaller levels.
        uv: Float32 (view, h, w, 2).
        uv_da: Float32 (view, h, w, 2, 2): d(uv)/dx and d(uv)/dy per pixel, as
            :func:`photocast.ops.interpolate.interpolate_with_slopes` returns them.
        mask: ``raster.face``: where it is negative the result is zero and nothing gets gradient.
        level_bias: Added to the level; -1 looks one level sharper.

    Returns:
        (view, h, w, c).

    Raises:
        ValueError: A shape, dtype or device does not fit.
    """
    if isinstance(source, Tensor):
        source = mip_pyramid(source, levels=1)
    device = source.texels.device
    check_tensor("uv", uv, (None, None, None, 2), device=device)
    if uv_da is not None:
        check_tensor("uv_da", uv_da, (*uv.shape, 2), device=device)
        uv_da = uv_da.contiguous()
    if mask is not None:
        check_tensor("mask", mask, tuple(uv.shape[:3]), dtype=torch.int32, device=device)
        mask = mask.contiguous()
    result: Tensor = _Texture.apply(
        source.texels.contiguous(), source.sizes, uv.contiguous(), uv_da, mask, level_bias
    )
    return result


def _offsets(sizes: tuple[tuple[int, int], ...]) -> list[int]:
    offsets = [0]
    for height, width in sizes:
        offsets.append(offsets[-1] + height * width)
    return offsets


def _halve(kernel: Any, texels: Tensor, sizes: tuple[tuple[int, int], ...], level: int) -> None:
    # ``level`` is the finer of the two; the kernel runs over the rows that it writes.
    at, offsets = Halving(), _offsets(sizes)
    at.fine, at.coarse = offsets[level], offsets[level + 1]
    (at.fine_height, at.fine_width), (at.coarse_height, at.coarse_width) = sizes[level : level + 2]
    rows, width = sizes[level + 1] if kernel is halve_kernel else sizes[level]
    parts = part_count(texels.device) if rows * width > 1024 else 1
    launch_parts(
        kernel,
        [
            ((len(range(part, rows, parts)), width), [texels, at, part, parts])
            for part in range(parts)
        ],
        texels.device,
    )


class _Pyramid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, sizes: tuple[tuple[int, int], ...]) -> Tensor:
        ctx.sizes = sizes
        base = image.view(-1, image.shape[2])
        if len(sizes) == 1:
            return base.clone()
        texels = image.new_empty((_offsets(sizes)[-1], image.shape[2]))
        texels[: len(base)] = base
        for level in range(len(sizes) - 1):
            _halve(halve_kernel, texels, sizes, level)
        return texels

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        height, width = ctx.sizes[0]
        grad = grad.clone(memory_format=torch.contiguous_format)
        for level in reversed(range(len(ctx.sizes) - 1)):
            _halve(halve_backward_kernel, grad, ctx.sizes, level)
        return grad[: height * width].view(height, width, -1), None


def _shared(saved: tuple[Any, ...], level_bias: float, grid: Any) -> list[Any]:
    """The parameters that both texture kernels begin with."""
    texels, levels, uv, uv_da, mask = saved
    rows, width = uv.shape[0] * uv.shape[1], uv.shape[2]
    no_mask, no_slopes = levels, texels.new_empty((1, 1, 4))
    return [
        texels,
        (levels, wp.vec3i),
        grid,
        no_mask if mask is None else mask.view(rows, width),
        int(mask is not None),
        (uv.view(rows, width, 2), wp.vec2),
        (no_slopes if uv_da is None else uv_da.view(rows, width, 4), wp.vec4),
        int(uv_da is not None),
        float(level_bias),
    ]


class _Texture(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        texels: Tensor,
        sizes: tuple[tuple[int, int], ...],
        uv: Tensor,
        uv_da: Tensor | None,
        mask: Tensor | None,
        level_bias: float,
    ) -> Tensor:
        views, height, width = uv.shape[:3]
        table = [(first, h, w) for first, (h, w) in zip(_offsets(sizes), sizes, strict=False)]
        levels = torch.tensor(table, dtype=torch.int32, device=texels.device)
        values = texels.new_empty((views, height, width, texels.shape[1]))
        saved = (texels, levels, uv, uv_da, mask)
        ctx.save_for_backward(*saved)
        ctx.level_bias = level_bias
        launch_rows(
            texture_kernel,
            (views, height, width),
            lambda grid: [
                *_shared(saved, level_bias, grid),
                values.view(views * height, width, -1),
            ],
            texels.device,
        )
        return values

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_values: Tensor
    ) -> tuple[Tensor | None, None, Tensor | None, None, None, None]:
        texels, _, uv, _, _ = ctx.saved_tensors
        views, height, width = uv.shape[:3]
        rows = views * height
        wants_texels, wants_uv = bool(ctx.needs_input_grad[0]), bool(ctx.needs_input_grad[2])
        count = len(texels) if wants_texels else 0
        sums = GradientSums(count, texels.shape[1], [grad_values], shared=True)
        grad_uv = torch.empty_like(uv) if wants_uv else uv
        grad_values = grad_values.contiguous()
        launch_rows(
            texture_backward_kernel,
            (views, height, width),
            lambda grid: [
                *_shared(ctx.saved_tensors, ctx.level_bias, grid),
                grad_values.view(rows, width, -1),
                int(wants_texels),
                int(wants_uv),
                sums.struct,
                (grad_uv.view(rows, width, 2), wp.vec2),
            ],
            texels.device,
            every_row=True,
        )
        return (
            sums.total(texels.shape) if wants_texels else None,
            None,
            grad_uv if wants_uv else None,
            None,
            None,
            None,
        )


def mip_pyramid_twin(image: Tensor, levels: int | None = None) -> list[Tensor]:
    """The specification: each level as (h, w, c), by one averaging matrix per axis."""
    sizes = level_sizes(image.shape[0], image.shape[1], levels)
    pyramid = [image]
    for (h, w), (fine_h, fine_w) in zip(sizes[1:], sizes, strict=False):
        rows, columns = _averaging(h, fine_h, image), _averaging(w, fine_w, image)
        pyramid.append(torch.einsum("yh,xw,hwc->yxc", rows, columns, pyramid[-1]))
    return pyramid


def _averaging(coarse: int, fine: int, like: Tensor) -> Tensor:
    start = torch.arange(coarse)[:, None] * fine  # in units of 1 / (coarse * fine)
    first = torch.arange(fine)[None] * coarse
    stop = torch.minimum(start + fine, first + coarse)
    return (stop - torch.maximum(start, first)).clamp(min=0).to(like) / fine


def texture_twin(
    levels: list[Tensor],
    uv: Tensor,
    uv_da: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    level_bias: float = 0.0,
) -> Tensor:
    """The specification: plain torch, any precision; every level looked up at every pixel."""
    level = torch.zeros_like(uv[..., 0])
    if uv_da is not None:
        height, width = levels[0].shape[:2]
        jacobian = uv_da.detach() * uv_da.new_tensor([width, height])[:, None]
        longest = torch.linalg.matrix_norm(jacobian, ord=2)
        level = torch.log2(longest.clamp(min=1e-30)).clamp(min=-100)
        level = torch.where(longest > 0, level + level_bias, level_bias)
        level = level.clamp(0, len(levels) - 1)
    values = torch.zeros((*uv.shape[:3], levels[0].shape[2]), dtype=uv.dtype)
    for index, image in enumerate(levels):
        share = (1 - (level - index).abs()).clamp(min=0)
        values = values + share[..., None] * _bilinear(image, uv)
    return values if mask is None else values * (mask >= 0)[..., None]


def _bilinear(image: Tensor, uv: Tensor) -> Tensor:
    height, width = image.shape[:2]
    x, y = uv[..., 0] * width - 0.5, uv[..., 1] * height - 0.5
    x0, y0 = x.detach().floor(), y.detach().floor()
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]

    def texel(row: Tensor, column: Tensor) -> Tensor:
        return image[row.long().clamp(0, height - 1), column.long().clamp(0, width - 1)]

    upper = texel(y0, x0) * (1 - fx) + texel(y0, x0 + 1) * fx
    lower = texel(y0 + 1, x0) * (1 - fx) + texel(y0 + 1, x0 + 1) * fx
    return upper * (1 - fy) + lower * fy
