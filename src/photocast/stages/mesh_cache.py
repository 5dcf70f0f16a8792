# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Keep the meshes of finished stages, so that a killed run continues where it was.

A stage's file is named by a hash of everything that decides its result: the photos, the settings
and the stages before it. Another hash replaces the file of the same stage.
"""

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from photocast import __version__
from photocast.data import Mesh, Photo
from photocast.errors import MeshError
from photocast.ops._launch import cpu_threads

__all__ = ["MeshCache", "photo_digest"]


class MeshCache:
    """Vertices and faces by stage and by what they were made from."""

    def __init__(self, folder: Path, start: str) -> None:
        """Use a folder, made when first written; ``start`` describes the inputs."""
        self._folder = folder
        self._key = f"{__version__}|{start}"

    def get(self, stage: str, settings: object, compute: Callable[[], Mesh]) -> Mesh:
        """Load the stage's mesh, or compute and keep it.

        Args:
            stage: Its name.
            settings: Its configuration; its ``repr`` is part of the key.
            compute: Makes the mesh, from inputs already described by earlier calls.
        """
        self._key = hashlib.sha256(f"{self._key}|{stage}|{settings!r}".encode()).hexdigest()
        path = self._folder / f"{stage}-{self._key[:16]}.npz"
        if (found := _load(path)) is not None:
            return found
        mesh = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob(f"{stage}-*.npz"):
            old.unlink(missing_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, vertices=mesh.vertices, faces=mesh.faces)
        os.replace(partial, path)
        return mesh


def _load(path: Path) -> Mesh | None:
    try:
        # opened here: numpy leaves the file open if it is no archive
        with path.open("rb") as file, np.load(file) as data:
            return Mesh(vertices=data["vertices"], faces=data["faces"])
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, MeshError, zipfile.BadZipFile):
        return None  # cut short by a crash or a full disk: compute it again


def photo_digest(photos: Sequence[Photo]) -> str:
    """Hash of all that the photos say: names, cameras, colours, masks, depth."""
    digest = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(cpu_threads(), thread_name_prefix="photocast-hash") as pool:
        for part in pool.map(_digest, photos):
            digest.update(part)
    return digest.hexdigest()


def _digest(photo: Photo) -> bytes:
    camera = photo.camera
    numbers = [camera.fx, camera.fy, camera.cx, camera.cy, *camera.camera_from_world.flat]
    digest = hashlib.blake2b(f"{photo.name}|{photo.rgb.shape}|".encode(), digest_size=16)
    digest.update(np.array(numbers).tobytes())
    for array in (photo.rgb, photo.mask, photo.depth, photo.depth_confidence):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
    return digest.digest()
