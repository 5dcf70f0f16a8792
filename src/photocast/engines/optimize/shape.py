# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From photos to a first mesh: where the object is, a volume fitted there, its surface."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.config import OptimizeConfig
from photocast.data import Capture, Mesh, Photo
from photocast.progress import Progress
from photocast.stages.consistency import object_box, require_agreement
from photocast.stages.hull import tighten
from photocast.stages.isosurface import extract_mesh
from photocast.stages.volume import fit_volume

__all__ = ["HullBox", "find_shape"]


class HullBox:
    """Where the object of a capture is; looked for once for the same photos and settings."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self._photos: Sequence[Photo] = ()
        self._settings: tuple[str, int] | None = None
        self._box = np.zeros((2, 3))

    def of(self, photos: Sequence[Photo], config: OptimizeConfig) -> NDArray[np.float64]:
        """Bounds of what lies inside all masks, (2, 3); masks and cameras must agree."""
        settings = config.device, config.volume.mask_outliers
        same = len(photos) == len(self._photos) and all(
            a.mask is b.mask and a.camera is b.camera
            for a, b in zip(photos, self._photos, strict=True)
        )
        if not same or settings != self._settings:
            box = tighten(
                photos,
                _box(photos, self.capture),
                device=torch.device(config.device),
                outliers=config.volume.mask_outliers,
            )
            self._photos, self._settings, self._box = photos, settings, box
        return self._box


def find_shape(
    photos: Sequence[Photo], hull: HullBox, config: OptimizeConfig, progress: Progress
) -> Mesh:
    """Fit a volume and take its surface; a closed mesh without UVs."""
    device = torch.device(config.device)
    progress("shape", 0, 1)
    box = hull.of(photos, config)
    progress("shape", 1, 1)
    volume = fit_volume(photos, box, config.volume, device=device, progress=progress)
    progress("mesh", 0, 1)
    mesh = extract_mesh(volume, config.mesh)
    progress("mesh", 1, 1)
    return mesh


def _box(photos: Sequence[Photo], capture: Capture) -> NDArray[np.float64]:
    if capture.box is not None:
        require_agreement(photos)
        return capture.box
    with ThreadPoolExecutor(1, thread_name_prefix="photocast-box") as pool:
        looking = pool.submit(object_box, photos)
        require_agreement(photos)  # its message tells more, so it comes first
        return looking.result()
