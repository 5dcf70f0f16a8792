# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of ``optimize``, in order."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from photocast.config import OptimizeConfig
from photocast.data import Capture, Mesh, Photo, Scene
from photocast.deadline import deadline_of, part
from photocast.engines.optimize.appearance import dressed
from photocast.engines.optimize.memory import free_memory, memory_plan, retried
from photocast.engines.optimize.shape import find_shape
from photocast.errors import CaptureError
from photocast.progress import Progress
from photocast.stages.mesh_cache import MeshCache, photo_digest

__all__ = ["Optimize"]

_SHAPE_TIME = 0.45
"""Of the time that is left: for the first mesh."""


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
        config, notes = memory_plan(photos, config, free_memory(config.device))
        facts: dict[str, Any] = {}
        keep_uvs = False
        if config.init.mesh:
            from photocast.engines.optimize.init import starting_mesh

            start = starting_mesh(photos, capture, config, progress)
            shape, keep_uvs, facts["init"] = start.mesh, start.keep_uvs, start.facts
            notes += start.notes
            if config.init.use == "material":
                config = replace(config, refine=replace(config.refine, epochs=0))
        else:
            time = part(progress, _SHAPE_TIME)
            shape, config = retried(
                lambda smaller: _kept_shape(photos, capture, smaller, cache, time), config, notes
            )
        (mesh, light), config = retried(
            lambda smaller: dressed(shape, photos, smaller, progress, keep_uvs=keep_uvs),
            config,
            notes,
        )
        return Scene(
            mesh=mesh,
            cameras={photo.name: photo.camera for photo in photos},
            light=light,
            up=capture.up,
            warnings=tuple(notes),
            facts=facts,
        )


def _kept_shape(
    photos: Sequence[Photo],
    capture: Capture,
    config: OptimizeConfig,
    cache: Path,
    progress: Progress,
) -> Mesh:
    """The first mesh, from an earlier run if there was one like this."""
    kept = MeshCache(cache, photo_digest(photos))
    box = None if capture.box is None else capture.box.tolist()
    limit = deadline_of(progress).limit  # a shape made in a hurry is no shape for later
    key = (config.volume, config.mesh, box, config.device.partition(":")[0], limit)
    return kept.get("shape", key, lambda: find_shape(photos, capture, config, progress))
