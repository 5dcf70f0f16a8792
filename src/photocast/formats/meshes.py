# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Load and save a mesh by the suffix of its file name.

Every file holds the vertices in the capture's own world frame and unit. A GLB adds one root node
whose rotation turns the world's up to +Y, as glTF viewers expect; ``load_mesh`` skips that
rotation, so what was saved comes back. The nodes of anybody else's GLB are all applied.

Vertices at equal positions are merged on loading: topology is that of the surface, and unused
vertices of a GLB with UVs are gone. Nothing outside the folder of a file is read, and what a file
may ask for is bounded; see ``limits`` and docs/formats.md.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.errors import MeshError
from photocast.formats.glb_read import read_glb, read_gltf
from photocast.formats.glb_write import write_glb, write_gltf
from photocast.formats.limits import read_bytes, refuse_archive
from photocast.formats.obj import read_obj, write_obj
from photocast.formats.ply import read_ply, write_ply
from photocast.formats.seams import weld
from photocast.formats.stl import read_stl, write_stl
from photocast.formats.threemf_read import read_3mf
from photocast.formats.threemf_write import write_3mf
from photocast.formats.usdz_write import write_usdz

__all__ = [
    "MESH_SUFFIXES",
    "SAVED_SUFFIXES",
    "load_mesh",
    "mesh_files",
    "read_mesh",
    "require_mesh_file",
    "require_writable",
    "save_mesh",
]

_READERS: dict[str, Callable[[bytes, Path], Mesh]] = {
    ".glb": read_glb,
    ".gltf": read_gltf,
    ".obj": read_obj,
    ".ply": lambda data, folder: read_ply(data),
    ".stl": lambda data, folder: read_stl(data),
    ".3mf": lambda data, folder: read_3mf(data),
}

_ZIPPED = {".3mf"}

MESH_SUFFIXES = tuple(_READERS)
"""What ``load_mesh`` and ``save_mesh`` understand."""
SAVED_SUFFIXES = (*MESH_SUFFIXES, ".usdz")
"""What ``save_mesh`` understands."""


def require_mesh_file(path: Path) -> None:
    """Say now what ``load_mesh`` would say later.

    Raises:
        MeshError: The file is not there, or of no format that we read.
    """
    _suffix(path)
    if not path.is_file():
        raise MeshError(
            f"{path} cannot be read (there is no such file). Check the path.", code="mesh.missing"
        )


def require_writable(path: Path) -> str:
    """Say now whether ``save_mesh`` knows the format; the suffix in small letters.

    Raises:
        MeshError: It does not.
    """
    return _suffix(path, SAVED_SUFFIXES)


def load_mesh(path: Path) -> Mesh:
    """Read a mesh, in the capture's frame, with equal positions welded.

    Args:
        path: One of ``MESH_SUFFIXES``. Polygons become triangles.

    Raises:
        MeshError: The file is missing, damaged, empty or has no triangles.
    """
    return weld(read_mesh(path))


def read_mesh(path: Path) -> Mesh:
    """Read a mesh like :func:`load_mesh`, its vertices as they are stored.

    Raises:
        MeshError: The file is missing, damaged, empty or has no triangles.
    """
    suffix = _suffix(path)
    try:
        data = read_bytes(path)
        if not data:
            raise MeshError("the file is empty (0 bytes). Export it again.", code="mesh.empty")
        if suffix not in _ZIPPED:
            refuse_archive(data)
        with np.errstate(all="ignore"):  # what overflows is infinite, and a mesh refuses that
            mesh = _READERS[suffix](data, path.parent)
        if not len(mesh.faces):
            raise MeshError(
                f"{len(mesh.vertices)} vertices but no triangles. A surface is needed, "
                "not a point cloud.",
                code="mesh.no_faces",
            )
        return mesh
    except MeshError as error:
        raise MeshError(f"{path}: {error}", code=error.code, count=error.count) from error
    except MemoryError as error:
        raise MeshError(
            f"{path}: it needs more memory than there is. Simplify or split the mesh first.",
            code="mesh.too_large",
        ) from error


def save_mesh(path: Path, mesh: Mesh, *, up: NDArray[np.floating] | None = None) -> None:
    """Write a mesh; an OBJ or glTF also writes its companions beside it.

    Args:
        path: The suffix chooses the format; the folder must exist.
        mesh: PLY holds geometry, UVs and colours but no texture; STL geometry only.
        up: The world's up direction, which glTF turns to +Y and 3MF to +Z; +Y if absent.
    """
    suffix = _suffix(path, SAVED_SUFFIXES)
    for name, data in mesh_files(mesh, suffix, stem=path.stem, up=up).items():
        # The name as given, also in capitals; companions are named by the format.
        place = path if name.endswith(suffix) else path.parent / name
        place.write_bytes(data)


def mesh_files(
    mesh: Mesh, suffix: str, *, stem: str = "mesh", up: NDArray[np.floating] | None = None
) -> dict[str, bytes]:
    """Encode a mesh as the files of one format, by file name; see :func:`save_mesh`."""
    if suffix == ".glb":
        return {f"{stem}.glb": write_glb(mesh, up=up)}
    if suffix == ".gltf":
        return write_gltf(mesh, stem=stem, up=up)
    if suffix == ".obj":
        return write_obj(mesh, stem=stem)
    if suffix == ".3mf":
        return {f"{stem}.3mf": write_3mf(mesh, up=up)}
    if suffix == ".usdz":
        return {f"{stem}.usdz": write_usdz(mesh, up=up)}
    return {f"{stem}{suffix}": write_ply(mesh) if suffix == ".ply" else write_stl(mesh)}


def _suffix(path: Path, known: tuple[str, ...] = MESH_SUFFIXES) -> str:
    suffix = path.suffix.lower()
    if suffix not in known:
        raise MeshError(
            f"{path}: mesh files end in {', '.join(known)}, not {suffix or 'nothing'!r}.",
            code="mesh.unknown_format",
        )
    return suffix
