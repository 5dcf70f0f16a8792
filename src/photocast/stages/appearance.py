# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Find material and light of a given shape: base colour, roughness, metallic, normals, environment.

Pixels of all photos are gathered once with the place that they see; then random batches of them are
shaded and compared, and everything moves together. Maps grow coarse to fine. Shadows and light that
the object throws on itself belong to the shape (``stages.transport``), so they stay out of the
base colour. Residuals are sRGB-encoded, shading is in linear light.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor

from photocast.config import AppearanceConfig
from photocast.data import Photo
from photocast.deadline import part, walk
from photocast.geometry.srgb import linear_from_srgb, srgb_from_linear
from photocast.ops.recorded import Recorded
from photocast.ops.shade import LOBES, Layout, Points, filter_lobes, shade
from photocast.ops.texture import MipPyramid, mip_pyramid, texture
from photocast.progress import Progress
from photocast.stages.appearance_samples import CHUNK, Samples, gather
from photocast.stages.cooled_adam import CooledAdam
from photocast.stages.lit import face_points
from photocast.stages.transport import Transport

__all__ = ["Appearance", "AppearanceFit"]

_BASE_CEILING = 0.8
"""Base colour of the lightest paint in its lightest channel, linear, as of fresh white: nothing in
photos tells paint twice as light from light twice as strong."""
_LIGHTEST = 0.9  # quantile of what the paint seems to be; beyond it lie highlights and noise
_ROUGH = 0.6
_LEAST_ROUGH, _MOST_BEND = 0.12, 0.6
_LIGHT_EVERY = 8
_BOUNCES = 6
_LIGHT_TIME = 0.2  # of what is left for the first maps
_LIGHT_BOUNCE = 20  # steps between bounces while the light is found alone
_GAIN_DECAY = 0.001  # per step: what the material explains is not the exposure's


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """What was found, on the device."""

    base: Float32[Tensor, "h w 3"]
    """Linear."""
    gloss: Float32[Tensor, "h w 4"]
    """Roughness, metallic, normal x, normal y."""
    environment: Float32[Tensor, "32 64 3"]
    """Linear radiance."""
    trust: Float32[Tensor, "h w"]
    """How much photos say about each texel of the base colour; 0 where nothing."""


