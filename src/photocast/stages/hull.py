# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Start from what silhouettes already say about the shape."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Photo
from photocast.data.grid_frame import GridFrame
from photocast.errors import CaptureError
from photocast.ops.hull import Silhouettes, carve
from photocast.threads import cpu_threads

__all__ = ["hull_distance", "tighten"]

_PROBE_PIXELS = 512  # longer side of the masks meanwhile: several pixels per grid cell
_PROBE = 64  # grid vertices along the box while looking for the object in it


def hull_distance(
    photos: Sequence[Photo],
    frame: GridFrame,
    *,
    device: torch.device,
    outliers: int = 0,
    enough: float = math.inf,
) -> Float32[Tensor, "nx ny nz"]:
    """Signed distance [voxel] to the visual hull.

    Args:
        photos: A photo without a mask counts as all object.
        frame: Where to compute it.
        device: Where to compute it.
        outliers: How many masks may be wrong at any place.
        enough: Distances beyond it need not be told apart [voxel].
    """
    views = _silhouettes(photos, frame, device)
    return carve(views, frame.size, outliers=outliers, enough=enough)


def tighten(
    photos: Sequence[Photo], box: NDArray[np.floating], *, device: torch.device, outliers: int = 0
) -> NDArray[np.float64]:
    """Shrink a box (2, 3) to the visual hull inside it.

    Raises:
        CaptureError: No point of the box lies inside all masks.
    """
    frame = GridFrame.around(box, _PROBE, margin=1)
    photos = [_reduced(photo) for photo in photos]
    distance = hull_distance(photos, frame, device=device, outliers=outliers, enough=0.5)
    inside = distance < 0.5
    if not bool(inside.any()):
        raise CaptureError(
            f"No point lies inside all {len(photos)} masks, so masks and cameras disagree. "
            "Run 'photocast inspect' on the capture to see which camera convention would fit.",
            code="capture.empty_hull",
        )
    index = inside.nonzero().cpu().numpy()
    return np.stack(
        [frame.to_world(index.min(axis=0) - 1.0), frame.to_world(index.max(axis=0) + 1.0)]
    )


def _reduced(photo: Photo) -> Photo:
    """The photo with a mask no larger than the probe can tell apart."""
    camera = photo.camera
    factor = _PROBE_PIXELS / max(camera.width, camera.height)
    if photo.mask is None or factor >= 1:
        return photo
    size = max(1, round(camera.width * factor)), max(1, round(camera.height * factor))
    mask = cv2.resize(photo.mask, size, interpolation=cv2.INTER_AREA)
    blank = np.broadcast_to(np.uint8(0), (*mask.shape, 3))  # colours take no part
    return replace(photo, camera=camera.resized(*size), mask=mask, rgb=blank, depth=None)


def _silhouettes(photos: Sequence[Photo], frame: GridFrame, device: torch.device) -> Silhouettes:
    starts, poses, intrinsics = [0], [], []
    with ThreadPoolExecutor(cpu_threads(), thread_name_prefix="photocast-hull") as pool:
        distances = list(pool.map(lambda photo: _edge_distance(photo).ravel(), photos))
    for photo in photos:
        camera = photo.camera
        starts.append(starts[-1] + camera.width * camera.height)
        pose = np.eye(4)
        rotation = camera.camera_from_world[:3, :3]
        pose[:3, :3] = rotation
        pose[:3, 3] = (rotation @ frame.origin + camera.camera_from_world[:3, 3]) / frame.voxel
        poses.append(pose)
        intrinsics.append([camera.fx, camera.fy, camera.cx, camera.cy])
    cameras = [photo.camera for photo in photos]
    return Silhouettes(
        distance=torch.from_numpy(np.concatenate(distances)).to(device),
        first=torch.tensor(starts[:-1], device=device),
        width=torch.tensor([c.width for c in cameras], dtype=torch.int32, device=device),
        height=torch.tensor([c.height for c in cameras], dtype=torch.int32, device=device),
        camera_from_grid=torch.tensor(np.stack(poses), dtype=torch.float32, device=device),
        intrinsics=torch.tensor(intrinsics, dtype=torch.float32, device=device),
    )


def _edge_distance(photo: Photo) -> NDArray[np.float32]:
    """Distance [px] to the mask's edge, positive outside, (h, w)."""
    shape = (photo.camera.height, photo.camera.width)
    if photo.mask is None:
        return np.full(shape, -float(max(shape)), np.float32)
    inside = (photo.mask > 127).astype(np.uint8)
    if not inside.any():
        return np.full(shape, float(max(shape)), np.float32)
    if inside.all():
        return np.full(shape, -float(max(shape)), np.float32)
    # The edge runs between two pixel centres, half a pixel from each. One of the two is zero.
    edge: NDArray[np.float32] = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    edge -= cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    edge += np.where(inside > 0, np.float32(0.5), np.float32(-0.5))
    return edge
