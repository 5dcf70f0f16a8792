# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of the detailed latent into 3D gaussians, 32 per voxel.

Published as ``slat_decoder_gs``. Object space is the cube from -0.5 to 0.5, z up.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from photocast.nets.hammersley import hammersley
from photocast.nets.latent_decoder import LatentDecoder
from photocast.nets.voxels import Voxels

__all__ = ["PLY_FIELDS", "Gaussians", "SLatGaussianDecoder"]

PLY_FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
"""Columns of :meth:`Gaussians.ply`, as viewers of gaussians expect them."""

# The channels of a voxel, in this order, and how many numbers each gaussian has of them.
_LAYOUT = {"_xyz": 3, "_features_dc": 3, "_scaling": 3, "_rotation": 4, "_opacity": 1}


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Gaussians of one object, voxel by voxel."""

    unit_xyz: Float[Tensor, "pt 3"]
    """Centres in the unit cube, 0..1."""
    features_dc: Float[Tensor, "pt 1 3"]
    """Spherical harmonics of degree 0 of the colour."""
    raw_scaling: Float[Tensor, "pt 3"]
    raw_rotation: Float[Tensor, "pt 4"]
    raw_opacity: Float[Tensor, "pt 1"]
    scaling_bias: float
    opacity_bias: float
    kernel_size: float
    """Least standard deviation, added in squares."""

    @property
    def xyz(self) -> Float[Tensor, "pt 3"]:
        """Centres in object space."""
        return self.unit_xyz - 0.5

    @property
    def scaling(self) -> Float[Tensor, "pt 3"]:
        """Standard deviations along the axes."""
        bias = self.scaling_bias + math.log(-math.expm1(-self.scaling_bias))  # inverse softplus
        return (F.softplus(self.raw_scaling + bias) ** 2 + self.kernel_size**2).sqrt()

    @property
    def rotation(self) -> Float[Tensor, "pt 4"]:
        """Unit quaternions w x y z."""
        return F.normalize(self._turned(), dim=-1)

    @property
    def opacity(self) -> Float[Tensor, "pt 1"]:
        """In [0, 1]."""
        return torch.sigmoid(
            self.raw_opacity + math.log(self.opacity_bias / (1 - self.opacity_bias))
        )

    def ply(self) -> Float[Tensor, "pt 17"]:
        """The columns of :data:`PLY_FIELDS`: logarithmic scales, logits of opacity, z up."""
        opacity = self.opacity
        columns = [
            self.xyz,
            torch.zeros_like(self.unit_xyz),
            self.features_dc.flatten(1),
            torch.log(opacity / (1 - opacity)),
            self.scaling.log(),
            self._turned(),
        ]
        return torch.cat(columns, dim=1)

    def _turned(self) -> Float[Tensor, "pt 4"]:
        return self.raw_rotation + self.raw_rotation.new_tensor([1, 0, 0, 0])


class SLatGaussianDecoder(LatentDecoder):
    """The trunk and one linear layer."""

    def __init__(
        self,
        resolution: int,
        model_channels: int,
        latent_channels: int,
        num_blocks: int,
        representation_config: dict[str, Any],
        num_heads: int,
        mlp_ratio: int | float = 4,
        attn_mode: str = "swin",
        window_size: int = 8,
        use_fp16: bool = False,
    ) -> None:
        """Build the layers; the arguments are those of the checkpoint's JSON file."""
        super().__init__(
            latent_channels,
            model_channels,
            num_blocks,
            num_heads,
            mlp_ratio,
            attn_mode,
            window_size,
        )
        if representation_config["scaling_activation"] != "softplus":
            raise ValueError("scaling_activation: only 'softplus' is published, and built.")
        self.resolution = resolution
        self.config = representation_config
        self.per_voxel: int = representation_config["num_gaussians"]
        self.out_layer = nn.Linear(model_channels, self.per_voxel * sum(_LAYOUT.values()))
        self.offset_perturbation: Tensor
        self.register_buffer("offset_perturbation", self._perturbation())
        if use_fp16:
            self.cast(torch.float16)

    def computed_buffers(self) -> dict[str, Tensor]:
        """What a file may leave out."""
        return {"offset_perturbation": self._perturbation()}

    def forward(self, latents: Float[Tensor, "voxel latent"], voxels: Voxels) -> Gaussians:
        """Gaussians of one object."""
        h = self.features(latents, voxels).to(latents.dtype)
        return self.gaussians(self.out_layer(F.layer_norm(h, h.shape[-1:])), voxels)

    def gaussians(self, raw: Float[Tensor, "voxel channel"], voxels: Voxels) -> Gaussians:
        """Read the output of the last layer."""
        config, count = self.config, self.per_voxel
        parts = raw.split([count * width for width in _LAYOUT.values()], dim=1)
        fields = {
            name: part.unflatten(1, (count, width)) * config["lr"][name]
            for part, (name, width) in zip(parts, _LAYOUT.items(), strict=True)
        }
        center = (voxels.coords[:, None, 1:].to(raw.dtype) + 0.5) / self.resolution
        offset = torch.tanh(fields["_xyz"] + self.offset_perturbation)
        offset = offset / self.resolution * 0.5 * config["voxel_size"]
        return Gaussians(
            unit_xyz=(center + offset).flatten(0, 1),
            features_dc=fields["_features_dc"].flatten(0, 1)[:, None],
            raw_scaling=fields["_scaling"].flatten(0, 1),
            raw_rotation=fields["_rotation"].flatten(0, 1),
            raw_opacity=fields["_opacity"].flatten(0, 1),
            scaling_bias=config["scaling_bias"],
            opacity_bias=config["opacity_bias"],
            kernel_size=config["3d_filter_kernel_size"],
        )

    def _perturbation(self) -> Float[Tensor, "gaussian 3"]:
        """Spreads the gaussians of a voxel before anything is learned."""
        if not self.config["perturb_offset"]:
            return torch.zeros(self.per_voxel, 3)
        points = [hammersley(3, index, self.per_voxel) for index in range(self.per_voxel)]
        return torch.atanh((torch.tensor(points) * 2 - 1) / self.config["voxel_size"])
