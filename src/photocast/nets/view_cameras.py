# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras around an object, as the generated gaussians and meshes are looked at.

Object space has z up. Cameras look along +Z with +Y down; intrinsics are in units of the image.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["camera_toward_origin"]


def camera_toward_origin(
    yaw: float, pitch: float, distance: float, fov_deg: float
) -> tuple[Float[Tensor, "4 4"], Float[Tensor, "3 3"]]:
    """Extrinsics (camera from world) and intrinsics of a camera that looks at the origin.

    Args:
        yaw: Around the vertical, from +Y towards +X [rad].
        pitch: Above the ground [rad].
        distance: From the origin.
        fov_deg: Field of view along both sides [degree].
    """
    # angles in float32, as in the original: at the poles their rounding decides which way is up
    (sin_yaw, sin_pitch), (cos_yaw, cos_pitch) = (
        f(torch.tensor([yaw, pitch], dtype=torch.float32)) for f in (torch.sin, torch.cos)
    )
    eye = distance * torch.stack([sin_yaw * cos_pitch, cos_yaw * cos_pitch, sin_pitch])
    forward = -eye / eye.norm()
    right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0]))
    right = right / right.norm()
    axes = torch.stack([right, torch.linalg.cross(forward, right), forward])
    extrinsics = torch.eye(4)
    extrinsics[:3, :3], extrinsics[:3, 3] = axes, -axes @ eye
    focal = 0.5 / math.tan(math.radians(fov_deg) / 2)
    return extrinsics, torch.tensor([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]])
