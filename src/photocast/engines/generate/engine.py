# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of ``generate``, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photocast.config import GenerateConfig
from photocast.data import Mesh, Photo, Picture, Scene
from photocast.engines.generate.compensating import compensated
from photocast.engines.generate.decoding import decode_gaussians, decode_mesh, finish_mesh
from photocast.engines.generate.networks import Networks, precision_for
from photocast.engines.generate.placing import dressed, place, placed_again
from photocast.engines.generate.sampling import Latent, sample_latent, sample_structure
from photocast.engines.generate.views import reference_first, see
from photocast.errors import CaptureError, ConfigError
from photocast.nets.gaussian_decoder import Gaussians
from photocast.nets.photo_input import crop_to_object, photo_tensor
from photocast.nets.sparse_conv import convolutions_by
from photocast.nets.weights import WeightFolder
from photocast.progress import Progress

__all__ = ["Generate", "Generated"]

TEST_WARNING = "The weights are a seeded test model: this result means nothing."
MADE_UP_WARNING = "Parts that no photo shows are made up."


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    """The scene, and the same object as gaussians."""

    scene: Scene
    gaussians: Gaussians
    photos: tuple[Photo, ...]
    """Those that could be placed, with their cameras in the object's frame."""


class Generate:
    """An object from a few photos of which nobody knows where they were taken from."""

    def run(
        self, pictures: Sequence[Picture], config: GenerateConfig, progress: Progress
    ) -> Generated:
        """Generate.

        Args:
            pictures: Photos of one object with masks.
            config: Weights, steps, guidance, seed.
            progress: Called at safe points; may raise ``Cancelled``.

        Raises:
            ConfigError: The reference is none of the photos.
            CaptureError: A mask shows no object.
            WeightsError: Weights are missing or do not fit.
            UserError: spconv is asked for and not installed.
            PhotocastError: Nothing came out.
        """
        with convolutions_by(config.sparse_conv):
            return self._run(pictures, config, progress)

    def _run(
        self, pictures: Sequence[Picture], config: GenerateConfig, progress: Progress
    ) -> Generated:
        device = torch.device(config.device)
        names = [picture.name for picture in pictures]
        if config.reference and config.reference not in names:
            raise ConfigError(
                f"No photo is called {config.reference!r}; there are: {', '.join(names)}.",
                code="generate.reference",
            )
        order = reference_first(names, config.reference)
        folder = WeightFolder(Path(config.weights))
        networks = Networks(folder, device, precision_for(device), low_memory=config.low_memory)
        pictures = [pictures[number] for number in order]
        images = _images(pictures, _image_size(networks))
        progress("look", 0, 1)
        conditions = see(networks, images)
        progress("look", 1, 1)
        voxels = sample_structure(networks, conditions, config, progress)
        latent = sample_latent(networks, conditions, voxels, config, progress)
        made = _decoded(networks, latent, config, progress)
        placing = place(made.mesh, pictures, conditions.poses, config, progress)
        notes, extra = placing.warnings, {}
        if config.compensation.enabled:
            listened = compensated(networks, conditions, latent, placing, config, progress)
            if listened.kept:
                made = _decoded(networks, listened.latent, config, progress)
                placing = placed_again(made.mesh, placing, config, progress)
            notes, extra = (*placing.warnings, listened.told), {"compensation": listened.facts}
        mesh, decided = dressed(made.mesh, placing, config, progress)
        facts: dict[str, Any] = {
            "photos": [names[number] for number in order],
            "reference": names[order[0]],
            "voxels": len(voxels),
            "gaussians": len(made.gaussians.raw_opacity),
            "faces_decoded": made.faces_decoded,
            "precision": str(networks.dtype).removeprefix("torch."),
            "test_weights": folder.is_test,
            "placing": placing.facts | {"texels_from_photos": decided},
            **extra,
        }
        warnings = (TEST_WARNING,) if folder.is_test else ()
        scene = Scene(
            mesh=mesh,
            cameras={photo.name: photo.camera for photo in placing.photos},
            up=np.array([0.0, 0.0, 1.0]),
            warnings=(*warnings, MADE_UP_WARNING, *made.notes, *notes),
            facts=facts,
        )
        return Generated(scene, made.gaussians, placing.photos)


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    gaussians: Gaussians
    mesh: Mesh
    """Reduced and unwrapped, with colours at its vertices."""
    faces_decoded: int
    notes: tuple[str, ...]
    """What did not go as asked for."""


def _decoded(
    networks: Networks, latent: Latent, config: GenerateConfig, progress: Progress
) -> _Decoded:
    progress("mesh", 0, 2)
    gaussians = decode_gaussians(networks, latent)
    progress("mesh", 1, 2)
    colored = decode_mesh(networks, latent)
    progress("mesh", 2, 2, faces=len(colored.faces))
    notes: list[str] = []
    mesh = finish_mesh(colored, config, networks.device, progress, notes)
    return _Decoded(gaussians, mesh, len(colored.faces), tuple(notes))


def _image_size(networks: Networks) -> int:
    return int(networks.folder.network("image_cond_model").args.get("img_size", 518))


def _images(pictures: Sequence[Picture], size: int) -> torch.Tensor:
    crops = []
    for picture in pictures:
        crop = crop_to_object(np.dstack([picture.rgb, picture.mask]), size)
        if crop.shape != (size, size, 4):
            raise CaptureError(
                f"The mask of {picture.name} shows no object. Leave the photo out, or repair its "
                "mask.",
                code="capture.mask_empty",
            )
        crops.append(crop)
    return photo_tensor(np.stack(crops))
