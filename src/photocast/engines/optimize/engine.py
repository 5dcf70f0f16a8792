# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of ``optimize``, in order."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.config import OptimizeConfig
from photocast.data import Capture, Mesh, Photo, PoseReport, Scene
from photocast.errors import CaptureError
from photocast.progress import Progress
from photocast.stages.consistency import object_box, require_agreement
from photocast.stages.hull import tighten
from photocast.stages.isosurface import extract_mesh
from photocast.stages.mesh_cache import MeshCache, photo_digest
from photocast.stages.pose_refine import corrected, refine_poses
from photocast.stages.refine import refine
from photocast.stages.texture import fitting_size, texture
from photocast.stages.unwrap import unwrap
from photocast.stages.volume import fit_volume

__all__ = ["Optimize"]


class Optimize:
    """Shape and appearance from posed photos with masks."""

    needs_cameras: ClassVar[bool] = True
    config_type: ClassVar[type] = OptimizeConfig

    def check(self, capture: Capture) -> None:
        """Refuse captures without masks.

        Raises:
            CaptureError: There is nothing to tell the object from the background.
        """
        if capture.mask_source == "none":
            raise CaptureError(
                f"{capture.root} has no masks and its background is not plain, so the object "
                "cannot be told from what is behind it. Save the photos as PNG with transparency, "
                "or put one mask image per photo (white = object) into a folder 'masks'.",
                code="capture.no_masks",
            )

    def run(
        self,
        photos: Sequence[Photo],
        capture: Capture,
        config: OptimizeConfig,
        cache: Path,
        progress: Progress,
    ) -> Scene:
        """Reconstruct; see :class:`photocast.engines.base.Engine`."""
        device = torch.device(config.device)
        kept = MeshCache(cache, photo_digest(photos))
        box = None if capture.box is None else capture.box.tolist()
        poses = PoseReport.from_document(
            kept.document(
                "poses",
                (config.poses, config.volume.mask_outliers, config.volume.seed, box, device.type),
                lambda: asdict(_poses(photos, capture, config, device, progress)),
            )
        )
        photos = corrected(photos, poses)
        shape = kept.get(
            "shape",
            (config.volume, config.mesh, box, device.type),
            lambda: _shape(photos, capture, config, device, progress),
        )
        refined = kept.get(
            "refined",
            config.refine,
            lambda: refine(shape, photos, config.refine, device=device, progress=progress),
        )
        size = min(config.texture.size, fitting_size(refined, photos))
        mesh = unwrap(refined, replace(config.unwrap, size=size), progress)
        paint = replace(config.texture, size=size)
        mesh = texture(mesh, photos, paint, device=device, progress=progress)
        cameras = {photo.name: photo.camera for photo in photos}
        return Scene(mesh=mesh, cameras=cameras, up=capture.up, poses=poses)


def _poses(
    photos: Sequence[Photo],
    capture: Capture,
    config: OptimizeConfig,
    device: torch.device,
    progress: Progress,
) -> PoseReport:
    progress("poses", 0, 1)
    require_agreement(photos)
    if config.poses.mode == "off":
        progress("poses", 1, 1)
        return PoseReport()
    box = _box(photos, capture, config, device)
    return refine_poses(photos, box, config, device=device, progress=progress)


def _box(
    photos: Sequence[Photo], capture: Capture, config: OptimizeConfig, device: torch.device
) -> NDArray[np.float64]:
    box = capture.box if capture.box is not None else object_box(photos)
    return tighten(photos, box, device=device, outliers=config.volume.mask_outliers)


def _shape(
    photos: Sequence[Photo],
    capture: Capture,
    config: OptimizeConfig,
    device: torch.device,
    progress: Progress,
) -> Mesh:
    progress("shape", 0, 1)
    box = _box(photos, capture, config, device)
    progress("shape", 1, 1)
    volume = fit_volume(photos, box, config.volume, device=device, progress=progress)
    progress("mesh", 0, 1)
    mesh = extract_mesh(volume, config.mesh)
    progress("mesh", 1, 1)
    return mesh
