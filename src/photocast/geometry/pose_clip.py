# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Projections of cameras that look at an object, differentiable by poses and lens.

Clip space is that of :mod:`photocast.geometry.projection`.
"""

import torch
from torch import Tensor

from photocast.geometry.pose_steps import Cameras

__all__ = ["clip_from_object"]


def clip_from_object(cameras: Cameras, size: tuple[int, int], reach: float) -> Tensor:
    """From places relative to the object's middle to each view's clip space, (view, 4, 4) float32.

    Args:
        cameras: For pictures of this size.
        size: Image height and width [px].
        reach: Largest distance of a place from the middle; the depth range is fitted to it and
            carries no gradient.
    """
    height, width = size
    rotation, middle, lens = (
        t.double() for t in (cameras.rotation, cameras.middle, cameras.intrinsics)
    )
    depth = middle[:, 2].detach()
    near = (depth - 1.1 * reach).clamp(min=0.01 * reach)
    far = depth.clamp(min=0) + 1.1 * reach
    zero, one = torch.zeros_like(depth), torch.ones_like(depth)
    fx, fy, cx, cy = lens.unbind(1)
    rows = [
        [2 * fx / width, zero, 2 * cx / width - 1, zero],
        [zero, 2 * fy / height, 2 * cy / height - 1, zero],
        [zero, zero, (far + near) / (far - near), -2 * far * near / (far - near)],
        [zero, zero, one, zero],
    ]
    projection = torch.stack([torch.stack(row, 1) for row in rows], 1)
    pose = torch.cat([rotation, middle[..., None]], 2)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=pose.dtype, device=pose.device)
    pose = torch.cat([pose, last.expand(len(pose), 1, 4)], 1)
    return (projection @ pose).float()
