# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Start from a mesh that somebody brings along: a scan, or another engine's output."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from photocast.config import OptimizeConfig
from photocast.data import Material, Mesh, Photo
from photocast.engines.optimize.shape import HullBox
from photocast.formats.meshes import load_mesh
from photocast.progress import Progress
from photocast.stages.align import aligned
from photocast.stages.foreign import cleaned, good_uvs, reduced

__all__ = ["Start", "starting_mesh"]


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A mesh in place."""

    mesh: Mesh
    keep_uvs: bool
    """Whether its UVs can be used."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For ``run.json``."""


def starting_mesh(
    photos: Sequence[Photo], hull: HullBox, config: OptimizeConfig, progress: Progress
) -> Start:
    """Load the mesh, check that it fits the masks, and make it fit for refining.

    Raises:
        MeshError: It cannot be read, or does not fit.
    """
    progress("align", 0, 1)
    mesh = load_mesh(Path(config.init.mesh))
    mesh = replace(mesh, colors=None, material=Material())
    box = hull.of(photos, config)
    found = aligned(mesh, photos, box, config.init, torch.device(config.device))
    progress("align", 1, 1, iou=found.iou)
    notes = []
    if found.moved:
        notes.append(f"The mesh given was moved to fit the masks: {found.moved}.")
    mesh = found.mesh
    if config.init.use == "refine":
        before = len(mesh.faces)
        mesh = reduced(cleaned(mesh), config.init.face_count)
        if before > config.init.face_count:
            notes.append(
                f"The mesh given has {before:,} triangles and was reduced to {len(mesh.faces):,} "
                "for refining. --init-use material would keep them all."
            )
    keep_uvs = good_uvs(mesh)
    facts = {
        "iou": found.iou,
        "moved": found.moved,
        "faces": len(mesh.faces),
        "kept_uvs": keep_uvs,
    }
    return Start(mesh, keep_uvs, notes, facts)
