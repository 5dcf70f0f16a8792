# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Move vertices by the difference between rasterised views and photos.

Positions are optimised through (I + stiffness L)^-1, so that each gradient moves a neighbourhood
and triangles stay well shaped (Nicolet et al. 2021), with one step size for all coordinates, in
units of the edge length. Colours ride on the vertices meanwhile; they are thrown away afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from photocast.config import RefineConfig
from photocast.data import Mesh, Photo
from photocast.geometry.diffusion import Diffusion
from photocast.geometry.projection import clip_from_camera, transform_points
from photocast.ops.antialias import antialias, edge_topology
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize
from photocast.progress import Progress

__all__ = ["refine"]

_COLOR_RATE = 0.02
_LONGEST = 1024  # photos are compared at no more than this size [px]


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """One photo, cut to where the object may appear."""

    clip_from_world: Tensor
    """(4, 4), of the cut."""
    rgba: Tensor
    """(h, w, 4), sRGB premultiplied by coverage."""


def refine(
    mesh: Mesh,
    photos: Sequence[Photo],
    config: RefineConfig,
    *,
    device: torch.device,
    progress: Progress,
) -> Mesh:
    """Fit a mesh to the photos, keeping its triangles.

    Args:
        mesh: Closed, welded.
        photos: With masks.
        config: Steps and stiffness.
        device: Where to compute.
        progress: Told after each step; gets ``psnr`` over the cut photos [dB].

    Returns:
        The mesh with moved vertices and with vertex colours; the same mesh if nothing is to be
        done or no photo shows it.
    """
    faces = torch.from_numpy(mesh.faces).to(device)
    vertices = torch.from_numpy(mesh.vertices).to(device)
    center, scale = _normalization(vertices, faces)
    targets = [target for photo in photos if (target := _target(photo, mesh, device)) is not None]
    if not targets or not config.epochs:
        return mesh
    order = np.random.default_rng(config.seed)
    batches = [
        order.permutation(len(targets))[i : i + config.batch]
        for _ in range(config.epochs)
        for i in range(0, len(targets), config.batch)
    ]
    fit = _Fit((vertices - center) / scale, faces, config)
    for done, batch in enumerate(batches, 1):
        cool = 1.0 - 0.9 * max(0.0, 2 * done / len(batches) - 1)  # from half way down to a tenth
        square = sum(
            fit.add_gradient(targets[i], center, scale) / len(batch) for i in batch.tolist()
        )
        fit.step(cool)
        progress("refine", done, len(batches), psnr=float(-10 * np.log10(max(square, 1e-9))))
    moved = fit.positions.detach() * scale + center
    return replace(
        mesh,
        vertices=moved.cpu().numpy().astype(np.float32),
        colors=fit.colors.detach().clamp(0, 1).cpu().numpy().astype(np.float32) ** 2.2,
    )


