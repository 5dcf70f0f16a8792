# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Keep the meshes of finished stages, so that a killed run continues where it was.

A stage's file is named by a hash of everything that decides its result: the photos, the settings
and the stages before it. Another hash replaces the file of the same stage.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from photocast import __version__
from photocast.data import Mesh, Photo
from photocast.errors import MeshError
from photocast.threads import cpu_threads

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
        path = self._path(stage, settings, ".npz")
        if (found := _load(path)) is not None:
            return found
        mesh = compute()
        partial = self._make_room(stage, path)
        with partial.open("wb") as file:
            np.savez(file, vertices=mesh.vertices, faces=mesh.faces)
        os.replace(partial, path)
        return mesh

    def document(
        self, stage: str, settings: object, compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Load what a stage found out, or compute and keep it; as :meth:`get`, but JSON."""
        path = self._path(stage, settings, ".json")
        try:
            found = json.loads(path.read_bytes())
            if isinstance(found, dict):
                return found
        except (OSError, ValueError):
            pass  # not there, or cut short by a crash: compute it
        document = compute()
        partial = self._make_room(stage, path)
        partial.write_text(json.dumps(document), encoding="utf-8")
        os.replace(partial, path)
        return document

    def _path(self, stage: str, settings: object, suffix: str) -> Path:
        self._key = hashlib.sha256(f"{self._key}|{stage}|{settings!r}".encode()).hexdigest()
        return self._folder / f"{stage}-{self._key[:16]}{suffix}"

    def _make_room(self, stage: str, path: Path) -> Path:
        """Remove the stage's older files; where to write the new one until it is complete."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob(f"{stage}-*{path.suffix}"):
            old.unlink(missing_ok=True)
        return path.with_suffix(".partial")


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
