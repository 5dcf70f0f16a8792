# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A job's files on the worker's disk, and its result back in the file store."""

import mimetypes
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from photocast.errors import CaptureError
from photocast.jobs.files import FileStore
from photocast.jobs.names import place
from photocast.jobs.record import Artifact, Input, Job

__all__ = ["collect", "fetch_inputs", "media_type"]

_TYPES = {
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".obj": "model/obj",
    ".mtl": "model/mtl",
    ".stl": "model/stl",
    ".3mf": "model/3mf",
    ".usdz": "model/vnd.usdz+zip",
    ".ply": "application/octet-stream",
    ".exr": "image/x-exr",
    ".webp": "image/webp",
    ".bin": "application/octet-stream",
}


def fetch_inputs(files: FileStore, given: Iterable[Input], folder: Path) -> None:
    """Put a job's files where the engines look for them.

    Args:
        files: Where they are stored.
        given: What the job has.
        folder: The capture; what lies there from an earlier attempt is replaced.

    Raises:
        CaptureError: A name leads out of the folder.
        StorageError: A file cannot be had.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for one in given:
        target = folder / place(one.role, one.name)
        if not target.resolve().is_relative_to(folder.resolve()):
            raise CaptureError(
                f"The name {one.name!r} leads out of the capture. Rename the file.",
                code="input.name",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        files.fetch(one.key, target)


def collect(files: FileStore, job: Job, out: Path) -> list[Artifact]:
    """Store what an attempt has made; hidden files are the attempt's own.

    Raises:
        StorageError: There is no room, or the store does not answer.
    """
    return [_stored(files, job, out, path) for path in _made(out)]


def media_type(name: str) -> str:
    """What a file is, by its name."""
    suffix = Path(name).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _made(out: Path) -> Iterator[Path]:
    for path in sorted(out.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(out).parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            yield path


def _stored(files: FileStore, job: Job, out: Path, path: Path) -> Artifact:
    name = path.relative_to(out).as_posix()
    stored = files.put(f"artifacts/{job.id}/{job.attempt}/{name}", path)
    return Artifact(
        name=name,
        key=stored.key,
        sha256=stored.sha256,
        size=stored.size,
        media_type=media_type(name),
    )
