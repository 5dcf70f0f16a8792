# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the cameras, found before anything else is."""

from collections.abc import Sequence

import torch

from photocast.config import OptimizeConfig
from photocast.data import Photo, PoseReport
from photocast.engines.optimize.shape import HullBox
from photocast.progress import Progress
from photocast.stages.pose_refine import refine_poses

__all__ = ["find_poses"]


def find_poses(
    photos: Sequence[Photo], hull: HullBox, config: OptimizeConfig, progress: Progress
) -> PoseReport:
    """Correct cameras that are slightly off, as far as the settings allow."""
    progress("poses", 0, 1)
    box = hull.of(photos, config)  # masks and cameras agree, or it says why not
    if config.poses.mode == "off":
        progress("poses", 1, 1)
        return PoseReport()
    if config.poses.mode == "auto" and hull.capture.layout == "blender":
        progress("poses", 1, 1)
        return PoseReport(reason="The cameras come from a renderer, which knows them exactly.")
    device = torch.device(config.device)
    return refine_poses(photos, box, config, device=device, progress=progress)
