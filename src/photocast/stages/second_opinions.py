# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Ask other programs the same questions, where they are installed; each does what it is best at.

None is needed for a report. Each is imported when asked, and a missing one says how to get it.
"""

import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from photocast.data import Mesh, SecondOpinion

__all__ = ["TOOLS", "second_opinions"]

Answers = dict[str, float | int | bool | str | None]

_MOST_FACES_OPEN3D = 5_000  # its time grows with the square of this
_MOST_FACES_NEATMESH = 100_000  # a loop in Python over faces and edges
_FOREIGN_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError)


class _NotApplicable(Exception):
    """The tool cannot answer for this mesh; the message says why."""


def second_opinions(path: Path, mesh: Mesh) -> tuple[SecondOpinion, ...]:
    """Ask every tool.

    Args:
        path: The file, for tools that read it themselves.
        mesh: The same, welded, for those that take arrays.
    """
    return tuple(_ask(name, path, mesh) for name in TOOLS)


def _ask(name: str, path: Path, mesh: Mesh) -> SecondOpinion:
    module, package, ask = TOOLS[name]
    try:
        tool = import_module(module)
        told = version(package)
    except (ImportError, PackageNotFoundError, OSError):
        return SecondOpinion(name, None, "not run", f"not installed: pip install {package}")
    start = time.perf_counter()
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = ask(tool, path, mesh)
    except _NotApplicable as why:
        return SecondOpinion(name, told, "not applicable", str(why))
    except _FOREIGN_ERRORS as error:
        reason = f"it gave up on this mesh ({type(error).__name__}: {str(error)[:200]})"
        return SecondOpinion(name, told, "not applicable", reason)
    seconds = round(time.perf_counter() - start, 3)
    return SecondOpinion(name, told, "ran", answers=answers, seconds=seconds)


def _trimesh(tool: Any, path: Path, mesh: Mesh) -> Answers:
    other = tool.Trimesh(mesh.vertices, mesh.faces, process=False)
    other.remove_unreferenced_vertices()  # it counts each as a body
    return {
        "mesh.watertight": bool(other.is_watertight),
        "mesh.winding_consistent": bool(other.is_winding_consistent),
        "mesh.euler_number": int(other.euler_number),
        "mesh.components": int(other.body_count),
        "mesh.area": float(other.area),
        "mesh.volume": float(other.volume) if other.is_watertight else None,
    }


def _libigl(tool: Any, path: Path, mesh: Mesh) -> Answers:
    # The core under the MPL and its exact predicates; nothing of igl.copyleft.
    predicates = import_module("igl.predicates")
    vertices, faces = mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)
    _, pairs, _ = predicates.find_self_intersections(vertices, faces)
    return {
        "shape.self_intersecting_faces": len(np.unique(pairs)),
        "mesh.boundary_edges": len(tool.boundary_facets(faces)[0]),
    }


def _open3d(tool: Any, path: Path, mesh: Mesh) -> Answers:
    if len(mesh.faces) > _MOST_FACES_OPEN3D:
        raise _NotApplicable(
            f"its test takes time with the square of the faces: asked up to {_MOST_FACES_OPEN3D}, "
            f"and this mesh has {len(mesh.faces)}"
        )
    other = tool.geometry.TriangleMesh(
        tool.utility.Vector3dVector(mesh.vertices.astype(np.float64)),
        tool.utility.Vector3iVector(mesh.faces),
    )
    pairs = np.asarray(other.get_self_intersecting_triangles()).reshape(-1, 2)
    return {
        "shape.self_intersecting_faces": len(np.unique(pairs)),
        "mesh.non_manifold_vertices": len(other.get_non_manifold_vertices()),
    }


def _manifold3d(tool: Any, path: Path, mesh: Mesh) -> Answers:
    solid = tool.Manifold(
        tool.Mesh(vert_properties=mesh.vertices, tri_verts=mesh.faces.astype(np.uint32))
    )
    status = str(solid.status()).rpartition(".")[2]
    if status != "NoError":
        return {"status": status}
    # Its genus is that of one part; the Euler number counts all.
    return {
        "status": status,
        "mesh.volume": float(solid.volume()),
        "mesh.euler_number": 2 - 2 * int(solid.genus()),
    }


def _neatmesh(tool: Any, path: Path, mesh: Mesh) -> Answers:
    if path.suffix.lower() not in (".obj", ".ply", ".stl"):
        raise _NotApplicable(f"it does not read {path.suffix.lower()[1:]} files")
    if len(mesh.faces) > _MOST_FACES_NEATMESH:
        raise _NotApplicable(
            f"it visits faces one by one in Python: asked up to {_MOST_FACES_NEATMESH}, and this "
            f"mesh has {len(mesh.faces)}"
        )
    found = tool.read(str(path))
    return {"mesh.area": float(np.sum(found.face_areas)), "mesh.faces": int(found.n_faces)}


TOOLS: dict[str, tuple[str, str, Callable[[Any, Path, Mesh], Answers]]] = {
    "trimesh": ("trimesh", "trimesh", _trimesh),
    "libigl": ("igl", "libigl", _libigl),
    "Open3D": ("open3d", "open3d", _open3d),
    "manifold3d": ("manifold3d", "manifold3d", _manifold3d),
    "neatmesh": ("neatmesh", "neatmesh", _neatmesh),
}
"""Module, package and question, by the name of the tool."""
