# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What photos and a mesh offer for comparison while cameras are refined.

Two kinds of samples. *Surface*: vertices that a photo sees well inside its mask; their local
contrast must agree between photos. *Outline*: places of the mesh on its rim in a photo; they must
lie on the edge of the mask.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Mesh, Photo
from photocast.geometry.pose_clip import clip_from_object
from photocast.geometry.pose_steps import Cameras
from photocast.geometry.projection import transform_points
from photocast.geometry.vertex_normals import vertex_normals
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize
from photocast.threads import cpu_threads

__all__ = ["Pictures", "Samples", "cameras_of", "gather", "look_up", "moved_edge", "pictures"]

_CHUNK = 8  # views drawn at once
_EDGE_BLUR = 0.7  # px: smooths the steps of a distance counted in whole pixels
_FAR = 24.0  # px: edges further away say nothing
_CONTRAST = 0.02  # sRGB: contrast below this is noise
_LEAST_COSINE = 0.3
_INSIDE = 3.0  # px between a surface sample and the edge of the mask


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Reduced photos in one stack; smaller ones are padded on the right and below."""

    contrast: tuple[Tensor, ...]
    """Blurred to finer: local contrast and its slopes, (view, 3, h, w)."""
    edge: Tensor
    """Distance to the mask's edge, positive outside, and its slopes [px], (view, 3, h, w)."""
    scale: Tensor
    """Pixels of the photo per pixel here, (view,)."""
    width: Tensor
    """Of each view without padding [px], (view,)."""
    height: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Places of the mesh, relative to its middle."""

    surface: Tensor
    """(n, 3), the same for all views."""
    weight: Tensor
    """(view, n): trust, 0 where a view does not see it."""
    rim: Tensor
    """(view, m, 3)."""
    rim_weight: Tensor
    """(view, m): 1, or 0 for filling."""
    rim_offset: Tensor
    """(view, m): distance to the mesh's own outline when it was drawn [px]."""
    middle: Tensor
    """(3,): the mesh's middle in the world."""
    radius: float
    """Of the mesh about it [world unit]."""

    def half(self, points: Tensor) -> Tensor:
        """Which of two interleaved sets of blocks of space a point belongs to, bool."""
        cell = torch.floor(points / (0.25 * self.radius)).long().sum(-1)
        return cell % 2 == 0


def pictures(
    photos: Sequence[Photo], longest: int, blurs: Sequence[float], device: torch.device
) -> Pictures:
    """Reduce photos and find their contrasts and edges.

    Args:
        photos: With masks.
        longest: Longest side at most [px].
        blurs: Standard deviations, each finer than the one before [px].
        device: Where to put them.
    """
    with ThreadPoolExecutor(cpu_threads()) as pool:  # OpenCV lets go of the interpreter
        small = list(pool.map(lambda photo: _reduced(photo, longest, blurs), photos))
    height, width = (max(layers.shape[axis] for layers in small) for axis in (1, 2))
    stack = np.zeros((len(small), len(blurs) + 1, height, width), np.float32)
    stack[:, -1] = _FAR
    for index, layers in enumerate(small):
        stack[index, :, : layers.shape[1], : layers.shape[2]] = layers
    full = _with_slopes(torch.from_numpy(stack).to(device))
    sizes = zip(photos, small, strict=True)
    return Pictures(
        contrast=tuple(full[:, layer] for layer in range(len(blurs))),
        edge=full[:, -1],
        scale=torch.tensor([p.rgb.shape[1] / s.shape[2] for p, s in sizes], device=device),
        width=torch.tensor([layers.shape[2] for layers in small], device=device),
        height=torch.tensor([layers.shape[1] for layers in small], device=device),
    )


def _reduced(photo: Photo, longest: int, blurs: Sequence[float]) -> NDArray[np.float32]:
    """Local contrast for each blur, and distance to the mask's edge, (layer, h, w)."""
    assert photo.mask is not None
    gray: NDArray[np.float32] = cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gray, mask = gray / np.float32(255), photo.mask.astype(np.float32) / np.float32(255)
    height, width = gray.shape
    factor = min(1.0, longest / max(height, width))
    if factor < 1:
        size = (max(2, round(width * factor)), max(2, round(height * factor)))
        gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.float32)
        mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.float32)
    distance = cv2.GaussianBlur(_signed_distance(mask), None, _EDGE_BLUR)
    return np.stack([*(_contrast(gray, mask, blur) for blur in blurs), distance])


