# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The second flow once more, corrected by the photos around the object.

At late steps the clean estimate is decoded into a mesh and drawn from the photos' cameras. What
differs from the photos pulls at the velocity, through the renderer and the decoder.
Source: Chang et al., ReconViaGen, arXiv 2510.23306 (rendering-aware velocity compensation); drawn
are meshes instead of gaussians, and compared without learned measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from photocast.config import CompensationConfig, GenerateConfig
from photocast.data import Photo
from photocast.engines.generate.networks import Networks
from photocast.engines.generate.placing import Placing
from photocast.engines.generate.sampling import Latent, latent_of, sample_latent, sampler_config
from photocast.engines.generate.views import Conditions
from photocast.geometry.pose_steps import Cameras
from photocast.nets.compensation import compensate_views, view_losses
from photocast.nets.flexicubes import extract_mesh
from photocast.nets.samplers import FlowState, times
from photocast.nets.voxels import Voxels
from photocast.ops.antialias import edge_topology
from photocast.progress import Progress
from photocast.stages.place_targets import Model, cameras_at, cut

__all__ = ["LEAST_PHOTOS", "Compensated", "compensated", "draw_latent", "trusted", "wanted_squares"]

LEAST_PHOTOS = 2
"""One photo would be followed at the cost of the sides that it does not show."""
_REACH = 0.87  # half the diagonal of the cube that holds every object

Images = Float[Tensor, "view 3 h w"]


@dataclass(frozen=True, slots=True, eq=False)
class Compensated:
    """What came of it."""

    latent: Latent
    """The corrected one if that is nearer to the photos, else the given one."""
    kept: bool
    facts: dict[str, Any]
    """For ``run.json``."""
    told: str
    """A sentence for the report."""


def compensated(
    networks: Networks,
    conditions: Conditions,
    latent: Latent,
    placing: Placing,
    config: GenerateConfig,
    progress: Progress,
) -> Compensated:
    """Sample the second flow again from the same noise and let the photos correct it.

    Args:
        networks: Loads what is needed.
        conditions: What the flow listens to.
        latent: As sampled without correction.
        placing: The photos around what that latent shows.
        config: Steps, seed, and how hard to listen.
        progress: Called as ``compensate`` before each look at the photos; may raise ``Cancelled``.
    """
    how = config.compensation
    photos = trusted(placing, how)
    if len(photos) < LEAST_PHOTOS:
        return _left(latent, photos, placing, how)
    cameras, targets = wanted_squares(photos, how.size, networks.device)
    # made anew: tables from inference mode can take no part in a gradient
    voxels = Voxels(latent.voxels.coords.clone())
    schedule = times(config.detail_steps, sampler_config(config, "details").rescale_t)
    with networks.use("slat_decoder_mesh") as decoder:

        def correct(x: Tensor, v: Tensor, state: FlowState) -> Tensor:
            if state.t > how.start:
                return v
            before = int((schedule > state.t).sum())

            def look(normal: Tensor) -> Images:
                progress("compensate", before, config.detail_steps)
                return draw_latent(decoder, latent_of(networks, normal, voxels), cameras, how.size)

            return compensate_views(x, v, state, look, targets, how)[0]

        changed = sample_latent(networks, conditions, voxels, config, progress, correct)
        with torch.no_grad():
            far = [
                float(view_losses(draw_latent(decoder, x, cameras, how.size), targets).mean())
                for x in (latent, changed)
            ]
    return _better(latent, changed, far, photos)


def _left(
    latent: Latent, photos: Sequence[Photo], placing: Placing, how: CompensationConfig
) -> Compensated:
    told = (
        f"The photos did not correct the object: {len(photos)} of {len(placing.found.views)} are "
        f"placed well enough (overlap of outlines {how.least_overlap:g}, confidence "
        f"{placing.least:g}), and {LEAST_PHOTOS} are needed."
    )
    return Compensated(latent, False, _facts(photos, False), told)


def _facts(photos: Sequence[Photo], kept: bool) -> dict[str, Any]:
    return {"kept": kept, "photos": [photo.name for photo in photos]}


def _better(
    before: Latent, after: Latent, far: Sequence[float], photos: Sequence[Photo]
) -> Compensated:
    """The corrected latent if the photos say so."""
    kept = far[1] < far[0]
    facts = _facts(photos, kept) | {
        "difference_before": round(far[0], 5),
        "difference_after": round(far[1], 5),
    }
    numbers = (
        f"(L1 + 1 - SSIM {far[0]:.4f} before, {far[1]:.4f} after, over {len(photos)} photos that "
        "it was corrected with)"
    )
    if kept:
        return Compensated(after, True, facts, f"The photos corrected the object {numbers}.")
    return Compensated(
        before, False, facts, f"The photos made the object no better, so it is as it was {numbers}."
    )


def trusted(placing: Placing, config: CompensationConfig) -> tuple[Photo, ...]:
    """Photos that may correct: their places are trusted, and their outlines fit well."""
    return tuple(
        view.photo
        for view in placing.found.views
        if view.confidence >= placing.least and view.overlap >= config.least_overlap
    )


def wanted_squares(
    photos: Sequence[Photo], size: int, device: torch.device
) -> tuple[Cameras, Images]:
    """Each photo's square around the object, on black, and the squares' cameras."""
    cuts = [cut(replace(photo, rgb=_on_black(photo)), size)[0] for photo in photos]
    rgb = torch.from_numpy(np.stack([photo.rgb for photo in cuts])).to(device)
    cameras = cameras_at([photo.camera for photo in cuts], size, _REACH, device)
    return cameras, rgb.permute(0, 3, 1, 2).float() / 255


def draw_latent(decoder: Any, latent: Latent, cameras: Cameras, size: int) -> Images:
    """Pictures on black of what a latent shows; gradient reaches its features.

    Which cubes the surface passes through, and which face a pixel sees, is decided anew each time
    and carries no gradient; silhouettes do, through antialiasing.

    Args:
        decoder: Of meshes.
        latent: Any.
        cameras: Of squares in the object's frame.
        size: Side of the squares [px].
    """
    cubes, fine = decoder(latent.features, latent.voxels)
    found = extract_mesh(fine.coords[:, 1:], cubes, 4 * decoder.resolution)
    if len(found.faces) == 0:
        return (0 * latent.features.sum()).expand(len(cameras.middle), 3, size, size)
    faces = found.faces.int()
    colors = found.attributes[:, :3]
    model = Model(found.vertices, faces, colors, edge_topology(faces), _REACH)
    return model.drawn(cameras, size)[..., :3].permute(0, 3, 1, 2)


def _on_black(photo: Photo) -> Any:
    assert photo.mask is not None
    return cv2.multiply(photo.rgb, cv2.merge([photo.mask] * 3), scale=1 / 255)
