# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Move vertices, and the maps with them, by the difference between rasterised views and photos.

Positions are optimised through (I + stiffness L)^-1, so that each gradient moves a neighbourhood
and triangles stay well shaped (Nicolet et al. 2021), with one step size for all coordinates, in
units of the edge length. Shading is the full model of ``ops.shade``: a vertex feels where the
texture lies, how the light falls on its normal, and where the silhouette is.
"""

import math

import torch
from torch import Tensor

from photocast.config import REFINE_LONGEST, RefineConfig
from photocast.deadline import walk
from photocast.geometry.diffusion import Diffusion
from photocast.geometry.projection import transform_points
from photocast.geometry.smooth_normals import smooth_normals
from photocast.ops.antialias import antialias, edge_topology
from photocast.ops.photo_loss import photo_loss
from photocast.ops.rasterize import rasterize
from photocast.ops.recorded import Recorded
from photocast.ops.shade import Layout, filter_lobes, seen_points, shade
from photocast.progress import Progress
from photocast.stages.appearance import AppearanceFit
from photocast.stages.cooled_adam import CooledAdam
from photocast.stages.refine_targets import Targets

__all__ = ["refine"]


def refine(
    vertices: Tensor,
    layout: Layout,
    fit: AppearanceFit,
    targets: Targets,
    config: RefineConfig,
    progress: Progress,
) -> Tensor:
    """Fit shape and maps together, keeping the triangles.

    Args:
        vertices: Start, (v, 3), in the world.
        layout: Faces and UVs.
        fit: Material and light as found so far; its maps move along.
        targets: The photos.
        config: Steps and stiffness.
        progress: Told every few steps; gets ``psnr`` over the cut photos [dB].

    Returns:
        New vertices (v, 3).
    """
    if not config.epochs:
        return vertices
    shape = _Shape(vertices, layout, fit, targets, config)
    batches = _batches(len(targets.photo), config).to(vertices.device)
    step = Recorded(shape.step, vertices.device)
    with shape.adam:
        for index, share in walk(progress, "refine", len(batches)):
            shape.chosen.copy_(batches[index])
            shape.adam.cool.fill_(1.0 - 0.9 * max(0.0, 2 * share - 1))  # from half way to a tenth
            step()
            done = index + 1
            if done % 10 == 0 or done == len(batches):
                mean = float(shape.error) / ((done - 1) % 10 + 1)
                shape.error.zero_()
                progress("refine", done, len(batches), psnr=-10 * math.log10(max(mean, 1e-9)))
    return shape.vertices()


def _batches(count: int, config: RefineConfig) -> Tensor:
    """Photos of each step, (step, batch); every photo comes once in an epoch."""
    random = torch.Generator().manual_seed(config.seed)
    batch = min(config.batch, count)
    order = torch.cat([torch.randperm(count, generator=random) for _ in range(config.epochs)])
    return order[: len(order) // batch * batch].view(-1, batch)


class _Shape:
    """Positions in edge lengths, with their optimiser. A step is in place: it can be recorded."""

    def __init__(
        self,
        vertices: Tensor,
        layout: Layout,
        fit: AppearanceFit,
        targets: Targets,
        config: RefineConfig,
    ) -> None:
        self.layout, self.fit, self.targets, self.config = layout, fit, targets, config
        corners = vertices[layout.faces.long()]
        self.center = vertices.mean(0)
        self.scale = (corners - corners.roll(1, 1)).norm(dim=-1).median()
        start = (vertices - self.center) / self.scale
        self.topology = edge_topology(layout.faces)
        self.diffusion = Diffusion(layout.faces, len(vertices), config.stiffness)
        self.positions = start.clone().requires_grad_()
        self.momentum = torch.zeros_like(start)
        self.square = torch.zeros((), device=start.device)
        self.decay = torch.ones(2, device=start.device)  # of momentum and square; powers so far
        self.decays = torch.tensor([0.9, 0.99], device=start.device)
        self.error = torch.zeros((), device=start.device)
        """Sum of the mean squared colour errors before each step."""
        self.chosen = torch.zeros(
            min(config.batch, len(targets.photo)), dtype=torch.int64, device=start.device
        )
        """Photos of the next step."""
        # As with photos larger than REFINE_LONGEST: detail beyond costs more than it tells.
        self.finer = max(1, min(config.supersample, REFINE_LONGEST // max(targets.size)))
        self.photo = torch.tensor(targets.photo, device=start.device)
        with torch.no_grad():
            environment = fit.light.exp()
            self.incident = fit.transport.incident(environment)
            self.lobes = filter_lobes(environment)
        self.adam = CooledAdam([(fit.base, config.rate_base), (fit.gloss, config.rate_gloss)])

    def vertices(self) -> Tensor:
        """Where they are now."""
        moved: Tensor = self.positions.detach() * self.scale + self.center
        return moved

    def step(self) -> None:
        """One step on the chosen photos."""
        targets, chosen = self.targets, self.chosen
        self.adam.forget()
        self.positions.grad = None
        gain = self.fit.gain[self.photo[chosen]].exp()
        loss, square = photo_loss(
            self._drawn(chosen), gain, targets.rgba[chosen], targets.inside[chosen]
        )
        (loss / len(chosen)).backward()
        self._move()
        self.adam.step()
        with torch.no_grad():
            self.fit.hold_maps(self.adam.cool)
            self.error += square

    def _drawn(self, chosen: Tensor) -> Tensor:
        """Premultiplied light and coverage, each pixel a mean of its samples."""
        layout, finer = self.layout, self.finer
        world = self.positions * self.scale + self.center
        clip = transform_points(self.targets.clip_from_world[chosen], world).contiguous()
        height, width = self.targets.size
        raster = rasterize(clip, layout.faces, (height * finer, width * finer))
        color = shade(
            layout,
            smooth_normals(world, layout.faces),
            self.incident,
            self.lobes,
            self.fit.material(),
            seen_points(raster, world, self.targets.center[chosen], layout),
        )
        covered = (raster.face >= 0)[..., None].float()
        light = color.view(*raster.face.shape, 3).clamp(0, 1.5)  # 0 where nothing is covered
        mixed = antialias(
            torch.cat([light, covered], -1), raster, clip, layout.faces, self.topology
        )
        if finer == 1:
            return mixed
        return mixed.view(-1, height, finer, width, finer, 4).mean((2, 4))

    @torch.no_grad()
    def _move(self) -> None:
        gradient = self.positions.grad
        assert gradient is not None
        gradient = gradient + self.config.smooth * self.diffusion.roughness(self.positions)
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        gradient = self.diffusion.smooth(gradient)
        self.momentum.mul_(0.9).add_(gradient, alpha=0.1)
        # one scale for all vertices: a vertex that nothing pulls must not start to tremble
        size = torch.quantile(gradient.norm(dim=1)[:: max(1, len(gradient) // 8192)], 0.98)
        self.square.mul_(0.99).add_(size.square(), alpha=0.01)
        self.decay *= self.decays
        scale = (self.square / (1 - self.decay[1])).sqrt().clamp(min=1e-12)
        rate = self.config.rate * self.adam.cool
        self.positions -= (self.momentum / (1 - self.decay[0]) / scale * rate).clamp(-1.0, 1.0)