class AppearanceFit:
    """Material and light while they are being found."""

    def __init__(
        self,
        surface: tuple[Tensor, Tensor, Layout],
        photos: Sequence[Photo],
        config: AppearanceConfig,
        progress: Progress,
    ) -> None:
        """Look at all photos and start from grey.

        Args:
            surface: Vertices, unit normals per vertex, and the layout.
            photos: With exact cameras.
            config: Sizes, steps and weights.
            progress: Called per photo and every few steps.
        """
        self._photos, self._config, self._progress = photos, config, progress
        self.move(surface)
        device = surface[0].device
        self._random = torch.Generator(device=device).manual_seed(config.seed)
        sizes = [max(16, config.size // share) for share in (*config.coarse, 1)]
        seen = linear_from_srgb(self.samples.color[self.samples.face >= 0].float() / 255)
        bright = torch.quantile(seen[:: max(1, len(seen) // 100_000)], 0.97) if len(seen) else 1.0
        radiance = max(float(bright) / _BASE_CEILING, 0.02)
        middle = seen.mean(0) / radiance if len(seen) else torch.full((3,), 0.5)
        self.base = torch.empty((sizes[0], sizes[0], 3), device=device)
        self.base[:] = middle.to(device).clamp(0.01, 0.9).sqrt()
        coarse = max(8, sizes[0] // config.gloss_share)
        self.gloss = torch.zeros((coarse, coarse, 4), device=device)
        self.gloss[..., 0] = _ROUGH
        self.light = torch.full((*LOBES[0][1], 3), math.log(radiance), device=device)
        self.gain = torch.zeros((len(photos), 3), device=device)
        self.vignette = torch.zeros((), device=device)
        self._sizes = sizes

    def move(self, surface: tuple[Tensor, Tensor, Layout]) -> None:
        """Look again at all photos, from a shape that has changed; UVs stay."""
        vertices, normals, layout = surface
        self._vertices, self._normals, self._layout = vertices, normals, layout
        self.samples = gather(surface, self._photos, self._config, self._progress)
        self.transport = Transport(vertices, normals, layout)
        device = vertices.device
        self._chunks = torch.zeros(self._batch // CHUNK, dtype=torch.int64, device=device)
        self._error = torch.zeros((), device=device)

    @property
    def step_counts(self) -> list[int]:
        """Optimiser steps at each size of the maps."""
        config = self._config
        per_epoch = len(self.samples) / self._batch
        return [max(config.min_steps, round(epochs * per_epoch)) for epochs in config.epochs]

    @property
    def _batch(self) -> int:
        return min(self._config.samples_per_step, max(CHUNK, len(self.samples)))

    def run(self, first: int = 0, stop: int | None = None, *, share: float = 1.0) -> None:
        """Find everything, coarse to fine, or only at some sizes of the maps.

        Args:
            first: Size of the maps to begin with, 0 for the coarsest.
            stop: Size before which to end; None goes to the end.
            share: Of the time that is left.
        """
        progress = part(self._progress, share)
        total, done = sum(self.step_counts), sum(self.step_counts[:first])
        if first == 0:
            self._light_first(part(progress, _LIGHT_TIME))
        left = sum(self.step_counts[first:stop])
        for size, steps in list(zip(self._sizes, self.step_counts, strict=True))[first:stop]:
            self._grow(size)
            self._run_level(steps, (done, total), part(progress, steps / max(left, 1)))
            done, left = done + steps, left - steps

    @torch.no_grad()
    def found(self) -> Appearance:
        """The present state."""
        return Appearance(
            base=self.base.square(),
            gloss=self.gloss.clone(),
            environment=self.light.exp(),
            trust=self._trust(),
        )

    def material(self) -> tuple[MipPyramid, MipPyramid]:
        """The maps as pyramids; gradient reaches them."""
        levels = self._config.levels
        linear = torch.nn.functional.pad(self.base.square(), (0, 1))
        return mip_pyramid(linear, levels), mip_pyramid(self.gloss, levels)

    def _grow(self, size: int) -> None:
        if size != len(self.base):
            self.base = _larger(self.base, size)
        fine = max(8, size // self._config.gloss_share)
        if fine != len(self.gloss):
            self.gloss = _larger(self.gloss, fine)

    def _run_level(self, steps: int, span: tuple[int, int], progress: Progress) -> None:
        config, (done, total) = self._config, span
        leaves = (self.base, self.gloss, self.light, self.gain, self.vignette)
        exposure = config.rate_exposure
        rates = (config.rate_base, config.rate_gloss, config.rate_light, exposure, exposure)
        adam = CooledAdam(list(zip(leaves, rates, strict=True)))
        step = Recorded(lambda: self._step(adam), self.base.device)
        after = total - done - steps
        with adam:
            for index, share in walk(progress, "appearance", steps, before=done, after=after):
                if index % max(1, steps * len(config.epochs) // _BOUNCES) == 0:
                    self._bounce()
                late = max(0.0, ((done + share * steps) / total - 0.4) / 0.6)
                adam.cool.fill_(config.cool**late)
                self._draw()
                step()
                if (index + 1) % 20 == 0 or index + 1 == steps:
                    mean = float(self._error) / (index % 20 + 1)
                    self._error.zero_()
                    psnr = -10 * math.log10(max(mean, 1e-9))
                    progress("appearance", done + index + 1, total, psnr=psnr)

    def _light_first(self, progress: Progress) -> None:
        """Let the light explain what it can while all paint is the same.

        Where the light comes from shows on all of the object, paint only here and there. Found
        together from the start, each texel's paint would learn its share of the light faster than
        the light does: sides that lie in shadow would be painted dark.
        """
        adam = CooledAdam([(self.light, self._config.rate_light)])
        chunks = self._chunks
        self._chunks = chunks[: max(1, len(chunks) // _LIGHT_EVERY)].clone()
        step = Recorded(lambda: self._step(adam, 1), self.base.device)
        with adam:
            for index, _ in walk(progress, "light", self._config.light_steps):
                if index and index % _LIGHT_BOUNCE == 0:
                    self._bounce()  # or light that the object throws on itself counts as the sky's
                self._draw()
                step()
        self._set_level()
        self._chunks = chunks
        self._error.zero_()

    @torch.no_grad()
    def _set_level(self) -> None:
        """Share brightness between light and paint: take the lightest paint for a light one."""
        picked = self.samples.pick(self._chunks)
        photo = linear_from_srgb(picked.color.float() / 255)
        paint = self.base[0, 0].square() * photo / self._seen(picked, 1).clamp(min=1e-6)
        told = picked.face >= 0
        if not told.any():
            return
        lightest = torch.quantile(paint.amax(1)[told], _LIGHTEST)
        share = _BASE_CEILING / lightest.clamp(min=1e-3)
        self.base.mul_(share.sqrt()).clamp_(0.05, 1.0)
        self.light.sub_(share.log())

    def _draw(self) -> None:
        chunks, count = self._chunks, len(self.samples) // CHUNK
        torch.randint(0, count, chunks.shape, generator=self._random, out=chunks)

    def _step(self, adam: CooledAdam, light_every: int = _LIGHT_EVERY) -> None:
        """Learn from the samples that are drawn; in place, so it can be recorded."""
        adam.forget()
        picked = self.samples.pick(self._chunks)
        seen = self._seen(picked, light_every).clamp(min=0)
        residual = srgb_from_linear(seen) - picked.color.float() / 255
        square = residual.square().sum(1)
        scale = self._config.robust**2
        loss = ((square / scale + 1).sqrt() - 1) * scale * picked.weight
        loss.sum().backward()
        adam.step()
        with torch.no_grad():
            self.hold_maps(adam.cool)
            self._hold_light(adam.cool)
            real = (picked.face >= 0).float()
            self._error += (square * real).sum() / real.sum().clamp(min=1) / 3

    def _seen(self, picked: Samples, light_every: int) -> Tensor:
        environment = self.light.exp()
        color = self.shaded(picked.points(), environment, light_every)
        if self._config.exposure == "on":
            dark = 1 + self.vignette * picked.radius2[:, None]
            color = color * self.gain[picked.photo.long()].exp() * dark
        return color

    def shaded(self, points: Points, environment: Tensor, light_every: int = 1) -> Tensor:
        """Linear radiance of places on the surface; gradient reaches material and light."""
        return shade(
            self._layout,
            self._normals,
            self.transport.incident(environment),
            filter_lobes(environment),
            self.material(),
            points,
            light_every=light_every,
        )

    def hold_maps(self, cool: Tensor) -> None:
        """Keep texels where they have a meaning, and pull weakly on what photos leave open."""
        config = self._config
        self.base.clamp_(0.05, 1.0)
        pull = config.plain * config.rate_gloss * cool
        self.gloss[..., 1:].mul_(1 - pull)
        self.gloss[..., 0].clamp_(_LEAST_ROUGH, 1.0)
        self.gloss[..., 1].clamp_(0.0, 1.0)
        self.gloss[..., 2:].clamp_(-_MOST_BEND, _MOST_BEND)

    def _hold_light(self, cool: Tensor) -> None:
        config = self._config
        gray = self.light.mean(-1, keepdim=True)
        self.light.lerp_(gray.expand_as(self.light), config.gray_light * config.rate_light * cool)
        # gains are relative: their mean belongs to the light
        self.gain.mul_(1 - _GAIN_DECAY * cool).sub_(self.gain.mean(0))
        self.vignette.clamp_(-0.5, 0.5)

    @torch.no_grad()
    def _bounce(self) -> None:
        radiance = self.shaded(face_points(self._layout, self._normals), self.light.exp())
        self.transport.bounce(radiance.clamp(min=0), self._vertices, self._layout)

    @torch.no_grad()
    def _trust(self) -> Tensor:
        """Weight with which photos touch each texel."""
        samples, size = self.samples, len(self.base)
        with torch.enable_grad():
            leaf = torch.zeros((size, size, 1), device=self.base.device, requires_grad=True)
            pyramid = mip_pyramid(leaf, self._config.levels)
            seen = _looked_up(pyramid, samples, self._layout)
            (trust,) = torch.autograd.grad(seen, leaf, samples.weight.view(seen.shape))
        return trust[..., 0]


def _looked_up(pyramid: MipPyramid, samples: Samples, layout: Layout) -> Tensor:
    index = layout.uv_faces[samples.face.clamp(min=0).long()].long()
    third = 1 - samples.bary.sum(1, keepdim=True)
    weights = torch.cat([samples.bary, third], 1)
    uv = (layout.uvs[index] * weights[..., None]).sum(1)
    side = samples.level.exp2()[:, None, None]
    slopes = (torch.eye(2, device=uv.device) * side).view(1, -1, CHUNK, 2, 2).contiguous()
    return texture(pyramid, uv.view(1, -1, CHUNK, 2).contiguous(), slopes)


def _larger(image: Tensor, size: int) -> Tensor:
    channels = image.detach().permute(2, 0, 1)[None]
    grown: Tensor = torch.nn.functional.interpolate(
        channels, size=(size, size), mode="bilinear", align_corners=False
    )
    return grown[0].permute(1, 2, 0).contiguous()
