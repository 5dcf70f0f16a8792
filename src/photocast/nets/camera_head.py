# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""VGGT's camera head: where each photo was taken from, relative to the first.

A pose is nine numbers: translation, quaternion x y z w, and the fields of view along height and
width [rad]. Cameras look along +Z with +Y down, as OpenCV's do.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from photocast.nets.vit import Mlp, VitBlock

__all__ = ["CameraHead", "camera_from_pose"]

Poses = Float[Tensor, "batch view 9"]


class CameraHead(nn.Module):
    """Refines poses step by step from the camera token of each view."""

    def __init__(
        self,
        dim_in: int = 2048,
        trunk_depth: int = 4,
        num_heads: int = 16,
        mlp_ratio: int | float = 4,
    ) -> None:
        super().__init__()
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, 9))
        self.trunk = nn.Sequential(
            *(VitBlock(dim_in, num_heads, mlp_ratio) for _ in range(trunk_depth))
        )
        self.token_norm = nn.LayerNorm(dim_in)
        self.trunk_norm = nn.LayerNorm(dim_in)
        self.embed_pose = nn.Linear(9, dim_in)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim_in, 3 * dim_in))
        self.pose_branch = Mlp(dim_in, dim_in // 2, 9)

    def forward(
        self, tokens: Float[Tensor, "batch view token width"], iterations: int = 4
    ) -> list[Poses]:
        """Poses after each iteration; the last is the answer.

        Args:
            tokens: The aggregator's last layer; only token 0 of each view is read.
            iterations: Steps of refinement.
        """
        camera = self.token_norm(tokens[:, :, 0])
        poses: list[Tensor] = []
        raw = self.empty_pose_tokens.expand(*camera.shape[:2], -1)
        for _ in range(iterations):
            shift, scale, gate = self.poseLN_modulation(self.embed_pose(raw)).chunk(3, dim=-1)
            still = F.layer_norm(camera, camera.shape[-1:], eps=1e-6)
            moved = camera + gate * (still * (1 + scale) + shift)
            step = self.pose_branch(self.trunk_norm(self.trunk(moved)))
            raw = raw + step if poses else step
            poses.append(torch.cat([raw[..., :7], raw[..., 7:].relu()], dim=-1))
        return poses


def camera_from_pose(
    poses: Poses, height: int, width: int
) -> tuple[Float[Tensor, "batch view 3 4"], Float[Tensor, "batch view 3 3"]]:
    """Extrinsics (camera from world, ``[R | t]``) and intrinsics [px].

    The principal point is central. A quaternion of any length means the same rotation.
    """
    x, y, z, w = poses[..., 3:7].unbind(-1)
    two = 2 / (poses[..., 3:7] ** 2).sum(-1)
    rows = [
        [1 - two * (y * y + z * z), two * (x * y - z * w), two * (x * z + y * w)],
        [two * (x * y + z * w), 1 - two * (x * x + z * z), two * (y * z - x * w)],
        [two * (x * z - y * w), two * (y * z + x * w), 1 - two * (x * x + y * y)],
    ]
    rotation = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    extrinsics = torch.cat([rotation, poses[..., :3, None]], dim=-1)
    intrinsics = torch.zeros_like(rotation)
    intrinsics[..., 0, 0] = width / 2 / (poses[..., 8] / 2).tan()
    intrinsics[..., 1, 1] = height / 2 / (poses[..., 7] / 2).tan()
    intrinsics[..., 0, 2], intrinsics[..., 1, 2], intrinsics[..., 2, 2] = width / 2, height / 2, 1
    return extrinsics, intrinsics
