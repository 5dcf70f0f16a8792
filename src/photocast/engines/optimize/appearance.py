# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From a mesh to a finished one: UVs, material and light, and vertices moved meanwhile."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from photocast.config import OptimizeConfig
from photocast.data import Light, Mesh, Photo
from photocast.deadline import part
from photocast.progress import Progress
from photocast.stages.appearance import AppearanceFit
from photocast.stages.appearance_maps import finished_material
from photocast.stages.lit import layout_of
from photocast.stages.map_size import fitting_size
from photocast.stages.refine import refine
from photocast.stages.refine_targets import refine_targets
from photocast.stages.unwrap import unwrap

__all__ = ["dressed"]

_COARSE_TIME, _REFINE_TIME, _FULL_TIME = 0.25, 0.45, 0.75
"""Of the time that is left, for each fit; what is over is for the steps between and after."""


def dressed(
    shape: Mesh,
    photos: Sequence[Photo],
    config: OptimizeConfig,
    progress: Progress,
    *,
    keep_uvs: bool = False,
    notes: list[str] | None = None,
) -> tuple[Mesh, Light]:
    """Unwrap a mesh and find its material and light; refine its vertices on the way.

    Args:
        shape: The mesh.
        photos: With exact cameras.
        config: No vertex moves if ``refine.epochs`` is 0.
        progress: Its deadline is shared among the fits.
        keep_uvs: Use the UVs that the mesh has.
        notes: What the report should say is added here.
    """
    device = torch.device(config.device)
    size = min(config.appearance.size, fitting_size(shape, photos))
    config = replace(config, appearance=replace(config.appearance, size=size))
    if not keep_uvs:
        atlas = replace(config.unwrap, size=size)
        shape = unwrap(shape, atlas, progress, device=device, notes=notes)
    return _fitted(shape, photos, config, progress)


def _fitted(
    mesh: Mesh, photos: Sequence[Photo], config: OptimizeConfig, progress: Progress
) -> tuple[Mesh, Light]:
    """Material and light on the coarse maps, then shape with them, then all at full size."""
    device = torch.device(config.device)
    surface = layout_of(mesh, device)
    fit = AppearanceFit(surface, photos, config.appearance, progress)
    coarse = len(config.appearance.coarse)
    fit.run(0, coarse, share=_COARSE_TIME)
    targets = refine_targets(mesh, photos, device) if config.refine.epochs else None
    if targets is not None:
        time = part(progress, _REFINE_TIME)
        vertices = refine(surface[0], surface[2], fit, targets, config.refine, time)
        mesh = replace(mesh, vertices=vertices.cpu().numpy())
        del targets
        surface = layout_of(mesh, device)
        fit.move(surface)
    fit.run(coarse, share=_FULL_TIME)
    found = fit.found()
    environment = found.environment.cpu().numpy()
    return replace(mesh, material=finished_material(surface[2], found)), Light(environment)
