# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Put every pixel of every photo on the device, beside the ray it belongs to."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Photo
from photocast.data.grid_frame import GridFrame
from photocast.ops.volume import PixelBank

__all__ = ["contrast", "foreground", "pixel_bank", "shrink_factor"]

_TILE = 4
_RING = 3  # pixels around a mask that still teach where the object ends


def shrink_factor(photos: Sequence[Photo], frame: GridFrame, *, limit: bool = True) -> float:
    """How far photos can shrink until a pixel is as wide as a voxel.

    Args:
        photos: With cameras.
        frame: The voxels.
        limit: Return at most 1; without it the pixel's width in voxels.
    """
    center = frame.to_world(np.array([[(n - 1) / 2 for n in frame.size]]))
    ratios = []
    for photo in photos:
        depth = float(photo.camera.project(center)[1][0])
        if depth > 0:
            ratios.append(depth / photo.camera.fx / frame.voxel)
    ratio = float(np.median(ratios)) if ratios else 1.0
    return min(1.0, ratio) if limit else ratio


def pixel_bank(
    photos: Sequence[Photo], frame: GridFrame, factor: float, device: torch.device
) -> PixelBank:
    """Resample photos by area and pack them.

    Args:
        photos: Masked photos carry coverage in alpha; others are opaque.
        frame: The grid whose frame the rays are given in.
        factor: Size of the packed photos relative to the given ones, at most 1.
        device: Where the bank lives.
    """
    colors, starts, widths, origins, directions = [], [0], [], [], []
    for photo in photos:
        rgba = _resampled(photo, factor)
        height, width = rgba.shape[:2]
        camera = photo.camera.resized(width, height)
        colors.append(rgba.reshape(-1, 4))
        starts.append(starts[-1] + width * height)
        widths.append(width)
        origins.append((camera.center - frame.origin) / frame.voxel)
        directions.append(camera.world_from_camera[:3, :3] @ np.linalg.inv(camera.intrinsics))
    return PixelBank(
        torch.from_numpy(np.concatenate(colors)).to(device),
        torch.tensor(starts[:-1], device=device),
        torch.tensor(widths, dtype=torch.int32, device=device),
        torch.tensor(np.stack(origins), dtype=torch.float32, device=device),
        torch.tensor(np.stack(directions), dtype=torch.float32, device=device),
    )


def foreground(bank: PixelBank) -> torch.Tensor:
    """Flat indices of the pixels that show the object or its immediate surroundings, int64.

    They come tile by tile, so that neighbours in the list look at neighbouring places.
    """
    chosen = []
    count = len(bank.rgba)
    starts = [*bank.first.tolist(), count]
    for start, stop, width in zip(starts[:-1], starts[1:], bank.width.tolist(), strict=True):
        covered = (bank.rgba[start:stop, 3] > 0).view(1, 1, -1, width).float()
        size = 2 * _RING + 1
        near = torch.nn.functional.max_pool2d(covered, size, stride=1, padding=_RING)
        pixels = near.view(-1).nonzero().squeeze(1)
        row, column = pixels // width, pixels % width
        tile = (row // _TILE) * (width // _TILE + 1) + column // _TILE
        chosen.append(pixels[torch.argsort(tile, stable=True)] + start)
    return torch.cat(chosen)


def contrast(bank: PixelBank) -> float:
    """Mean square of what sets pixels apart from their surroundings (5x5), per colour, sRGB 0..1.

    Only pixels whose surroundings lie on the object count; 0 if there are none.
    """
    square, number = 0.0, 0
    starts = [*bank.first.tolist(), len(bank.rgba)]
    for start, stop, width in zip(starts[:-1], starts[1:], bank.width.tolist(), strict=True):
        image = bank.rgba[start:stop].view(1, -1, width, 4).permute(0, 3, 1, 2).float() / 255
        if min(image.shape[2:]) < 5:
            continue
        mean = torch.nn.functional.avg_pool2d(image, 5, stride=1)
        inside = mean[:, 3] > 0.98
        middle = image[:, :3, 2:-2, 2:-2] - mean[:, :3]
        square += float((middle.square().mean(1) * inside).sum())
        number += int(inside.sum())
    return square / max(number, 1)


def _resampled(photo: Photo, factor: float) -> NDArray[np.uint8]:
    height, width = photo.rgb.shape[:2]
    mask = photo.mask if photo.mask is not None else np.full((height, width), 255, np.uint8)
    if factor >= 1.0:
        return np.dstack([photo.rgb, mask])
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Colours are averaged where the object covers them, or its edge would take on the background.
    weight = mask.astype(np.float32)[..., None]
    mixed = cv2.resize(photo.rgb * weight, size, interpolation=cv2.INTER_AREA)
    coverage = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)[..., None]
    rgb = mixed / np.maximum(coverage, 1e-3)
    return np.concatenate([rgb, coverage], axis=2).round().clip(0, 255).astype(np.uint8)
