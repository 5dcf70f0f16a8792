# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps of sampling that listen to the photos: the velocity is corrected before it is followed.

A few Adam steps change the velocity so that what it leads to, decoded, looks like the photos (or
fills the voxels) that are known. Gradients pass through the decoder, never through the flow.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from photocast.config import CompensationConfig
from photocast.nets.samplers import FlowState
from photocast.nets.ssim import ssim

__all__ = ["compensate_structure", "compensate_views", "resized_targets", "view_losses"]

Images = Float[Tensor, "view 3 h w"]
PerView = Callable[[Images, Images], Float[Tensor, "view"]]


def resized_targets(photos: Images, size: int = 259) -> Float[Tensor, "view 3 {size} {size}"]:
    """Photos at the size at which views are compared [px]."""
    return F.interpolate(photos, size=(size, size), mode="bilinear", align_corners=False)


def view_losses(pictures: Images, targets: Images) -> Float[Tensor, "view"]:
    """How far each picture is from its photo: L1 + 1 - SSIM."""
    return (pictures - targets).abs().mean(dim=(1, 2, 3)) + 1 - ssim(pictures, targets)


def compensate_views(
    x: Tensor,
    v: Tensor,
    state: FlowState,
    render: Callable[[Tensor], Images],
    targets: Images,
    config: CompensationConfig,
    perceptual: tuple[PerView, ...] = (),
) -> tuple[Tensor, list[Float[Tensor, "view"]]]:
    """Correct the velocity of a detailed latent by photos whose poses are known.

    Args:
        x: State.
        v: Guided velocity.
        state: The time.
        render: Pictures of a clean estimate, from the photos' poses, with gradient.
        targets: The photos, on black.
        config: How hard to listen.
        perceptual: Further losses per view, added to L1 and 1 - SSIM.

    Returns:
        The corrected velocity, and every view's loss before each step. Where no view is near
        enough, the velocity stays as it is.
    """
    losses: list[Tensor] = []

    def loss(velocity: Tensor) -> Tensor | None:
        pictures = render(state.clean(x, velocity))
        each = view_losses(pictures, targets) + sum(
            (measure(pictures, targets) for measure in perceptual), pictures.new_zeros(())
        )
        losses.append(each.detach())
        near = each <= config.worst
        if not bool(near.any()):
            return None
        return each[near].mean() + config.stay * (velocity - v).abs().mean()

    return _descend(v, loss, config), losses


def compensate_structure(
    x: Tensor,
    v: Tensor,
    state: FlowState,
    decode: Callable[[Tensor], Tensor],
    target: Tensor,
    config: CompensationConfig,
) -> Tensor:
    """Correct the velocity of a structure latent by voxels that are known to be occupied.

    Args:
        x: State.
        v: Guided velocity.
        state: The time.
        decode: Logits of occupancy of a clean estimate.
        target: 1 where occupied, shaped like the logits.
        config: How hard to listen.

    Returns:
        The corrected velocity. The loss is Dice's, with one added above and below.
    """

    def loss(velocity: Tensor) -> Tensor:
        share = torch.sigmoid(decode(state.clean(x, velocity)))
        return 1 - (2 * (share * target).sum() + 1) / (share.sum() + target.sum() + 1)

    return _descend(v, loss, config)


def _descend(
    v: Tensor, loss: Callable[[Tensor], Tensor | None], config: CompensationConfig
) -> Tensor:
    moving = v.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([moving], lr=config.rate, betas=config.betas)
    with torch.enable_grad():
        for _ in range(config.iterations):
            value = loss(moving)
            if value is None:
                break
            optimizer.zero_grad()
            value.backward()
            if moving.grad is None or not bool(moving.grad.isfinite().all()):
                break  # the velocity as far as it has come is worth more
            optimizer.step()
    return moving.detach()
