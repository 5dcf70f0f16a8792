# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Compare a mesh with a reference, in its own frame or laid onto it first."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from photocast.data import Check, Mesh
from photocast.formats.meshes import load_mesh
from photocast.stages.mesh_distance import mesh_distances
from photocast.stages.open3d_door import NO_OPEN3D, open3d
from photocast.stages.registration import NEAR, Registration, moved, register, size_ratio

__all__ = ["Compared", "compare"]

_SCORES = ("accuracy", "completeness", "chamfer", "f_score_half_percent", "f_score_one_percent",
           "normal_consistency")  # fmt: skip
_FITS = ("fitness", "inlier_rmse", "misfit", "rival_misfit")
_GOOD_FITNESS = 0.9
_MOST_RATIO = 4.0
"""Sizes further apart than this are units or other objects: no turning brings them together."""
_RIVAL_FACTOR, _RIVAL_MORE = 1.25, 5e-4
"""Another placement fits nearly as well up to this many times the best one, and this more."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What a reference says of a mesh."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
    reference_from_mesh: tuple[tuple[float, ...], ...] | None = None
    """(4, 4), if the mesh was laid onto the reference."""


def compare(
    mesh: Mesh,
    reference: Path,
    *,
    align: bool = False,
    with_scale: bool = False,
    seed: int = 0,
    device: torch.device | None = None,
) -> Compared:
    """Measure how close a mesh is to a reference.

    Args:
        mesh: In the reference's frame, unless ``align``.
        reference: A mesh file.
        align: Turn and move the mesh onto the reference first; without Open3D nothing is compared.
        with_scale: Let the alignment find one scale, too.
        seed: Of points and tries.
        device: Where to measure; the CPU if absent.

    Raises:
        MeshError: The reference cannot be read.
    """
    truth = load_mesh(reference)
    found = None
    if align:
        tool = open3d()
        if tool is None:
            return _not_run(NO_OPEN3D)
        ratio = size_ratio(mesh, truth)
        if not with_scale and not 1 / _MOST_RATIO <= ratio <= _MOST_RATIO:
            return _not_run(
                f"the mesh is {ratio:.4g} times as large as the reference, so no turning lays it "
                "there; --align-scale also finds the scale"
            )
        found = register(tool, mesh, truth, seed=seed, with_scale=with_scale)
        placed = moved(mesh.vertices, found.reference_from_mesh).astype(np.float32)
        mesh = replace(mesh, vertices=placed)
    scores = mesh_distances(mesh, truth, seed=seed, device=device)
    checks = tuple(Check(f"reference.{name}", getattr(scores, name)) for name in _SCORES)
    if found is None:
        return Compared(checks)
    matrix = tuple(tuple(map(float, row)) for row in found.reference_from_mesh)
    return Compared((*checks, *_fit_checks(found)), _doubts(found), matrix)


def _not_run(reason: str) -> Compared:
    names = (*_SCORES, *_FITS)
    checks = [Check(f"reference.{name}", None, note=f"not run: {reason}") for name in names]
    return Compared(tuple(checks), (f"The mesh was not compared with the reference: {reason}.",))


def _fit_checks(found: Registration) -> tuple[Check, ...]:
    rival = "no other was found"
    if found.rival_deg is not None:
        rival = f"turned by {found.rival_deg:.0f} degrees more"
    return (
        Check("reference.fitness", found.fitness),
        Check("reference.inlier_rmse", found.inlier_rmse, "unit"),
        Check("reference.misfit", found.misfit),
        Check("reference.rival_misfit", found.rival_misfit, note=rival),
    )


def _doubts(found: Registration) -> tuple[str, ...]:
    if found.fitness < _GOOD_FITNESS:
        return (
            f"Only {100 * found.fitness:.0f} % of the mesh lie within {100 * NEAR:g} % of the "
            "reference's diagonal after the best alignment found: it may be another object, a part "
            "of one, or of another size (--align-scale).",
        )
    most = _RIVAL_FACTOR * found.misfit + _RIVAL_MORE
    if found.rival_misfit is not None and found.rival_misfit <= most:
        return (
            "The alignment is not the only one: turned by another "
            f"{found.rival_deg:.0f} degrees, the mesh lies {100 * found.rival_misfit:.3f} % of the "
            f"diagonal away on average, and as it is {100 * found.misfit:.3f} %. The object looks "
            "alike from several sides.",
        )
    return ()
