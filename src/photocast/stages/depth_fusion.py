# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the depth maps of a capture say about a grid: where the surface is, and where nothing is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from photocast.config import DepthConfig
from photocast.data import Photo
from photocast.data.grid_frame import GridFrame
from photocast.errors import CaptureError
from photocast.ops.depth_fusion import DepthViews, fuse_depth
from photocast.progress import Progress, silent
from photocast.stages.depth_scale import Alignment, corrected, fit_alignment
from photocast.stages.depth_trust import SensedDepth, WeighedDepth, reduced, weighed

__all__ = ["BAND", "DepthEvidence", "Fused", "measure_depth"]

BAND = 3.0
"""Measured distances are kept within this many voxels of the surface."""
_COARSE = 64  # grid vertices along the box while the maps are aligned
_WORTH = 0.95  # a correction that leaves more than this of the disagreement is not made
_IN_BOX = 0.1  # share of the object's pixels that must fall into the box
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """Depth of all views, in one grid."""

    distance: Float32[Tensor, "nx ny nz"]
    """To the measured surface [voxel], positive in front of it."""
    weight: Float32[Tensor, "nx ny nz"]
    """Of the views that agree; 0 where nothing is known."""

    def over(self, hull: Float32[Tensor, "nx ny nz"]) -> Float32[Tensor, "nx ny nz"]:
        """The measured distance where there is one, the hull's elsewhere.

        The hull contains the object, so no distance is less than the hull's.
        """
        return torch.where(self.weight > 0, torch.maximum(self.distance, hull), hull)

    def anchor(self, hull: Float32[Tensor, "nx ny nz"]) -> Float32[Tensor, "nx ny nz 2"]:
        """Distance to hold on to, and how firmly, 0..1; not at all where nothing was measured."""
        return torch.stack([self.over(hull), self.weight.clamp(max=1)], -1).contiguous()


class DepthEvidence:
    """The depth maps of a capture, each with its scale and shift."""

    def __init__(
        self,
        maps: Sequence[WeighedDepth],
        config: DepthConfig,
        alignment: Alignment | None = None,
    ) -> None:
        """Take the maps as they are, or as ``alignment`` corrects them."""
        self.config, self.alignment = config, alignment
        self._maps = maps

    def fuse(self, frame: GridFrame) -> Fused:
        """Distances and weights at the vertices of a grid."""
        views = _views(self._maps, frame, self.config)
        if self.alignment is not None:
            views = corrected(views, self.alignment, frame.voxel)
        distance, weight = fuse_depth(
            views,
            frame.size,
            truncation=BAND,
            scale=self.config.robust,
            min_support=self.config.min_support,
        )
        return Fused(distance, weight)


def measure_depth(
    photos: Sequence[Photo],
    box: NDArray[np.floating],
    config: DepthConfig,
    *,
    device: torch.device,
    progress: Progress = silent,
) -> DepthEvidence | None:
    """Collect the depth maps; correct their scales where that makes them agree better.

    Args:
        photos: Those without depth are left out.
        box: Contains the object, (2, 3).
        config: What to trust.
        device: Where to compute.
        progress: Told how far the maps are apart, ``before`` and ``after`` correction [voxel].

    Returns:
        ``None`` if no photo has depth.

    Raises:
        CaptureError: Depth and cameras are in different units.
    """
    sensed = [_sensed(photo, device) for photo in photos if photo.depth is not None]
    maps = [fine for one in sensed if (fine := weighed(one, config)) is not None]
    if not maps:
        return None
    _check_units(sensed, box)
    if config.fit_scale == "none" or len(maps) < 2:
        return DepthEvidence(maps, config)
    progress("depth", 0, 1)
    frame = GridFrame.around(box, _COARSE)
    shift = config.fit_scale == "scale_shift"
    found = fit_alignment(_views(maps, frame, config), frame.voxel, shift=shift)
    used = found.after < _WORTH * found.before
    _log.info(
        "depth scale %s: residual %.3f -> %.3f voxel, scales %.4f .. %.4f",
        "corrected" if used else "left alone",
        found.before,
        found.after,
        min(found.scale),
        max(found.scale),
        extra={"event": "depth.aligned"},
    )
    progress("depth", 1, 1, before=found.before, after=found.after)
    return DepthEvidence(maps, config, found if used else None)


def _views(maps: Sequence[WeighedDepth], frame: GridFrame, config: DepthConfig) -> DepthViews:
    """All maps reduced to the grid's cells, in the grid's frame."""
    device = maps[0].depth.device
    samples, starts, poses, lenses, sizes = [], [0], [], [], []
    for one in maps:
        made = reduced(one, frame.voxel, config)
        camera = one.camera if made is None else made.camera
        values = torch.zeros(1, 1, 3, device=device) if made is None else made.samples
        samples.append(values.view(-1, 3))
        starts.append(starts[-1] + len(samples[-1]))
        sizes.append((values.shape[1], values.shape[0]))
        pose = np.eye(4)
        rotation = camera.camera_from_world[:3, :3]
        pose[:3, :3] = rotation
        pose[:3, 3] = (rotation @ frame.origin + camera.camera_from_world[:3, 3]) / frame.voxel
        poses.append(pose)
        lenses.append([camera.fx, camera.fy, camera.cx, camera.cy])
    return DepthViews(
        samples=torch.cat(samples),
        first=torch.tensor(starts[:-1], device=device),
        width=torch.tensor([w for w, _ in sizes], dtype=torch.int32, device=device),
        height=torch.tensor([h for _, h in sizes], dtype=torch.int32, device=device),
        camera_from_grid=torch.tensor(np.stack(poses), dtype=torch.float32, device=device),
        intrinsics=torch.tensor(lenses, dtype=torch.float32, device=device),
    )


def _sensed(photo: Photo, device: torch.device) -> SensedDepth:
    assert photo.depth is not None
    depth = torch.from_numpy(np.ascontiguousarray(photo.depth)).to(device)
    rows, columns = depth.shape
    confidence = photo.depth_confidence
    inside = None
    if photo.mask is not None:
        mask = cv2.resize(photo.mask, (columns, rows), interpolation=cv2.INTER_NEAREST)
        inside = torch.from_numpy(mask > 127).to(device)
    return SensedDepth(
        depth=torch.where(torch.isfinite(depth) & (depth > 0), depth, 0),
        camera=photo.camera.resized(columns, rows),
        confidence=None
        if confidence is None
        else torch.from_numpy(confidence).to(device).float() / 255,
        object=inside,
    )


def _check_units(sensed: Sequence[SensedDepth], box: NDArray[np.floating]) -> None:
    """Refuse depth that lies nowhere near the object: millimetres taken for metres, say."""
    low, high = np.asarray(box, dtype=np.float64)
    middle, reach = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    ratios = []
    for one in sensed:
        inside = one.depth > 0 if one.object is None else (one.depth > 0) & one.object
        away = float(one.camera.project(middle[None])[1][0])
        values = one.depth[inside]
        near = ((values - away).abs() < 1.2 * reach).float().mean() if len(values) else 0
        if len(values) and away > 0:
            ratios.append((float(near), float(values.median()) / away))
    if ratios and float(np.median([near for near, _ in ratios])) < _IN_BOX:
        factor = float(np.median([ratio for _, ratio in ratios]))
        raise CaptureError(
            f"The depth maps say {factor:.3g} times the distance at which the masks and cameras "
            "place the object. Give the unit of the depth (integer_depth_scale or depth_unit in "
            "the camera file), or remove the depth maps.",
            code="capture.depth_disagrees",
        )
