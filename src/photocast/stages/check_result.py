# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Check a mesh file together with what a run left beside it: photos, cameras, the run itself.

The report of a run is believed only if it names the very file by its hash.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Check
from photocast.errors import CameraError
from photocast.formats.cameras_json import load_cameras
from photocast.formats.meshes import require_mesh_file
from photocast.formats.result_folder import CAMERAS_FILE, mesh_file
from photocast.stages.definitions import DEFINITIONS
from photocast.stages.reference import compare
from photocast.stages.second_opinions import second_opinions
from photocast.stages.validate import RUN_GROUPS, Checked, check_file

__all__ = ["ReferenceUse", "check_result"]


@dataclass(frozen=True, slots=True)
class ReferenceUse:
    """What to compare a mesh with, and how."""

    path: Path
    align: bool = False
    """Lay the mesh onto it first."""
    with_scale: bool = False
    """Let that find one scale, too."""
    seed: int = 0
    """Of points and tries."""


def check_result(
    source: Path,
    profile: str = "view",
    *,
    with_thickness: bool = True,
    with_opinions: bool = False,
    reference: ReferenceUse | None = None,
    device: torch.device | None = None,
) -> Checked:
    """Check a mesh file or the mesh of a result folder.

    Args:
        source: A mesh file in any format that ``load_mesh`` reads, or a result folder.
        profile: A name or a path, see ``load_profile``.
        with_thickness: Whether to send rays through the solid.
        with_opinions: Whether to ask other programs too.
        reference: What to compare it with.
        device: Where to look for intersections; the CPU if absent.

    Raises:
        ConfigError: The profile is wrong.
        MeshError: There is no mesh in the file, or in that of the reference.
        UserError: The folder holds no mesh.
    """
    path = mesh_file(source)
    require_mesh_file(path)
    if reference is not None:
        require_mesh_file(reference.path)
    known, run, reason = _beside(path)
    checked = check_file(
        path,
        profile,
        extra=_photo_checks(known, reason),
        with_thickness=with_thickness,
        up=_up(path),
        device=device,
    )
    report = replace(checked.report, run=run)
    if with_opinions and checked.mesh is not None:
        report = replace(report, opinions=second_opinions(path, checked.mesh))
    checked = replace(checked, report=report)
    return checked if reference is None else _compared(checked, reference, device)


def _compared(checked: Checked, use: ReferenceUse, device: torch.device | None) -> Checked:
    if checked.mesh is None or not len(checked.mesh.faces):
        return checked
    found = compare(
        checked.mesh,
        use.path,
        align=use.align,
        with_scale=use.with_scale,
        seed=use.seed,
        device=device,
    )
    checked = checked.with_checks(found.checks)
    warnings = (*checked.report.warnings, *found.warnings)
    matrix = found.reference_from_mesh
    report = replace(checked.report, warnings=warnings, reference_from_mesh=matrix)
    return replace(checked, report=report)


def _photo_checks(known: Mapping[str, Check], reason: str) -> list[Check]:
    names = [name for name in DEFINITIONS if name.startswith(RUN_GROUPS)]
    return [known.get(name) or Check(name, None, note=reason) for name in names]


def _beside(path: Path) -> tuple[dict[str, Check], dict[str, Any], str]:
    """Checks and run of the report in the same folder, or why there are none."""
    report, run = path.parent / "report.json", path.parent / "run.json"
    if not (report.is_file() and run.is_file()):
        return {}, {}, "no report of a run lies beside the file"
    try:
        checks = json.loads(report.read_bytes())["checks"]
        facts = json.loads(run.read_bytes())
        values = {str(check["name"]): check for check in checks}
        told = values.get("file.sha256", {}).get("value")
        if told != hashlib.sha256(path.read_bytes()).hexdigest():
            return {}, {}, "the report beside the file is of another mesh"
        known = {
            name: Check(name, check["value"], str(check["unit"]), note=str(check["note"]))
            for name, check in values.items()
            if name.startswith(RUN_GROUPS)
        }
        return known, {str(key): value for key, value in facts.items()}, "the run did not tell"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {}, {}, f"the report beside the file is damaged ({type(error).__name__})"


def _up(path: Path) -> NDArray[np.float64] | None:
    cameras = path.parent / CAMERAS_FILE
    if not cameras.is_file():
        return None
    try:
        return load_cameras(cameras).up
    except CameraError:
        return None  # only decides from where an issue is looked at
