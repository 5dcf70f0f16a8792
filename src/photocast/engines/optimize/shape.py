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

__all__ = ["find_shape", "hull_box"]


def find_shape(
    photos: Sequence[Photo], capture: Capture, config: OptimizeConfig, progress: Progress
) -> Mesh:
    """Fit a volume and take its surface; a closed mesh without UVs."""
    device = torch.device(config.device)
    progress("shape", 0, 1)
    box = hull_box(photos, capture, config)
    progress("shape", 1, 1)
    volume = fit_volume(photos, box, config.volume, device=device, progress=progress)
    progress("mesh", 0, 1)
    mesh = extract_mesh(volume, config.mesh)
    progress("mesh", 1, 1)
    return mesh


def hull_box(
    photos: Sequence[Photo], capture: Capture, config: OptimizeConfig
) -> NDArray[np.float64]:
    """Bounds of what lies inside all masks, (2, 3), after masks and cameras were found to agree."""
    device = torch.device(config.device)
    box = _box(photos, capture)
    return tighten(photos, box, device=device, outliers=config.volume.mask_outliers)


def _box(photos: Sequence[Photo], capture: Capture) -> NDArray[np.float64]:
    if capture.box is not None:
        require_agreement(photos)
        return capture.box
    with ThreadPoolExecutor(1, thread_name_prefix="photocast-box") as pool:
        looking = pool.submit(object_box, photos)
        require_agreement(photos)  # its message tells more, so it comes first
        return looking.result()
