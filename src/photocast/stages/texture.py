# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Paint a finished surface from the photos.

The texture is the solution of a large linear problem: drawn into every photo, through the same
filtered look-up that a viewer uses, it should give that photo. It is solved by simultaneous
iterative reconstruction (each texel moves by the weighted mean residual of the pixels that it
touches). Source: Andersen & Kak, Simultaneous algebraic reconstruction technique, 1984.

Residuals are sRGB-encoded, the look-up is in linear light.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from photocast.config import TextureConfig
from photocast.data import Mesh, Photo
from photocast.errors import CaptureError, MeshError
from photocast.ops.texture import mip_pyramid
from photocast.ops.texture import texture as look_up
from photocast.progress import Progress, silent
from photocast.stages.texture_fill import (
    Texels,
    fill_gutters,
    surface_texels,
    vertex_spread,
)
from photocast.stages.texture_samples import Samples, gather_samples, stack_samples

__all__ = ["fitting_size", "texture"]

_OUTLIER, _LEAST_OUTLIER = 5.0, 24 / 255
"""Error with half the trust: in typical errors, and at least (sRGB-encoded)."""
_LEAST_ERROR = 4 / 255
"""Errors below this count alike in a vote."""
_LARGEST_FOOTPRINT = 8.0
"""In typical ones: flatter views do not count more."""
_DOUBT = 0.02
_ENOUGH = 0.05
"""In parts of a typical texel's trust: how firmly a start is held; from where a texel is known."""

_FINER = 1.6  # texels per pixel along an axis


def texture(
    mesh: Mesh,
    photos: Sequence[Photo],
    config: TextureConfig | None = None,
    *,
    device: str | torch.device = "cpu",
    progress: Progress = silent,
) -> Mesh:
    """Make the base colour map of a mesh.

    Args:
        mesh: With UVs that do not overlap.
        photos: At least one, with exact cameras.
        config: Size and effort.
        device: Where to compute.
        progress: Called per photo and per iteration.

    Returns:
        The mesh with ``material.base_color``, linear.

    Raises:
        MeshError: The mesh has no UVs.
        CaptureError: There are no photos.
    """
    config = config or TextureConfig()
    if mesh.uvs is None or mesh.uv_faces is None:
        raise MeshError("The mesh has no UVs; unwrap it first.", code="mesh.no_uvs")
    if not photos:
        raise CaptureError("There are no photos to paint with.", code="capture.no_photos")
    where = torch.device(device)
    parts = []
    total = len(photos) + config.iterations
    for samples in gather_samples(
        mesh,
        photos,
        min_cosine=config.min_cosine,
        edge=config.edge,
        power=config.cosine_power,
        most=config.max_samples,
        device=where,
    ):
        parts.append(samples)
        progress("texture", len(parts), total)
    texels = surface_texels(mesh, config.size)
    solver = _Solver(mesh, texels, stack_samples(parts), config, where)
    for iteration in range(config.iterations):
        residual = solver.step(
            vote=iteration < config.robust_rounds, judge=iteration == config.robust_rounds > 0
        )
        progress("texture", len(photos) + iteration + 1, total, residual=residual)
    linear = _linear(solver.finished()).cpu().numpy()
    return replace(mesh, material=replace(mesh.material, base_color=linear))


def fitting_size(mesh: Mesh, photos: Sequence[Photo], *, use: float = 0.6) -> int:
    """The power of two at which a texel is clearly smaller than a pixel of the closer photos.

    Photos see each place from several sides and a little shifted: together they hold more than one
    of them (measured on exact geometry: a texel of 0.6 pixels gains 1 dB over one of a pixel).

    Args:
        mesh: The surface; UVs are not needed.
        photos: With their cameras.
        use: Share of the map that the charts will cover.

    Returns:
        256 to 4096 [px].
    """
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = float(np.linalg.norm(cross, axis=1).sum() / 2)
    middle = mesh.bounds.mean(axis=0)[None]
    pixels = [
        abs(float(photo.camera.project(middle)[1][0])) / max(photo.camera.fx, photo.camera.fy)
        for photo in photos
    ]
    if not pixels or area <= 0:
        return 256
    side = _FINER * np.sqrt(area / use) / float(np.percentile(pixels, 25))
    return int(2 ** np.clip(np.round(np.log2(max(side, 1.0))), 8, 12))


