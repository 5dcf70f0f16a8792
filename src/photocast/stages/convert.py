# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a mesh in another format."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from photocast.errors import UserError
from photocast.formats.carried import lost_parts
from photocast.formats.meshes import SAVED_SUFFIXES, mesh_files
from photocast.formats.result_folder import load_result, mesh_file
from photocast.stages.export import place_files

__all__ = ["Conversion", "convert_mesh"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written."""

    files: tuple[str, ...]
    """Names, the mesh first."""
    face_count: int
    lost: tuple[str, ...]
    """What the mesh has and the format cannot hold."""


def convert_mesh(source: Path, out: Path, *, scale: float = 1.0) -> Conversion:
    """Read a mesh and write it by the suffix of another file name.

    Args:
        source: A result folder, or a mesh file, beside which ``cameras.json`` tells what is up.
        out: Files of these names are replaced; the folder is made if absent.
        scale: Multiplies all positions.

    Raises:
        UserError: The suffix is unknown, ``out`` is what is read, the scale is not positive, or
            the format needs a package that is not installed.
        MeshError: The mesh cannot be used.
        PhotocastError: The files cannot be written.
    """
    suffix = out.suffix.lower()
    if suffix not in SAVED_SUFFIXES:
        raise UserError(
            f"{out.name} ends in {suffix or 'nothing'!r}; there are {', '.join(SAVED_SUFFIXES)}.",
            code="convert.suffix",
        )
    if not 0 < scale < np.inf:
        raise UserError(f"--scale is {scale:g}; a positive number is needed.", code="convert.scale")
    if out.resolve() == mesh_file(source).resolve():
        raise UserError(f"{out} would replace what it is read from.", code="convert.same")
    scene = load_result(source)
    mesh = scene.mesh
    if scale != 1:
        mesh = replace(mesh, vertices=(mesh.vertices * scale).astype(np.float32))
    files = mesh_files(mesh, suffix, stem=out.stem, up=scene.up)
    place_files(out.absolute().parent, files)
    return Conversion(tuple(files), len(mesh.faces), lost_parts(mesh, suffix))
