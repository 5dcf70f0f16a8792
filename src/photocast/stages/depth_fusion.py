# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the depth maps of a capture say about a grid: where the surface is, and where nothing is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from photocast.stages.depth_scale import Alignment, fit_alignment
from photocast.stages.depth_trust import SensedDepth, trusted_map

__all__ = ["BAND", "DepthEvidence", "Fused", "depth_views", "measure_depth"]

BAND = 3.0
"""Measured distances are kept within this many voxels of the surface."""
_COARSE, _FINE = 48, 96  # grid vertices along the box while the maps are aligned
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
        sensed: Sequence[SensedDepth],
        config: DepthConfig,
        alignment: Alignment | None = None,
    ) -> None:
        """Take the maps as they are, or as ``alignment`` corrects them."""
        self.config = config
        self.alignment = alignment
        self._sensed = list(sensed) if alignment is None else _aligned(sensed, alignment)

    def fuse(self, frame: GridFrame) -> Fused:
        """Distances and weights at the vertices of a grid."""
        views = depth_views(self._sensed, frame, self.config)
        if views is None:
            zero = torch.zeros(frame.size, device=self._sensed[0].depth.device)
            return Fused(zero, zero)
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
        progress: Told how well the maps agree, as ``residual`` [voxel] before and after.

    Returns:
        ``None`` if no photo has depth.

    Raises:
        CaptureError: Depth and cameras are in different units.
    """
    sensed = [_sensed(photo, device) for photo in photos if photo.depth is not None]
    if not any(bool((one.depth > 0).any()) for one in sensed):
        return None
    _check_units(sensed, box)
    if config.fit_scale == "none" or len(sensed) < 2:
        return DepthEvidence(sensed, config)
    found: Alignment | None = None
    progress("depth", 0, 2)
    for step, resolution in enumerate((_COARSE, _FINE)):
        frame = GridFrame.around(box, resolution)
        found = _refined(sensed, found, frame, config)
        progress("depth", step + 1, 2, before=found.before, after=found.after)
    assert found is not None
    used = found.after < 0.98 * found.before
    _log.info(
        "depth scale %s: residual %.3f -> %.3f voxel, scales %.4f .. %.4f",
        "corrected" if used else "left alone",
        found.before,
        found.after,
        min(found.scale),
        max(found.scale),
        extra={"event": "depth.aligned"},
    )
    return DepthEvidence(sensed, config, found if used else None)


def _refined(
    sensed: Sequence[SensedDepth], start: Alignment | None, frame: GridFrame, config: DepthConfig
) -> Alignment:
    shift = config.fit_scale == "scale_shift"

    def views(alignment: Alignment | None) -> DepthViews:
        maps = list(sensed) if alignment is None else _aligned(sensed, alignment)
        made = depth_views(maps, frame, config)
        assert made is not None
        return made

    return fit_alignment(views, len(sensed), frame.voxel, start=start, shift=shift)


def depth_views(
    sensed: Sequence[SensedDepth], frame: GridFrame, config: DepthConfig
) -> DepthViews | None:
    """All maps reduced to the grid's cells, in the grid's frame; ``None`` if nothing is known."""
    samples, starts, poses, lenses, sizes = [], [0], [], [], []
    for one in sensed:
        made = trusted_map(one, frame.voxel, config)
        empty = one.depth.new_zeros(1, 1, 3)
        camera = one.camera if made is None else made.camera
        values = empty if made is None else made.samples
        samples.append(values.view(-1, 3))
        starts.append(starts[-1] + len(samples[-1]))
        sizes.append((values.shape[1], values.shape[0]))
        pose = np.eye(4)
        rotation = camera.camera_from_world[:3, :3]
        pose[:3, :3] = rotation
        pose[:3, 3] = (rotation @ frame.origin + camera.camera_from_world[:3, 3]) / frame.voxel
        poses.append(pose)
        lenses.append([camera.fx, camera.fy, camera.cx, camera.cy])
    flat = torch.cat(samples)
    if not bool((flat[:, 2] > 0).any()):
        return None
    device = flat.device
    return DepthViews(
        samples=flat,
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


def _aligned(sensed: Sequence[SensedDepth], alignment: Alignment) -> list[SensedDepth]:
    found = []
    for one, scale, shift in zip(sensed, alignment.scale, alignment.shift, strict=True):
        depth = torch.where(one.depth > 0, (one.depth * scale + shift).clamp(min=0), 0)
        found.append(replace(one, depth=depth))
    return found


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
