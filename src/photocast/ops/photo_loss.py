# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How drawn pictures differ from photos: one pass where plain torch takes about forty."""

from typing import Any

import torch
import warp as wp
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.autograd.function import once_differentiable

from photocast.geometry.srgb import srgb_from_linear
from photocast.kernels.photo_loss import photo_loss_kernel
from photocast.ops._launch import launch_parts, part_count, split

__all__ = ["photo_loss", "photo_loss_twin"]


def photo_loss(
    drawn: Float32[Tensor, "view h w 4"],
    gain: Float32[Tensor, "view 3"],
    truth: UInt8[Tensor, "view h w 4"],
    inside: Float32[Tensor, "view 2"],
) -> tuple[Float32[Tensor, ""], Float32[Tensor, ""]]:
    """Compare in sRGB, premultiplied; gradient reaches ``drawn`` from the first result.

    Args:
        drawn: Premultiplied linear light, and coverage.
        gain: What each photo multiplies light with.
        truth: sRGB, straight, and coverage.
        inside: Height and width of what is known of each photo [px].

    Returns:
        Sum of smoothed absolute differences of colours and coverage, and mean squared difference
        of colours.
    """
    total, square = _PhotoLoss.apply(
        drawn.contiguous(), gain.contiguous(), truth.contiguous(), inside.contiguous()
    )
    return total, square


class _PhotoLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drawn: Tensor, gain: Tensor, truth: Tensor, inside: Tensor
    ) -> tuple[Tensor, Tensor]:
        (_, height, width, _), device = drawn.shape, drawn.device
        count = drawn[..., 0].numel()
        grad, terms = torch.empty_like(drawn), torch.empty((count, 2), device=device)
        pixels = [drawn.view(-1, 4), gain, truth.view(-1, 4), inside]
        kinds = [wp.vec4, wp.vec3, wp.vec4ub, wp.vec2]
        inputs = [*zip(pixels, kinds, strict=True), height, width]
        outputs = [(terms, wp.vec2), (grad.view(-1, 4), wp.vec4)]
        parts = split(count, part_count(device))
        launch_parts(photo_loss_kernel, [(b - a, [*inputs, a, *outputs]) for a, b in parts], device)
        ctx.save_for_backward(grad)
        total, square = terms.sum(0)
        square = square / max(3 * count, 1)
        ctx.mark_non_differentiable(square)
        return total, square

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * grad_total, None, None, None


def photo_loss_twin(
    drawn: Float[Tensor, "view h w 4"],
    gain: Float[Tensor, "view 3"],
    truth: UInt8[Tensor, "view h w 4"],
    inside: Float[Tensor, "view 2"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The specification of :func:`photo_loss` in plain torch."""
    rows = torch.arange(drawn.shape[1])[:, None] < inside[:, 0, None, None]
    columns = torch.arange(drawn.shape[2]) < inside[:, 1, None, None]
    alpha, photo = drawn[..., 3:], truth.to(drawn.dtype) / 255
    straight = drawn[..., :3] * gain[:, None, None] / alpha.clamp(min=1e-3)
    seen = torch.cat([srgb_from_linear(straight) * alpha, alpha], -1)
    wanted = torch.cat([photo[..., :3] * photo[..., 3:], photo[..., 3:]], -1)
    difference = (seen - wanted) * (rows & columns)[..., None]
    return (difference.square() + 1e-4).sqrt().sum(), difference[..., :3].square().mean()
