# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of ``optimize``, in order."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

from photocast.config import OptimizeConfig
from photocast.data import Capture, Mesh, Photo, PoseReport, Scene
from photocast.deadline import deadline_of, part
from photocast.engines.optimize.appearance import dressed
from photocast.engines.optimize.cameras import find_poses
from photocast.engines.optimize.memory import free_memory, memory_plan, retried
from photocast.engines.optimize.shape import HullBox, find_shape
from photocast.progress import Progress
from photocast.stages.masks_found import require_masks
from photocast.stages.mesh_cache import MeshCache, photo_digest
from photocast.stages.pose_refine import corrected
from photocast.stages.rim import without_rims

__all__ = ["Optimize"]

_POSE_TIME, _SHAPE_TIME = 0.15, 0.45
"""Of the time that is left: for the cameras, and for the first mesh."""


class Optimize:
    """Shape and appearance from posed photos with masks."""

    needs_cameras: ClassVar[bool] = True
    config_type: ClassVar[type] = OptimizeConfig

    def check(self, capture: Capture) -> None:
        """Refuse captures without masks.

        Raises:
            CaptureError: There is nothing to tell the object from the background.
        """
        require_masks(capture)

    def run(
        self,
        photos: Sequence[Photo],
        capture: Capture,
        config: OptimizeConfig,
        cache: Path,
        progress: Progress,
    ) -> Scene:
        """Reconstruct; see :class:`photocast.engines.base.Engine`."""
        config, notes = memory_plan(photos, _settled(config, capture), free_memory(config.device))
        facts: dict[str, Any] = {}
        start = None
        hull = HullBox(capture)
        if config.init.mesh:
            from photocast.engines.optimize.init import starting_mesh

            start = starting_mesh(photos, hull, config, progress)
            notes += start.notes
            facts["init"] = start.facts
        kept = _Kept(photos, hull, cache)
        poses = kept.poses(config, part(progress, _POSE_TIME))
        photos = without_rims(corrected(photos, poses), config.rim)
        if start is None:
            time = part(progress, _SHAPE_TIME)
            shape, config = retried(lambda less: kept.shape(photos, less, time), config, notes)
        else:
            shape = start.mesh
        uvs = start is not None and start.keep_uvs
        (mesh, light), config = retried(
            lambda less: dressed(shape, photos, less, progress, keep_uvs=uvs, notes=notes),
            config,
            notes,
        )
        return Scene(
            mesh=mesh,
            cameras={photo.name: photo.camera for photo in photos},
            light=light,
            up=capture.up,
            poses=poses,
            warnings=tuple(notes),
            facts=facts,
        )


def _settled(config: OptimizeConfig, capture: Capture) -> OptimizeConfig:
    """Settings that follow from the capture and from each other."""
    maps, cut_out = config.appearance, capture.mask_source == "alpha"
    if maps.exposure == "auto":
        maps = replace(maps, exposure="off" if cut_out else "on")
    still = config.init.use == "material"
    moves = replace(config.refine, epochs=0) if still else config.refine
    return replace(config, appearance=maps, refine=moves, rim=0 if cut_out else config.rim)


class _Kept:
    """The first stages, from an earlier run if there was one like this."""

    def __init__(self, photos: Sequence[Photo], hull: HullBox, cache: Path) -> None:
        self._photos, self._hull = photos, hull
        self._start = cache, photo_digest(photos)
        capture = hull.capture
        self._box = None if capture.box is None else capture.box.tolist()

    def poses(self, config: OptimizeConfig, progress: Progress) -> PoseReport:
        """What to correct in the cameras."""
        found = MeshCache(*self._start).document(
            "poses",
            self._pose_key(config, progress),
            lambda: asdict(find_poses(self._photos, self._hull, config, progress)),
        )
        return PoseReport.from_document(found)

    def shape(self, photos: Sequence[Photo], config: OptimizeConfig, progress: Progress) -> Mesh:
        """The first mesh, with corrected cameras."""
        key = (self._pose_key(config, progress), config.rim, config.volume, config.mesh)
        return MeshCache(*self._start).get(
            "shape", key, lambda: find_shape(photos, self._hull, config, progress)
        )

    def _pose_key(self, config: OptimizeConfig, progress: Progress) -> tuple[object, ...]:
        limit = deadline_of(progress).limit  # what was made in a hurry is not for later
        outliers, seed = config.volume.mask_outliers, config.volume.seed
        device = config.device.partition(":")[0]
        return config.poses, outliers, seed, self._box, device, limit
