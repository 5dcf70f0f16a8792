# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos and a model as small pictures of one size, and how alike they are.

Each photo is cut to a square around its object. Colours are sRGB, multiplied by coverage.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from photocast.data import Camera, Mesh, Photo
from photocast.geometry.pose_clip import clip_from_object
from photocast.geometry.pose_steps import Cameras
from photocast.geometry.projection import transform_points
from photocast.geometry.srgb import srgb_from_linear
from photocast.nets.photo_input import Square, cut_square, object_square
from photocast.ops.antialias import EdgeTopology, antialias, edge_topology
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize

__all__ = ["CUT", "Model", "cameras_at", "cut", "likeness", "model_of", "overlap", "targets"]

CUT = 256
"""Side of the squares [px]."""
_GAINS = (0.75, 1.33)
_PLAIN = 0.05
_AT_ONCE = 2_000_000  # vertices times views


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A coloured mesh on its device, relative to its middle."""

    points: Float32[Tensor, "vert 3"]
    faces: Int32[Tensor, "face 3"]
    colors: Float32[Tensor, "vert 3"]
    """sRGB."""
    topology: EdgeTopology
    reach: float
    """Largest distance of a vertex from the middle."""

    def drawn(
        self, cameras: Cameras, size: int, *, smooth: bool = True
    ) -> Float32[Tensor, "view h w 4"]:
        """Colours times coverage, and coverage; gradient reaches the cameras if smooth."""
        clip = transform_points(clip_from_object(cameras, (size, size), self.reach), self.points)
        values = torch.cat([self.colors, torch.ones_like(self.colors[:, :1])], 1)
        step, parts = max(1, _AT_ONCE // len(self.points)), []
        for part in clip.split(step):
            part = part.contiguous()
            raster = rasterize(part, self.faces, (size, size), slopes=False)
            picture = interpolate(values, raster, self.faces)
            if smooth:
                picture = antialias(picture, raster, part, self.faces, self.topology)
            parts.append(picture)
        return torch.cat(parts)


def model_of(mesh: Mesh, middle: NDArray[np.float64], device: torch.device) -> Model:
    """Upload a mesh with colours at its vertices."""
    assert mesh.colors is not None
    points = torch.from_numpy((mesh.vertices - middle).astype(np.float32)).to(device)
    faces = torch.from_numpy(mesh.faces).to(device)
    colors = srgb_from_linear(torch.from_numpy(mesh.colors).clamp(0, 1)).to(device)
    reach = float(points.norm(dim=1).max())
    return Model(points, faces, colors, edge_topology(faces), reach)


def cut(photo: Photo, size: int = CUT) -> tuple[Photo, Square]:
    """The object's square of a photo, so many pixels wide, with its camera."""
    assert photo.mask is not None
    square = object_square(photo.mask)
    assert square is not None
    rgba = cut_square(np.dstack([photo.rgb, photo.mask]), square)
    small = cv2.resize(rgba, (size, size), interpolation=cv2.INTER_AREA)
    whole = photo.camera
    camera = replace(
        whole,
        width=square.side,
        height=square.side,
        cx=whole.cx - square.left,
        cy=whole.cy - square.top,
    ).resized(size, size)
    rgb, mask = np.ascontiguousarray(small[..., :3]), np.ascontiguousarray(small[..., 3])
    return Photo(photo.name, camera, rgb, mask), square


def cameras_at(
    cameras: Sequence[Camera], size: int, radius: float, device: torch.device
) -> Cameras:
    """Cameras of squares at another size; ``middle`` is the place of the world's origin."""
    small = [camera.resized(size, size) for camera in cameras]
    poses = torch.tensor(np.stack([c.camera_from_world for c in small]), dtype=torch.float32)
    lens = torch.tensor([[c.fx, c.fy, c.cx, c.cy] for c in small], dtype=torch.float32)
    poses, lens = poses.to(device), lens.to(device)
    return Cameras(poses[:, :3, :3], poses[:, :3, 3], lens, radius)


def targets(
    cuts: Sequence[Photo], size: int, device: torch.device
) -> Float32[Tensor, "view h w 4"]:
    """The squares as :meth:`Model.drawn` draws the model."""
    stack = np.stack([np.dstack([photo.rgb, photo.mask]) for photo in cuts])  # type: ignore[list-item]
    rgba = torch.from_numpy(stack).to(device).float() / 255
    rgba[..., :3] *= rgba[..., 3:]
    return F.interpolate(rgba.permute(0, 3, 1, 2), size=(size, size), mode="area").permute(
        0, 2, 3, 1
    )


def overlap(
    drawn: Float[Tensor, "*view h w 4"], wanted: Float[Tensor, "*view h w 4"]
) -> Float[Tensor, "*view"]:
    """Of the outlines: intersection over union."""
    ours, theirs = drawn[..., 3], wanted[..., 3]
    both = torch.minimum(ours, theirs).sum((-2, -1))
    return both / torch.maximum(ours, theirs).sum((-2, -1)).clamp(min=1e-6)


def likeness(
    drawn: Float[Tensor, "*view h w 4"], wanted: Float[Tensor, "*view h w 4"]
) -> Float[Tensor, "*view"]:
    """Of the colours where both show the object: 1 - squared error / variance of the photo.

    The photo may be lighter or darker than the picture by a factor per channel. A photo that is
    nearly plain counts as if its colours differed by 0.05. At most 1; where nothing overlaps, 0.
    """
    inside = ((drawn[..., 3] > 0.9) & (wanted[..., 3] > 0.9)).float()[..., None]
    count = inside.sum((-3, -2)).clamp(min=1)
    ours, theirs = drawn[..., :3] * inside, wanted[..., :3] * inside
    gain = (ours * theirs).sum((-3, -2)) / ours.square().sum((-3, -2)).clamp(min=1e-6)
    gain = gain.clamp(*_GAINS)[..., None, None, :]
    error = (theirs - gain * ours).square().sum((-3, -2)) / count
    mean = (theirs.sum((-3, -2)) / count)[..., None, None, :]
    spread = ((theirs - mean) * inside).square().sum((-3, -2)) / count
    alike = 1 - error.mean(-1) / spread.mean(-1).clamp(min=_PLAIN**2)
    return torch.where(inside.sum((-3, -2, -1)) > 0, alike, torch.zeros_like(alike))
