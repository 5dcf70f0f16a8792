# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Volume rendering of a signed-distance grid, and its fused training step.

A grid holds (r, g, b, signed distance) at ``nx ny nz`` vertices; vertex (i, j, k) lies at the point
(i, j, k) of the grid frame, distances are in voxels and positive outside. Opacity follows NeuS
(Wang et al. 2021, section 3.1). Between the two neighbouring samples of a segment the colour is
their mean. Only blocks marked occupied are sampled.
"""

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from jaxtyping import Bool, Float, Float32, Int32, Int64, UInt8
from torch import Tensor

from photocast.kernels import volume as kernels
from photocast.kernels import volume_step
from photocast.kernels.volume_grid import BLOCK, Grid
from photocast.kernels.volume_shine import SHINE
from photocast.ops._launch import as_array, launch_parts, part_count, split

__all__ = [
    "Adam",
    "LossTerms",
    "PixelBank",
    "VolumeGrid",
    "render_volume",
    "render_volume_twin",
    "upsample",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class LossTerms:
    """How a rendered ray is compared with its pixel."""

    color_scale: float = 0.1
    """Charbonnier scale [sRGB, 0..1]: smaller residuals count as least squares."""
    alpha_weight: float = 1.0
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam:
    """Step sizes and smoothness weights of one training step."""

    rate_color: float = 0.04
    rate_distance: float = 0.1
    """[voxel]."""
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 3e-4
    """Gradients well below this move nothing, or noise would grow where no ray arrives."""
    eikonal: float = 0.01
    smooth: float = 0.01
    smooth_plain: float | None = None
    """Where colour does not change along the surface; None: as elsewhere."""
    plain: float = 0.01
    """Change of colour that lies between both [sRGB / voxel]."""
    anchor: float = 0.0
    """Weight of the measured distances, where the grid has them."""
    smooth_color: float = 0.0
    rate_shine: float = 0.003
    """Optimiser step for view-dependent colour [sRGB, 0..1]."""
    matte: float = 0.1
    """Pull on view-dependent colour towards none."""
    band: float = 3.0
    """Distances are kept within this many voxels of the surface."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelBank:
    """Every pixel of every photo on one device, with the rays that belong to them."""

    rgba: UInt8[Tensor, "pixel 4"]
    first: Int64[Tensor, " view"]
    width: Int32[Tensor, " view"]
    origin: Float32[Tensor, "view 3"]
    """Optical centres, grid frame [voxel]."""
    direction: Float32[Tensor, "view 3 3"]
    """Grid-frame direction of continuous pixel (x, y) = matrix @ (x, y, 1)."""

    def struct(self) -> Any:
        """The kernels' view of the same memory."""
        s = kernels.Pixels()
        s.rgba = as_array(self.rgba, dtype=wp.vec4ub)
        s.first = as_array(self.first)
        s.width = as_array(self.width)
        s.origin = as_array(self.origin, dtype=wp.vec3)
        s.direction = as_array(self.direction, dtype=wp.mat33)
        return s


