# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A job's files on the worker's disk, and its result back in the file store."""

import json
import mimetypes
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from photocast.children import ask
from photocast.config import engine_to_ask
from photocast.errors import CaptureError
from photocast.jobs.files import FileStore
from photocast.jobs.names import place
from photocast.jobs.record import Artifact, Input, Job, Kind

__all__ = ["collect", "fetch_inputs", "look_into", "media_type"]

_MOST_ITEMS = 50

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
    folder.mkdir(parents=True)
    for one in given:
        target = folder / place(one.role, one.name)
        if not target.resolve().is_relative_to(folder.resolve()):
            raise CaptureError(
                f"The name {one.name!r} leads out of the capture. Rename the file.",
                code="input.name",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        files.fetch(one.key, target)


def look_into(
    job: Job, given: Path, capture: Path, *, generates: bool, stopped: Callable[[], bool]
) -> dict[str, Any] | None:
    """Strip the photos of what they tell of people and places, then see whether they can do.

    Both happen in processes with limits, before anything heavy sees a file.

    Args:
        job: Whose files they are.
        given: As they were uploaded; removed.
        capture: Is made.
        generates: Photos without cameras will do, where the job leaves that open.
        stopped: Once true, looking ends and what is returned means nothing.

    Returns:
        Why the job cannot be done, as its error; ``None`` if nothing speaks against it.
    """
    if job.kind is not Kind.RECONSTRUCT:
        given.rename(capture)
        return None
    cleaned = ask("clean", [str(given), str(capture)], stopped=stopped)
    shutil.rmtree(given, ignore_errors=True)
    if not cleaned["ok"]:
        return _refusal(cleaned["error"])
    if job.options.get("engine") == "fake":
        return None
    names = ("engine", "preset", "max_size", "reference")
    options = {name: job.options[name] for name in names if job.options.get(name)}
    if "engine" in options:
        options["engine"] = engine_to_ask(options["engine"], weights=generates)
    words = [str(capture), "--options", json.dumps(options)]
    found = ask("preflight", words, stopped=stopped)
    if not found["ok"]:
        return _refusal(found["error"])
    if not found["errors"]:
        return None
    first, *_ = found["errors"]
    items = [
        {"pointer": f"/inputs/{name}", "code": one["code"], "detail": one["message"], "name": name}
        for one in found["errors"]
        for name in one["photos"] or [""]
    ]
    return {
        "code": first["code"],
        "detail": first["message"],
        "retryable": False,
        "errors": items[:_MOST_ITEMS],
    }


def _refusal(error: dict[str, Any]) -> dict[str, Any]:
    return {"code": error["code"], "detail": error["message"], "retryable": False}


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