def _signed_distance(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance [px] to the half-covered level, positive outside, cut at ``_FAR``."""
    inside = (mask > 0.5).astype(np.uint8)
    if inside.all() or not inside.any():
        return np.full(mask.shape, -_FAR if inside.all() else _FAR, np.float32)
    outer = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    inner = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    distance = np.where(inside > 0, 0.5 - inner, outer - 0.5)
    return np.asarray(np.clip(distance, -_FAR, _FAR), np.float32)


def moved_edge(mask: NDArray[np.uint8] | None, outwards: float) -> NDArray[np.uint8] | None:
    """A mask whose edge lies ``outwards`` [px] from where it was, (h, w)."""
    if mask is None or not outwards:
        return mask
    distance = _signed_distance(mask.astype(np.float32) / np.float32(255)) - outwards
    return np.asarray((255 * np.clip(0.5 - distance, 0, 1)).round(), np.uint8)


def _contrast(
    gray: NDArray[np.float32], mask: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """A band of the photo over its own local strength: exposure and shading drop out."""
    cover = (mask > 0.9).astype(np.float32)

    def mean(image: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
        # of the object alone: no background leaks in over its edge
        total = cv2.GaussianBlur(image * cover, None, reach)
        return np.asarray(total / np.maximum(cv2.GaussianBlur(cover, None, reach), 1e-3))

    band = mean(gray, sigma) - mean(gray, 3 * sigma)
    strength = mean(band * band, 3 * sigma)
    return np.asarray(band * cover / np.sqrt(strength + _CONTRAST**2), np.float32)


def _with_slopes(image: Tensor) -> Tensor:
    """Values and slopes along x and y, (view, layer, 3, h, w)."""
    by_x, by_y = torch.zeros_like(image), torch.zeros_like(image)
    by_x[..., 1:-1] = (image[..., 2:] - image[..., :-2]) / 2
    by_y[..., 1:-1, :] = (image[..., 2:, :] - image[..., :-2, :]) / 2
    return torch.stack([image, by_x, by_y], 2)


def look_up(stack: Tensor, pixels: Tensor) -> Tensor:
    """Bilinear values (view, n, c) of a stack (view, c, h, w) at continuous pixels (view, n, 2)."""
    height, width = stack.shape[2:]
    size = torch.tensor([width, height], dtype=pixels.dtype, device=pixels.device)
    at = (2 * pixels / size - 1)[:, None]
    found = torch.nn.functional.grid_sample(
        stack, at, mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[:, :, 0].transpose(1, 2)


def cameras_of(photos: Sequence[Photo], shown: Pictures, samples_of: Mesh) -> Cameras:
    """The photos' cameras for the reduced size, seen from the mesh's middle."""
    middle, radius = _middle(samples_of)
    rotation = np.stack([photo.camera.camera_from_world[:3, :3] for photo in photos])
    shift = np.stack([photo.camera.camera_from_world[:3, 3] for photo in photos])
    sizes = zip(shown.width.tolist(), shown.height.tolist(), strict=True)
    small = [p.camera.resized(w, h) for p, (w, h) in zip(photos, sizes, strict=True)]
    device = shown.edge.device
    return Cameras(
        torch.tensor(rotation, dtype=torch.float32, device=device),
        torch.tensor(rotation @ middle + shift, dtype=torch.float32, device=device),
        torch.tensor([[c.fx, c.fy, c.cx, c.cy] for c in small], device=device),
        radius,
    )


def _middle(mesh: Mesh) -> tuple[NDArray[np.float64], float]:
    middle = mesh.vertices.astype(np.float64).mean(axis=0)
    away = np.linalg.norm(mesh.vertices - middle, axis=1)
    return middle, float(np.sqrt((away**2).mean()))


def gather(mesh: Mesh, cameras: Cameras, shown: Pictures, most: tuple[int, int]) -> Samples:
    """Draw the mesh in every view and choose places to compare.

    Args:
        mesh: Closed; relative to whose middle ``cameras`` is.
        cameras: Of the reduced photos.
        shown: The reduced photos.
        most: Surface samples of all views, and outline samples per view, at most.
    """
    middle, radius = _middle(mesh)
    device = shown.edge.device
    points = torch.tensor(mesh.vertices - middle, dtype=torch.float32, device=device)
    normals = torch.from_numpy(vertex_normals(mesh.vertices, mesh.faces)).to(device)
    faces = torch.from_numpy(mesh.faces).to(device)
    step = max(1, -(-len(points) // most[0]))
    chosen = slice(None, None, step)
    weights, rims = [], []
    for part, drawn in _drawn(points, faces, cameras, shown):
        edge = shown.edge[part, :1]
        weights.append(_trust(drawn, points[chosen], normals[chosen], _some(cameras, part), edge))
        rims += [_rim(position, most[1]) for position in drawn]
    count = max((len(rim) for rim, _ in rims), default=0)
    blank = points.new_zeros
    return Samples(
        surface=points[chosen],
        weight=torch.cat(weights),
        rim=torch.stack([torch.cat([r, blank(count - len(r), 3)]) for r, _ in rims]),
        rim_weight=torch.stack(
            [torch.cat([blank(len(r)) + 1, blank(count - len(r))]) for r, _ in rims]
        ),
        rim_offset=torch.stack([torch.cat([o, blank(count - len(o))]) for _, o in rims]),
        middle=torch.from_numpy(middle).to(device),
        radius=radius,
    )


def _some(cameras: Cameras, part: slice) -> Cameras:
    return replace(
        cameras,
        rotation=cameras.rotation[part],
        middle=cameras.middle[part],
        intrinsics=cameras.intrinsics[part],
    )


def _drawn(
    points: Tensor, faces: Tensor, cameras: Cameras, shown: Pictures
) -> Iterator[tuple[slice, Tensor]]:
    """A few views at a time: for each pixel the place seen, and 1 where there is one."""
    height, width = shown.edge.shape[2:]
    attributes = torch.cat([points, torch.ones_like(points[:, :1])], 1)
    clips = clip_from_object(cameras, (height, width), float(points.norm(dim=1).max()))
    for first in range(0, len(clips), _CHUNK):
        part = slice(first, min(first + _CHUNK, len(clips)))
        clip = transform_points(clips[part], points).contiguous()
        raster = rasterize(clip, faces, (height, width))
        yield part, interpolate(attributes, raster, faces)


def _trust(
    drawn: Tensor, points: Tensor, normals: Tensor, cameras: Cameras, edge: Tensor
) -> Tensor:
    """How well views see vertices: the cosine, 0 where hidden, too flat or near the edge."""
    turned = points @ cameras.rotation.mT
    local = turned + cameras.middle[:, None]
    facing = -torch.nn.functional.normalize(local, dim=-1)
    cosine = ((normals @ cameras.rotation.mT) * facing).sum(-1)
    focal, principal = cameras.intrinsics[:, None, :2], cameras.intrinsics[:, None, 2:]
    pixels = local[..., :2] / local[..., 2:].clamp(min=1e-9) * focal + principal
    height, width = drawn.shape[1:3]
    column = pixels[..., 0].floor().long()
    row = pixels[..., 1].floor().long()
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    seen = drawn.flatten(1, 2).gather(1, index[..., None].expand(-1, -1, 4))
    # the surface that the pixel shows must be the vertex's own, give or take a slanted pixel
    pixel = local[..., 2] / cameras.intrinsics[:, :1]
    same = (seen[..., :3] - points).norm(dim=-1) < 3 * pixel / cosine.clamp(min=_LEAST_COSINE)
    deep = look_up(edge, pixels)[..., 0] < -_INSIDE
    fine = inside & (seen[..., 3] > 0.5) & same & deep & (cosine > _LEAST_COSINE)
    return torch.where(fine, cosine, torch.zeros_like(cosine))


def _rim(position: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Places at covered pixels beside uncovered ones, and their distance to the outline [px]."""
    covered = (position[..., 3] > 0.5).float()[None, None]
    across = torch.nn.functional.pad(covered, (1, 1, 1, 1), mode="replicate")
    bare = torch.minimum(
        torch.minimum(across[..., 1:-1, 2:], across[..., 1:-1, :-2]),
        torch.minimum(across[..., 2:, 1:-1], across[..., :-2, 1:-1]),
    )
    rim = ((covered > 0.5) & (bare < 0.5))[0, 0]
    index = rim.flatten().nonzero()[:, 0]
    index = index[:: max(1, -(-len(index) // most))]
    distance = _signed_distance(covered[0, 0].cpu().numpy())
    offset = torch.from_numpy(cv2.GaussianBlur(distance, None, _EDGE_BLUR)).to(position.device)
    return position[..., :3].flatten(0, 1)[index], offset.flatten()[index]