class VolumeGrid:
    """A trainable signed-distance and colour grid with its optimiser state.

    Memory: 16 bytes per vertex times (3 + number of parallel parts).
    """

    def __init__(
        self,
        values: Float32[Tensor, "nx ny nz 4"],
        *,
        measured: Float32[Tensor, "nx ny nz 2"] | None = None,
        step: float = 0.7,
        shiny: bool = False,
        soft: bool = False,
    ) -> None:
        """Take ownership of ``values``.

        Args:
            values: (r, g, b, signed distance).
            measured: Distances known from depth [voxel], and how firmly each holds, 0..1.
            step: Distance between samples on a ray [voxel].
            shiny: Let colours depend on the view, so that highlights leave the shape alone.
            soft: The fourth number is minus the logarithm of a density [1/voxel], no distance.
        """
        if values.ndim != 4 or values.shape[-1] != 4 or min(values.shape[:3]) < 2:
            raise ValueError(f"values has shape {tuple(values.shape)}; (nx, ny, nz, 4) is needed.")
        self.values = values.contiguous()
        none = torch.zeros(0, 2, device=values.device)
        self.measured = none if measured is None else measured.view(-1, 2).contiguous()
        self.step, self.soft = step, soft
        device = values.device
        count = values[..., 0].numel()
        self.size = (int(values.shape[0]), int(values.shape[1]), int(values.shape[2]))
        self.blocks = tuple(-(-n // BLOCK) for n in self.size)
        self.occupied = torch.ones(self.blocks, dtype=torch.uint8, device=device)
        self.active = torch.arange(count, dtype=torch.int32, device=device)
        self.momentum = torch.zeros(count, 4, device=device)
        self.square = torch.zeros(count, 4, device=device)
        self.grads = torch.zeros(part_count(device), count, 4, device=device)
        self.iteration = 0
        coarse = [-(-(n - 1) // SHINE) + 1 for n in self.size] if shiny else [0, 0, 0]
        self._coarse = (coarse[0], coarse[1], coarse[2])
        number = coarse[0] * coarse[1] * coarse[2]
        self.shine = torch.zeros(number, 8, 3, device=device)
        self._shine_grads = torch.zeros(part_count(device), max(number, 1), 8, 3, device=device)
        self._shine_moments = torch.zeros(2, number, 8, 3, device=device)

    @property
    def device(self) -> torch.device:
        """Where the grid lives."""
        return self.values.device

    def struct(self, sharpness: float) -> Any:
        """The kernels' view of the same memory."""
        s = Grid()
        s.values = as_array(self.values.view(-1, 4), dtype=wp.vec4)
        s.occupied = as_array(self.occupied.view(-1))
        s.nx, s.ny, s.nz = self.size
        s.bx, s.by, s.bz = self.blocks
        s.sharpness, s.step, s.soft = sharpness, self.step, int(self.soft)
        s.shine = as_array(self.shine, dtype=wp.vec3)
        s.sx, s.sy, s.sz = self._coarse
        return s

    def focus(self, band: float) -> None:
        """Find the vertices within ``band`` voxels of the surface, and the blocks to sample.

        A vertex is active if it or a neighbour lies inside the band; a block is occupied if a cell
        it contains touches an active vertex.
        """
        self.focus_on(self.values[..., 3].abs() < band)

    def focus_on(self, chosen: Bool[Tensor, "nx ny nz"]) -> None:
        """Learn at some vertices and their neighbours, and sample the blocks around them."""
        near = _widened(chosen)
        self.active = near.view(-1).nonzero().squeeze(1).to(torch.int32)
        # a block's cells reach one vertex past its end
        pad = [b * BLOCK + 1 - n for b, n in zip(self.blocks, self.size, strict=True)]
        blocks = torch.nn.functional.pad(near, (0, pad[2], 0, pad[1], 0, pad[0]))
        for axis, count in enumerate(self.blocks):
            own = blocks.narrow(axis, 0, count * BLOCK).unflatten(axis, (count, BLOCK))
            ends = torch.arange(BLOCK, count * BLOCK + 1, BLOCK, device=self.device)
            blocks = own.any(axis + 1) | blocks.index_select(axis, ends)
        self.occupied = blocks.to(torch.uint8).contiguous()

    def train(
        self,
        pixels: PixelBank,
        chosen: Int64[Tensor, " ray"],
        *,
        sharpness: float,
        loss: LossTerms,
        adam: Adam,
        seed: int,
    ) -> Float32[Tensor, " ray"]:
        """Render the chosen pixels, compare, and take one optimiser step.

        Returns:
            Squared colour error per ray, before the step.
        """
        device = self.device
        error = torch.empty(len(chosen), device=device)
        grid, bank = self.struct(sharpness), pixels.struct()
        terms = kernels.Loss()
        terms.color_scale, terms.alpha_weight = loss.color_scale, loss.alpha_weight
        terms.background = wp.vec3(*loss.background)
        parts = [
            (
                stop - start,
                [grid, bank, terms, chosen, start, seed, (grad, wp.vec4), (shine, wp.vec3), error],
            )
            for (start, stop), grad, shine in zip(
                split(len(chosen), len(self.grads)), self.grads, self._shine_grads, strict=False
            )
        ]
        launch_parts(kernels.train_rays, parts, device)
        if self._coarse[0]:
            self._update_shine(adam)
        self._update(grid, adam, len(chosen))
        return error

    def arriving(
        self, pixels: PixelBank, chosen: Int64[Tensor, " ray"]
    ) -> Float32[Tensor, "nx ny nz"]:
        """The largest share of any chosen ray that still arrives at each vertex."""
        count = self.values[..., 3].numel()
        parts = split(len(chosen), part_count(self.device))
        seen = torch.zeros(max(len(parts), 1), count, device=self.device)
        grid, bank = self.struct(1.0), pixels.struct()
        launch_parts(
            kernels.mark_seen,
            [
                (stop - start, [grid, bank, chosen, start, own])
                for (start, stop), own in zip(parts, seen, strict=False)
            ],
            self.device,
        )
        return seen.amax(0).view(self.size)

    def _update_shine(self, adam: Adam) -> None:
        """Adam, and a pull towards no dependence on the view."""
        grad = self._shine_grads.sum(0) if len(self._shine_grads) > 1 else self._shine_grads[0]
        count = self.iteration + 1
        first, second = self._shine_moments
        first.lerp_(grad, 1 - adam.beta1)
        second.lerp_(grad.square(), 1 - adam.beta2)
        size = (second / (1 - adam.beta2**count)).sqrt_().add_(adam.epsilon)
        rate = adam.rate_shine / (1 - adam.beta1**count)
        self.shine.addcdiv_(first, size, value=-rate).mul_(1 - adam.matte * adam.rate_shine)
        self._shine_grads.zero_()

    def _update(self, grid: Any, adam: Adam, rays: int) -> None:
        self.iteration += 1
        step = volume_step.Step()
        step.rate_color, step.rate_distance = adam.rate_color, adam.rate_distance
        step.beta1, step.beta2 = adam.beta1, adam.beta2
        step.correct1 = 1.0 / (1.0 - adam.beta1**self.iteration)
        step.correct2 = 1.0 / (1.0 - adam.beta2**self.iteration)
        step.epsilon = adam.epsilon
        step.eikonal, step.smooth = adam.eikonal, adam.smooth
        step.smooth_plain = adam.smooth if adam.smooth_plain is None else adam.smooth_plain
        step.plain = adam.plain
        step.anchor = adam.anchor
        step.smooth_color, step.band = adam.smooth_color, adam.band
        prior = torch.empty(len(self.active), 4, device=self.device)
        measured = (self.measured, wp.vec2)
        ranges = split(len(self.active), part_count(self.device))
        launch_parts(
            volume_step.regularize,
            [
                (
                    b - a,
                    [grid, self.active, a, step, measured, (self.grads, wp.vec4), (prior, wp.vec4)],
                )
                for a, b in ranges
            ],
            self.device,
        )
        tail = [
            (prior, wp.vec4),
            (self.grads, wp.vec4),
            (self.momentum, wp.vec4),
            (self.square, wp.vec4),
        ]
        launch_parts(
            volume_step.update,
            [(b - a, [grid, self.active, a, step, *tail]) for a, b in ranges],
            self.device,
        )


def _widened(near: Bool[Tensor, "nx ny nz"]) -> Bool[Tensor, "nx ny nz"]:
    """With all neighbours of what is there."""
    for axis in range(3):
        wide, last = near.clone(), near.shape[axis] - 1
        wide.narrow(axis, 1, last).logical_or_(near.narrow(axis, 0, last))
        wide.narrow(axis, 0, last).logical_or_(near.narrow(axis, 1, last))
        near = wide
    return near


def upsample(
    grid: Float32[Tensor, "nx ny nz channel"],
) -> Float32[Tensor, "2*nx-1 2*ny-1 2*nz-1 channel"]:
    """Trilinear values on cells of half the side; distances keep their old unit."""
    size = [2 * n - 1 for n in grid.shape[:3]]
    channels = grid.permute(3, 0, 1, 2)[None]
    fine = torch.nn.functional.interpolate(
        channels, size=size, mode="trilinear", align_corners=True
    )
    return fine[0].permute(1, 2, 3, 0).contiguous()


def render_volume(
    grid: VolumeGrid,
    origins: Float32[Tensor, "ray 3"],
    directions: Float32[Tensor, "ray 3"],
    *,
    sharpness: float,
) -> Float32[Tensor, "ray 4"]:
    """Premultiplied colour and coverage along rays of the grid frame.

    Gradient reaches ``grid.values`` if it requires one.
    """
    result: Tensor = _Render.apply(
        grid.values, grid, origins.contiguous(), directions.contiguous(), sharpness
    )
    return result


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, grid: VolumeGrid, origins: Tensor, directions: Tensor, k: float
    ) -> Tensor:
        colors = torch.zeros(len(origins), 4, device=origins.device)
        struct = grid.struct(k)
        rays = [struct, (origins, wp.vec3), (directions, wp.vec3)]
        parts = split(len(origins), part_count(origins.device))
        launch_parts(
            kernels.render_rays,
            [(b - a, [*rays, a, (colors, wp.vec4)]) for a, b in parts],
            origins.device,
        )
        ctx.save_for_backward(origins, directions)
        ctx.grid, ctx.sharpness = grid, k
        return colors

    @staticmethod
    def backward(ctx: Any, grad_colors: Tensor) -> tuple[Any, ...]:
        origins, directions = ctx.saved_tensors
        device, grid = origins.device, ctx.grid
        parts = split(len(origins), part_count(device))
        grads = torch.zeros(len(parts), grid.values[..., 0].numel(), 4, device=device)
        struct = grid.struct(ctx.sharpness)
        rays = [struct, (origins, wp.vec3), (directions, wp.vec3)]
        known = [(grad_colors.contiguous(), wp.vec4)]
        launch_parts(
            kernels.render_rays_adjoint,
            [
                (b - a, [*rays, a, *known, (grad, wp.vec4)])
                for (a, b), grad in zip(parts, grads, strict=True)
            ],
            device,
        )
        return grads.sum(0).view(grid.values.shape), None, None, None, None


def render_volume_twin(
    values: Float[Tensor, "nx ny nz 4"],
    origins: Float[Tensor, "ray 3"],
    directions: Float[Tensor, "ray 3"],
    *,
    sharpness: float,
    step: float,
) -> Float[Tensor, "ray 4"]:
    """The specification: plain torch, no empty-space skipping, never stops early.

    Positions of samples count as constant.
    """
    unit = directions / directions.norm(dim=-1, keepdim=True)
    top = torch.tensor(values.shape[:3], dtype=values.dtype) - 1
    a, b = -origins / unit, (top - origins) / unit
    t = torch.minimum(a, b).amax(-1).clamp(min=0)
    far = torch.maximum(a, b).amin(-1)
    total = torch.zeros(len(origins), 4, dtype=values.dtype)
    transmittance = torch.ones_like(t)
    previous: Tensor | None = None
    while bool((t < far).any()):
        points = origins + unit * t[:, None]
        at = (2 * points / top - 1).flip(-1)[None, None, :]  # grid_sample wants z y x
        sample = torch.nn.functional.grid_sample(
            values.permute(3, 0, 1, 2)[None], at[None], align_corners=True, padding_mode="border"
        )[0, :, 0, 0].T  # ray channel
        if previous is not None:
            p0 = torch.sigmoid(sharpness * previous[:, 3]).clamp(min=1e-6)
            p1 = torch.sigmoid(sharpness * sample[:, 3])
            alpha = torch.where(t < far, ((p0 - p1) / p0).clamp(0, 1), 0)
            color = (previous[:, :3] + sample[:, :3]) / 2
            weight = (transmittance * alpha)[:, None]
            total = total + weight * torch.cat([color, torch.ones_like(weight)], 1)
            transmittance = transmittance * (1 - alpha)
        previous = sample
        t = t + (sample[:, 3].detach() - 1.5).clamp(min=step)
    return total
