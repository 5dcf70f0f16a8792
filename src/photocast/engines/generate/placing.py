# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the photos were taken from around the object, and their colours on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from photocast.config import GenerateConfig
from photocast.data import Mesh, Photo, Picture
from photocast.nets.camera_head import camera_from_pose
from photocast.nets.photo_input import object_square
from photocast.progress import Progress
from photocast.stages.crop_cameras import posed_photos
from photocast.stages.photo_paint import photo_painted
from photocast.stages.place_views import Placed, place_again, place_views
from photocast.stages.vertex_paint import painted

__all__ = ["Placing", "dressed", "place", "placed_again"]


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """Photos around the object, and who is left out."""

    found: Placed
    least: float
    """Confidence that a photo needs."""

    @property
    def photos(self) -> tuple[Photo, ...]:
        """Those that can be trusted."""
        return tuple(v.photo for v in self.found.views if v.confidence >= self.least)

    @property
    def trust(self) -> list[float]:
        """How far, for each of them."""
        return [v.confidence for v in self.found.views if v.confidence >= self.least]

    @property
    def facts(self) -> dict[str, Any]:
        """For ``run.json``."""
        views = {
            view.photo.name: {
                "confidence": round(view.confidence, 3),
                "overlap": round(view.overlap, 3),
                "likeness": round(view.likeness, 3),
                "used": view.confidence >= self.least,
            }
            for view in self.found.views
        }
        return {"views": views, "looks_alike_after_deg": self.found.other_way}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the report."""
        told = []
        views = self.found.views
        away = [f"{v.photo.name} ({v.confidence:.2f})" for v in views if v.confidence < self.least]
        if len(away) == len(views):
            told.append(
                f"None of the {len(views)} photos could be placed around the object (confidence at "
                f"most {max(v.confidence for v in views):.2f}; {self.least:g} is needed), so its "
                "colours are made up, too, and it is not compared with the photos."
            )
        elif away:
            told.append(
                f"{len(away)} of {len(views)} photos could not be placed around the object and "
                f"were left out: {', '.join(away)}; a confidence of {self.least:g} is needed."
            )
        if self.found.other_way is not None and len(away) < len(views):
            told.append(
                "The object looks nearly the same after a turn of "
                f"{self.found.other_way:.0f} degrees; which way round the photos show it is a "
                "guess."
            )
        return tuple(told)


def place(
    mesh: Mesh,
    pictures: Sequence[Picture],
    poses: Float[Tensor, "view 9"],
    config: GenerateConfig,
    progress: Progress,
) -> Placing:
    """Place the photos around the object.

    Args:
        mesh: With colours at its vertices.
        pictures: In the order of the poses.
        poses: Of the squares around their objects, as VGGT's camera head tells them.
        config: How hard to search, and where to compute.
        progress: Called as ``place``.
    """
    squares = [square for p in pictures if (square := object_square(p.mask)) is not None]
    extrinsics, _ = camera_from_pose(poses[None], 1, 1)
    fields = poses[:, 7:].double().cpu().numpy()
    photos = posed_photos(pictures, squares, extrinsics[0].double().cpu().numpy(), fields)
    found = place_views(mesh, photos, config.place, torch.device(config.device), progress)
    return Placing(found, config.place.least_confidence)


def placed_again(
    mesh: Mesh, placing: Placing, config: GenerateConfig, progress: Progress
) -> Placing:
    """The photos around a mesh that has changed a little, from where they are."""
    found = place_again(mesh, placing.found, torch.device(config.device), progress)
    return Placing(found, placing.least)


def dressed(
    mesh: Mesh, placing: Placing, config: GenerateConfig, progress: Progress
) -> tuple[Mesh, float]:
    """A base colour map: from the photos where they show the mesh, else from its vertices.

    Returns:
        The mesh, and the share of its texels that photos decide.
    """
    device = torch.device(config.device)
    whole = painted(mesh, config.texture, device)
    if not placing.photos:
        return whole, 0.0
    return photo_painted(whole, placing.photos, placing.trust, device, progress)
