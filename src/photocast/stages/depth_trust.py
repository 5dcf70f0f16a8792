# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How far each pixel of a depth map can be trusted, and a copy reduced to the grid's cells.

Sensors err in known ways: noise that grows with the squared distance, points in mid-air at
outlines, smeared edges, nothing useful at grazing angles (Nguyen et al. 2012, "Modeling Kinect
sensor noise"). The noise is measured in the map itself, so no sensor has to be named.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from photocast.config import DepthConfig
from photocast.data import Camera

__all__ = ["SensedDepth", "TrustedMap", "WeighedDepth", "noise_of", "reduced", "weighed"]

_STEEP = 6.0  # depth steps per pixel's width that a surface may have; more is an outline
_FLOOR = 0.0005  # share of the distance below which no sensor is believed
_TRIMMED = 0.657 * math.sqrt(6.0)  # mean of |second difference| below its 90 % point, per sigma
_WIDEST = 2.0  # averages reach over at most this many voxels
_SHARE = 0.75  # and over this many where the noise does not ask for more
_QUIET = 0.3  # noise [voxel] that needs no wider average
_SURE = 0.5  # noise [voxel] at which a pixel counts half
_FEW = 200_000  # second differences are enough to know the noise
_FRONTAL = 0.5  # cosine from which on a surface counts as seen frontally


@dataclass(frozen=True, slots=True, eq=False)
class SensedDepth:
    """A depth map as the sensor gave it, with its own camera."""

    depth: Float32[Tensor, "h w"]
    """World units, 0 unknown."""
    camera: Camera
    """For the map's size."""
    confidence: Float32[Tensor, "h w"] | None
    """0..1, from the sensor."""
    object: Bool[Tensor, "h w"] | None
    """Inside the photo's mask."""


@dataclass(frozen=True, slots=True, eq=False)
class TrustedMap:
    """Depth averaged over blocks of pixels, with a weight."""

    samples: Float32[Tensor, "rows columns 3"]
    """Depth [voxel], slope factor, weight: see ``DepthViews.samples``."""
    camera: Camera
    """For the reduced map."""


@dataclass(frozen=True, slots=True, eq=False)
class WeighedDepth:
    """A depth map whose doubtful pixels are known; the same for every grid."""

    depth: Float32[Tensor, "h w"]
    """World units, 0 unknown."""
    weight: Float32[Tensor, "h w"]
    """0..1."""
    camera: Camera
    middle: float
    """Median depth."""
    noise: float
    """Standard deviation of a pixel at the median depth; it grows with the squared depth."""


def weighed(sensed: SensedDepth, config: DepthConfig) -> WeighedDepth | None:
    """Judge the pixels of a depth map; ``None`` if nothing in it is known.

    Args:
        sensed: What was measured.
        config: What to distrust.
    """
    depth = sensed.depth
    known = depth[depth > 0]
    if not len(known):
        return None
    middle, noise = float(known.median()), noise_of(depth)
    focal = min(sensed.camera.fx, sensed.camera.fy)
    weight = _weight(sensed, _sigma(depth, noise, middle), depth / focal, config)
    return WeighedDepth(depth, weight, sensed.camera, middle, noise)


def _sigma(depth: Tensor, noise: float, middle: float) -> Tensor:
    return noise * (depth / middle) ** 2 + _FLOOR * depth


def noise_of(depth: Float32[Tensor, "h w"]) -> float:
    """Standard deviation of a map's pixels, in its own unit, from second differences.

    A plane has none, so what is left is noise. The mean of all but the largest tenth, because
    quantised maps are flat almost everywhere, which would make the median zero.
    """
    found = []
    for axis in (0, 1):
        n = depth.shape[axis] - 2
        if n < 1:
            continue
        a, b, c = (depth.narrow(axis, start, n) for start in range(3))
        both = (a > 0) & (b > 0) & (c > 0)
        found.append((a - 2 * b + c).abs()[both])
    bends = torch.cat(found) if found else depth.new_zeros(0)
    bends = bends[:: max(1, len(bends) // _FEW)]
    if len(bends) < 10:
        return 0.0
    kept = bends.sort().values[: int(0.9 * len(bends))]
    return float(kept.mean()) / _TRIMMED


def _weight(sensed: SensedDepth, noise: Tensor, pixel: Tensor, config: DepthConfig) -> Tensor:
    """0..1 for each pixel: sensor's confidence, lone points, distance from outlines."""
    depth, known = sensed.depth, sensed.depth > 0
    if config.edge:
        known = known & ~_lone(depth, _STEEP * pixel + 4 * noise)
    weight = known.float()
    if sensed.confidence is not None:
        weight = weight * sensed.confidence
    if not config.edge:
        return weight
    outline = _range(torch.where(known, depth, 0)) > 2 * _STEEP * pixel + 6 * noise
    if sensed.object is not None:
        inside = sensed.object.float()
        outline |= _spread(inside, 1) != -_spread(-inside, 1)
    near = outline.float()
    return weight * (1 - 0.5 * _spread(near, config.edge) - 0.5 * _spread(near, config.edge // 2))


def _lone(depth: Tensor, tolerance: Tensor) -> Tensor:
    """Pixels that fewer than two of their neighbours agree with."""
    padded = pad(depth, (1, 1, 1, 1))
    rows, columns = depth.shape
    friends = torch.zeros_like(depth)
    for down in range(3):
        for across in range(3):
            if (down, across) != (1, 1):
                other = padded[down : down + rows, across : across + columns]
                friends += ((other > 0) & ((other - depth).abs() < tolerance)).float()
    return friends < 2


def _range(depth: Tensor) -> Tensor:
    """Largest minus smallest known depth of each 3x3 window."""
    known = depth > 0
    far = _spread(torch.where(known, depth, -torch.inf), 1)
    near = -_spread(torch.where(known, -depth, -torch.inf), 1)
    return torch.where(known, far - near, 0)


def _spread(image: Tensor, reach: int) -> Tensor:
    """The largest value within ``reach`` pixels."""
    if reach < 1:
        return image
    side = 2 * reach + 1
    rows = max_pool2d(image[None, None], (1, side), stride=1, padding=(0, reach))
    return max_pool2d(rows, (side, 1), stride=1, padding=(reach, 0))[0, 0]


def _factor(fine: WeighedDepth, voxel: float) -> int:
    """Pixels to average along each side."""
    per_voxel = voxel * min(fine.camera.fx, fine.camera.fy) / fine.middle
    noise = fine.noise + _FLOOR * fine.middle
    quiet = noise / (_QUIET * voxel)  # averaging n x n pixels divides the noise by n
    return max(1, round(min(max(_SHARE * per_voxel, quiet), _WIDEST * per_voxel)))


def reduced(fine: WeighedDepth, voxel: float, config: DepthConfig) -> TrustedMap | None:
    """Average a depth map over the cells of a grid; ``None`` if it is too small.

    Args:
        fine: The pixels and their weights.
        voxel: Side of a grid cell in world units.
        config: What to distrust.
    """
    factor = _factor(fine, voxel)
    rows, columns = (n // factor for n in fine.weight.shape)
    if min(rows, columns) < 2:
        return None
    height, width = rows * factor, columns * factor
    camera = _camera(fine.camera, columns, rows, factor)
    weight = fine.weight[:height, :width]
    total = _mean(weight, factor)
    share = total.clamp(min=1e-12)
    depth = _mean(weight * fine.depth[:height, :width], factor) / share
    known = total > 0.25
    sigma = _sigma(depth, fine.noise, fine.middle) / (factor * share.sqrt())
    sigma = (sigma + _FLOOR * depth) / voxel
    across, down = _slope(depth, known, 1), _slope(depth, known, 0)
    depth = depth - _offset(weight, factor, 1) / share * across
    depth = depth - _offset(weight, factor, 0) / share * down
    slope, cosine = _slopes(depth, across, down, camera)
    # A mean over some of the block's pixels counts as much as those pixels.
    trust = torch.where(known, total, 0) / (1 + (sigma / _SURE) ** 2)
    if config.min_cosine > 0:
        low = config.min_cosine
        trust = trust * ((cosine - low) / max(_FRONTAL - low, 1e-3)).clamp(0, 1)
    return TrustedMap(torch.stack([depth / voxel, slope, trust], -1).contiguous(), camera)


def _camera(old: Camera, columns: int, rows: int, factor: int) -> Camera:
    return Camera(
        columns,
        rows,
        old.fx / factor,
        old.fy / factor,
        old.cx / factor,
        old.cy / factor,
        old.camera_from_world,
    )


def _mean(image: Tensor, factor: int) -> Tensor:
    return avg_pool2d(image[None, None], factor)[0, 0]


def _offset(weight: Tensor, factor: int, axis: int) -> Tensor:
    """How far the weights' centre lies from the block's, times their mean [block]."""
    place = torch.arange(weight.shape[axis], device=weight.device) % factor
    place = (place + 0.5) / factor - 0.5
    return _mean(weight * (place if axis else place[:, None]), factor)


def _slope(depth: Tensor, known: Tensor, axis: int) -> Tensor:
    """Depth per pixel along an axis, from the known neighbours; 0 if there are none."""
    n = depth.shape[axis]
    index = torch.arange(n, device=depth.device)
    before, after = (index - 1).clamp(min=0), (index + 1).clamp(max=n - 1)

    def side(at: Tensor) -> tuple[Tensor, Tensor]:
        there = known.index_select(axis, at)
        return torch.where(there, depth.index_select(axis, at), depth), there & known

    (low, has_low), (high, has_high) = side(before), side(after)
    steps = (has_low.float() + has_high.float()).clamp(min=1)
    return torch.where(known, (high - low) / steps, 0)


def _slopes(depth: Tensor, across: Tensor, down: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Distance to the surface per gap in depth, and cosine between ray and normal.

    With F(P) = depth(pixel of P) - P.z, the distance is F / |grad F| to first order.
    """
    device = depth.device
    x = (torch.arange(camera.width, device=device) + 0.5 - camera.cx) / camera.fx
    y = ((torch.arange(camera.height, device=device) + 0.5 - camera.cy) / camera.fy)[:, None]
    safe = depth.clamp(min=1e-12)
    gx, gy = across * camera.fx / safe, down * camera.fy / safe
    gz = 1 + gx * x + gy * y
    slope = 1 / (gx**2 + gy**2 + gz**2).clamp(min=1e-12).sqrt()
    return slope.clamp(max=1), slope / (1 + x**2 + y**2).sqrt()