class _Fit:
    """Positions in edge lengths and colours, with their optimisers."""

    def __init__(self, start: Tensor, faces: Tensor, config: RefineConfig) -> None:
        self.faces, self.topology, self.config = faces, edge_topology(faces), config
        self.diffusion = Diffusion(faces, len(start), config.stiffness)
        self.start_roughness = self.diffusion.roughness(start)
        self.positions = start.clone().requires_grad_()
        self.colors = torch.full_like(start, 0.5).requires_grad_()
        self.seen = torch.zeros(len(start), 1, device=start.device)
        self.momentum = torch.zeros_like(start)
        self.square = torch.zeros((), device=start.device)
        self.color_optimizer = torch.optim.Adam([self.colors], lr=_COLOR_RATE, betas=(0.9, 0.95))
        self.steps = 0

    def add_gradient(self, target: _Target, center: Tensor, scale: Tensor) -> float:
        """Draw one view, add its gradient; returns the mean squared colour error."""
        height, width = target.rgba.shape[:2]
        clip = transform_points(
            target.clip_from_world[None], self.positions * scale + center
        ).contiguous()
        raster = rasterize(clip, self.faces, (height, width), slopes=False)
        colors = interpolate(self.colors, raster, self.faces)
        covered = (raster.face >= 0)[..., None].float()
        drawn = antialias(
            torch.cat([colors * covered, covered], -1), raster, clip, self.faces, self.topology
        )
        difference = drawn[0] - target.rgba
        loss = (difference.square() + 1e-4).sqrt().sum() / self.config.batch
        loss.backward()
        return float(difference[..., :3].detach().square().mean())

    @torch.no_grad()
    def step(self, cool: float) -> None:
        """One optimiser step on what the views have added up."""
        self.steps += 1
        gradient, self.positions.grad = self.positions.grad, None
        assert gradient is not None
        rough = self.diffusion.roughness(self.positions)
        gradient = gradient + self.config.smooth * rough
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        gradient = self.diffusion.solve(gradient)
        self.momentum.mul_(0.9).add_(gradient, alpha=0.1)
        # one scale for all vertices: a vertex that nothing pulls must not start to tremble
        size = torch.quantile(gradient.norm(dim=1)[:: max(1, len(gradient) // 65536)], 0.98)
        self.square.mul_(0.99).add_(size.square(), alpha=0.01)
        scale = (self.square / (1 - 0.99**self.steps)).sqrt().clamp(min=1e-12)
        move = self.momentum / (1 - 0.9**self.steps) / scale * (self.config.rate * cool)
        self.positions -= move.clamp(-1.0, 1.0)
        for group in self.color_optimizer.param_groups:
            group["lr"] = _COLOR_RATE * cool
        self.color_optimizer.step()
        self.color_optimizer.zero_grad()


def _normalization(vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Centre of the mesh and its median edge length."""
    edges = vertices[faces] - vertices[faces.roll(-1, 1)]
    return vertices.mean(0), edges.norm(dim=-1).median()


def _target(photo: Photo, mesh: Mesh, device: torch.device) -> _Target | None:
    """Cut a photo to the mesh and its mask, or None if it shows nothing."""
    camera = photo.camera
    mask = photo.mask if photo.mask is not None else np.full(photo.rgb.shape[:2], 255, np.uint8)
    pixels, depth = camera.project(mesh.vertices)
    if not (depth > 0).all():
        return None
    rows, columns = np.nonzero(mask)
    low = np.floor(pixels.min(axis=0)) - 4
    high = np.ceil(pixels.max(axis=0)) + 4
    if len(rows):
        low = np.minimum(low, [columns.min(), rows.min()])
        high = np.maximum(high, [columns.max() + 1, rows.max() + 1])
    x0, y0 = np.maximum(low, 0).astype(int)
    x1, y1 = np.minimum(high, [camera.width, camera.height]).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    alpha = mask[y0:y1, x0:x1, None].astype(np.float32) / 255
    rgba = np.concatenate([photo.rgb[y0:y1, x0:x1] / 255 * alpha, alpha], axis=2)
    rgba = rgba.astype(np.float32)
    cut = replace(camera, width=x1 - x0, height=y1 - y0, cx=camera.cx - x0, cy=camera.cy - y0)
    factor = min(1.0, _LONGEST / max(camera.width, camera.height))
    if factor < 1:
        size = (max(2, round(cut.width * factor)), max(2, round(cut.height * factor)))
        rgba = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA)
        cut = cut.resized(*size)
    projection = clip_from_camera(
        size=(cut.height, cut.width),
        focal=(cut.fx, cut.fy),
        principal=(cut.cx, cut.cy),
        near=float(depth.min()) * 0.5,
        far=float(depth.max()) * 2,
    )
    pose = torch.from_numpy(cut.camera_from_world.copy())
    return _Target(
        (projection @ pose).float().to(device), torch.from_numpy(rgba).contiguous().to(device)
    )
