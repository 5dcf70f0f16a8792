# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A finished result read back: mesh, cameras and light, in the capture's frame."""

from pathlib import Path

import numpy as np

from photocast.data import Light, Scene
from photocast.errors import UserError
from photocast.formats.cameras_json import load_cameras
from photocast.formats.environment import read_light
from photocast.formats.meshes import load_mesh

__all__ = ["CAMERAS_FILE", "LIGHT_FILE", "load_result", "mesh_file"]

CAMERAS_FILE = "cameras.json"
LIGHT_FILE = "environment.exr"
_MESH_FILES = ("mesh.glb", "mesh.obj", "mesh.ply")  # those with more of the material first


def load_result(source: Path) -> Scene:
    """Read a result.

    Args:
        source: A result folder, or a mesh file, beside which cameras and light are looked for.

    Returns:
        The scene. Without ``cameras.json`` there are no cameras and +Y is up. A light is read
        only for a mesh that needs one: what is unlit shows its own colours.

    Raises:
        UserError: The folder holds no mesh.
        MeshError: The mesh cannot be used.
        CameraError: ``cameras.json`` cannot be used.
        LightError: ``environment.exr`` cannot be used.
    """
    path = mesh_file(source)
    mesh = load_mesh(path)
    cameras, light = path.parent / CAMERAS_FILE, path.parent / LIGHT_FILE
    found = load_cameras(cameras) if cameras.is_file() else None
    up = np.array([0.0, 1.0, 0.0]) if found is None else found.up
    lit = not mesh.material.unlit and light.is_file()
    return Scene(
        mesh=mesh,
        cameras={} if found is None else found.cameras,
        light=read_light(light, up) if lit else Light(),
        up=up,
    )


def mesh_file(source: Path) -> Path:
    """Choose the mesh of a result folder; a file is its own.

    Raises:
        UserError: The folder holds no mesh.
    """
    if not source.is_dir():
        return source
    for name in _MESH_FILES:
        if (source / name).is_file():
            return source / name
    raise UserError(
        f"{source} has none of {', '.join(_MESH_FILES)}. Name a result folder, or a mesh file.",
        code="evaluate.no_mesh",
    )
