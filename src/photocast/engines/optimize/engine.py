# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of ``optimize``, in order."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.config import OptimizeConfig
from photocast.data import Capture, Light, Mesh, Photo, PoseReport, Scene
from photocast.errors import CaptureError
from photocast.progress import Progress
from photocast.stages.appearance import AppearanceFit
from photocast.stages.appearance_maps import finished_material
from photocast.stages.consistency import object_box, require_agreement
from photocast.stages.hull import tighten
from photocast.stages.isosurface import extract_mesh
from photocast.stages.lit import layout_of
from photocast.stages.map_size import fitting_size
from photocast.stages.mesh_cache import MeshCache, photo_digest
from photocast.stages.pose_refine import corrected, refine_poses
from photocast.stages.refine import refine
from photocast.stages.refine_targets import refine_targets
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
        maps = replace(config.appearance, size=_map_size(shape, photos, config))
        if maps.exposure == "auto":
            maps = replace(maps, exposure="off" if capture.mask_source == "alpha" else "on")
        mesh = unwrap(shape, replace(config.unwrap, size=maps.size), progress, device=device)
        mesh, light = _appearance(mesh, photos, replace(config, appearance=maps), progress)
        cameras = {photo.name: photo.camera for photo in photos}
        return Scene(mesh=mesh, cameras=cameras, light=light, up=capture.up, poses=poses)


def _map_size(shape: Mesh, photos: Sequence[Photo], config: OptimizeConfig) -> int:
    return min(config.appearance.size, fitting_size(shape, photos))


def _appearance(
    mesh: Mesh, photos: Sequence[Photo], config: OptimizeConfig, progress: Progress
) -> tuple[Mesh, Light]:
    """Material and light on the coarse maps, then shape with them, then all at full size."""
    device = torch.device(config.device)
    surface = layout_of(mesh, device)
    fit = AppearanceFit(surface, photos, config.appearance, progress)
    coarse = len(config.appearance.coarse)
    fit.run(0, coarse)
    targets = refine_targets(mesh, photos, device)
    if targets is not None and config.refine.epochs:
        vertices = refine(surface[0], surface[2], fit, targets, config.refine, progress)
        mesh = replace(mesh, vertices=vertices.cpu().numpy())
        surface = layout_of(mesh, device)
        fit.move(surface)
    fit.run(coarse)
    found = fit.found()
    environment = found.environment.cpu().numpy()
    return replace(mesh, material=finished_material(surface[2], found)), Light(environment)


def _poses(
    photos: Sequence[Photo],
    capture: Capture,
    config: OptimizeConfig,
    device: torch.device,
    progress: Progress,
) -> PoseReport:
    progress("poses", 0, 1)
    box = _box(photos, capture, config, device)  # masks and cameras agree, or it says why not
    if config.poses.mode == "off":
        progress("poses", 1, 1)
        return PoseReport()
    if config.poses.mode == "auto" and capture.layout == "blender":
        progress("poses", 1, 1)
        return PoseReport(reason="The cameras come from a renderer, which knows them exactly.")
    return refine_poses(photos, box, config, device=device, progress=progress)


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


def _box(
    photos: Sequence[Photo], capture: Capture, config: OptimizeConfig, device: torch.device
) -> NDArray[np.float64]:
    """Where the object is, after masks and cameras were found to agree."""
    if capture.box is not None:
        require_agreement(photos)
        box = capture.box
    else:
        with ThreadPoolExecutor(1, thread_name_prefix="photocast-box") as pool:
            looking = pool.submit(object_box, photos)
            require_agreement(photos)  # its message tells more, so it comes first
            box = looking.result()
    return tighten(photos, box, device=device, outliers=config.volume.mask_outliers)