class _Solver:
    """The texture while it is being solved; encoded as sRGB."""

    def __init__(
        self,
        mesh: Mesh,
        texels: Texels,
        samples: Samples,
        config: TextureConfig,
        device: torch.device,
    ) -> None:
        self.mesh, self.texels, self.samples, self.config = mesh, texels, samples, config
        self.device = device
        # In a vote every photo of a place counts alike, however many of its pixels show it.
        self.ballot = _footprints(samples)
        self.weight = self.ballot if config.robust_rounds else samples.weight
        self.levels = max(1, min(int(np.log2(config.size)) + 1, config.levels))
        self.image = torch.zeros((config.size, config.size, 3), device=device)
        sums, self.trust = self._spread(self._drawn(), samples.color * self.weight)
        self.image = self._completed(sums / self.trust.clamp(min=1e-8))

    def step(self, *, vote: bool, judge: bool) -> float:
        """Move towards the photos once; returns the weighted mean residual before.

        Args:
            vote: Seek the median of the photos, all views nearly alike, rather than the mean.
            judge: Learn from the present residuals which pixels to trust.
        """
        leaf, drawn = self._drawn()
        error = self.samples.color - _encoded(drawn[..., :3].detach())
        size = error.abs().mean(dim=-1, keepdim=True)
        if vote or judge:
            weight = self.samples.weight
            self.weight = self.ballot * _vote(size) if vote else weight * _trust(size, weight)
        moves, self.trust = self._spread((leaf, drawn), error * self.weight)
        # A trace of doubt: texels that pixels hardly touch stay near where they started.
        self.image = (self.image + moves / (self.trust + _DOUBT * _typical(self.trust))).clamp(0, 1)
        total = self.weight.sum().clamp(min=1e-12)
        return float((size * self.weight).sum() / total)

    def finished(self) -> Tensor:
        """The texture with everything unseen filled."""
        return self._completed(self.image)

    def _drawn(self) -> tuple[Tensor, Tensor]:
        """The linear texture with a blank fourth channel, and what the photos would show of it."""
        with torch.enable_grad():
            leaf = torch.nn.functional.pad(_linear(self.image), (0, 1)).requires_grad_()
            pyramid = mip_pyramid(leaf, levels=self.levels)
            return leaf, look_up(pyramid, self.samples.uv, self.samples.uv_da)

    def _spread(self, drawn: tuple[Tensor, Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
        """Give pixel values and weights to the texels that the pixels show (the transpose)."""
        leaf, seen = drawn
        (sums,) = torch.autograd.grad(seen, leaf, torch.cat([values, self.weight], dim=-1))
        return sums[..., :3], sums[..., 3:]

    def _completed(self, image: Tensor) -> Tensor:
        trust, size = self.trust[..., 0].cpu().numpy(), self.config.size
        values = image.cpu().numpy()
        flat, flat_trust = values.reshape(-1, 3).copy(), trust.reshape(-1)
        inside = flat_trust[self.texels.index]
        enough = _ENOUGH * _typical(self.trust)
        at_vertex = vertex_spread(self.mesh, self.texels, flat[self.texels.index], inside)
        spread = (at_vertex[self.texels.vertex] * self.texels.bary[..., None]).sum(axis=1)
        share = (inside / enough).clip(0, 1)[:, None]
        flat[self.texels.index] = share * flat[self.texels.index] + (1 - share) * spread
        known = flat_trust > enough
        known[self.texels.index] = True
        shape = (size, size)
        filled = fill_gutters(flat.reshape(*shape, 3), known.reshape(shape))
        return torch.from_numpy(filled).to(self.device)


def _typical(trust: Tensor) -> float:
    seen = trust[trust > 0]
    return float(seen.median()) if len(seen) else 1.0


def _footprints(samples: Samples) -> Tensor:
    """Relative area that each pixel covers in the map; 0 for filling."""
    (a, b), (c, d) = (samples.uv_da[..., i, :].unbind(-1) for i in (0, 1))
    area = (a * d - b * c).abs()[..., None] * (samples.weight > 0)
    return (area / _typical(area)).clamp(max=_LARGEST_FOOTPRINT)


def _vote(error: Tensor) -> Tensor:
    """Weights under which the mean becomes the median (iteratively reweighted)."""
    return _LEAST_ERROR / error.clamp(min=_LEAST_ERROR)


def _trust(error: Tensor, weight: Tensor) -> Tensor:
    """Cauchy weights: what is far from the other photos counts less.

    Noise and soft highlights stay well below the scale; on held-out views a plain mean of those is
    better than a robust one. Things in front of the object and wrong cameras are above it.
    """
    used = error[weight > 0]
    typical = 1.4826 * float(used.median()) if len(used) else 0.0
    return 1 / (1 + (error / max(_OUTLIER * typical, _LEAST_OUTLIER)) ** 2)


def _linear(encoded: Tensor) -> Tensor:
    low = encoded / 12.92
    return torch.where(encoded <= 0.04045, low, ((encoded.clamp(min=0.04) + 0.055) / 1.055) ** 2.4)


def _encoded(linear: Tensor) -> Tensor:
    low = linear * 12.92
    curve = 1.055 * linear.clamp(min=0.003) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, low, curve)
