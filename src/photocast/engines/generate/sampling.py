# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From conditions to a latent: first which voxels are occupied, then what is on each of them."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from photocast.config import GenerateConfig
from photocast.engines.generate.networks import Networks
from photocast.engines.generate.views import Conditions
from photocast.errors import PhotocastError
from photocast.nets.samplers import (
    Correction,
    Guidance,
    GuidanceStyle,
    SamplerConfig,
    sample,
)
from photocast.nets.structure_decoder import occupied
from photocast.nets.voxels import Voxels
from photocast.progress import Progress

__all__ = [
    "Latent",
    "draw_noise",
    "latent_of",
    "sample_latent",
    "sample_structure",
    "sampler_config",
]


class Latent(NamedTuple):
    """The detailed latent of one object, as the decoders take it."""

    features: Float[Tensor, "voxel 8"]
    voxels: Voxels


def draw_noise(
    seed: int, side: int, voxel_count: int = 0
) -> tuple[Float[Tensor, "1 8 x y z"], Float[Tensor, "voxel 8"]]:
    """Noise of both stages, one after the other from one seed, as in the original code.

    Drawn on the CPU, so that a seed means the same on every device.
    """
    source = torch.Generator().manual_seed(seed)
    structure = torch.randn(1, 8, side, side, side, generator=source)
    return structure, torch.randn(voxel_count, 8, generator=source)


def sampler_config(config: GenerateConfig, stage: str) -> SamplerConfig:
    """How one of the two stages is sampled: ``structure`` or ``details``."""
    steps, strength = {
        "structure": (config.structure_steps, config.structure_strength),
        "details": (config.detail_steps, config.detail_strength),
    }[stage]
    guidance = Guidance(
        style=GuidanceStyle(config.guidance), strength=strength, interval=config.guided
    )
    return SamplerConfig(steps=steps, rescale_t=config.rescale_t, guidance=guidance)


def sample_structure(
    networks: Networks, conditions: Conditions, config: GenerateConfig, progress: Progress
) -> Voxels:
    """Sample which voxels the object occupies.

    Raises:
        PhotocastError: None, or too many to go on.
    """
    with torch.inference_mode():
        with networks.use("sparse_structure_flow_model") as flow:
            noise, _ = draw_noise(config.seed, flow.grid * flow.patch_size)
            projected = flow.project(conditions.structure)

            def velocity(x: Tensor, t: Tensor, conditional: bool) -> Tensor:
                out: Tensor = flow(x, t, projected if conditional else None)
                return out

            settings = sampler_config(config, "structure")
            latent = sample(
                velocity,
                noise.to(networks.device),
                settings,
                progress=progress,
                stage="structure",
            ).sample
        with networks.use("sparse_structure_decoder") as decoder:
            coords = occupied(decoder(latent))
    if not 0 < len(coords) <= config.max_voxels:
        raise PhotocastError(
            f"{len(coords)} voxels came out as occupied; 1 to {config.max_voxels} can be worked "
            "with. Try another --seed, or photos that show the object larger and on its own.",
            code="generate.voxels",
        )
    return Voxels(coords)


def sample_latent(
    networks: Networks,
    conditions: Conditions,
    voxels: Voxels,
    config: GenerateConfig,
    progress: Progress,
    correct: Correction | None = None,
) -> Latent:
    """Sample what is on each voxel.

    Args:
        networks: Loads what is needed.
        conditions: What the flow listens to.
        voxels: Those that the object occupies.
        config: Steps, guidance, seed.
        progress: Called as ``details``, or as ``compensate`` where steps are corrected.
        correct: Changes velocities before they are followed, and may ask for gradient.
    """
    args = networks.folder.network("sparse_structure_flow_model").args
    _, noise = draw_noise(config.seed, int(args["resolution"]), len(voxels))
    # not in inference mode, whose tensors can take no part in the gradient of a correction
    with torch.no_grad(), networks.use("slat_flow_model") as flow:
        projected = flow.project(conditions.views)

        def velocity(x: Tensor, t: Tensor, conditional: bool) -> Tensor:
            out: Tensor = flow(x, voxels, t, projected if conditional else None)
            return out

        normal = sample(
            velocity,
            noise.to(networks.device),
            sampler_config(config, "details"),
            progress=progress,
            stage="compensate" if correct else "details",
            correct=correct,
        ).sample
    return latent_of(networks, normal, voxels)


def latent_of(networks: Networks, normal: Float[Tensor, "voxel 8"], voxels: Voxels) -> Latent:
    """The latent as the decoders take it, from one whose channels are standard normal."""
    constants = networks.folder.normalization
    mean, std = (normal.new_tensor(constants[name]) for name in ("mean", "std"))
    return Latent(normal * std + mean, voxels)
