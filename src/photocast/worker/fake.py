# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine that reconstructs nothing: a sphere in two seconds, and every failure on demand.

It lets every state, error and page of the service be tried in seconds and without a GPU. Only a
service that was started with ``fake_engine`` offers it.
"""

import fcntl
import hashlib
import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.errors import CaptureError, PhotocastError
from photocast.formats.meshes import save_mesh
from photocast.progress import Progress

__all__ = ["WITNESS", "run_fake"]

WITNESS = "PHOTOCAST_FAKE_WITNESS"
"""Names a folder in which every run is written down, for tests that no job runs twice at once."""
_STEPS = 40


def run_fake(
    options: dict[str, Any], capture: Path, out: Path, progress: Progress
) -> dict[str, Any]:
    """Make a sphere, or fail as asked.

    Args:
        options: ``seconds`` (2), and ``fails``: ``input``, ``internal``, ``crash``, ``hang``,
            ``memory``, ``device`` or ``poor`` (a result with the verdict fail); ``at``: when, 0..1.
        capture: Its files are counted and hashed.
        out: Where the result goes.
        progress: Told of every step.

    Returns:
        What the result is: ``verdict`` and ``warnings``.
    """
    lock = _testify(capture.parent.name)
    seconds, fails = float(options.get("seconds", 2.0)), options.get("fails")
    at = int(_STEPS * float(options.get("at", 0.5)))
    for step in range(_STEPS):
        if step == at:
            _fail(fails)
        time.sleep(seconds / _STEPS)
        progress("work", step + 1, _STEPS)
    out.mkdir(parents=True, exist_ok=True)
    save_mesh(out / "mesh.glb", _sphere(32))
    given = sorted(path for path in capture.rglob("*") if path.is_file())
    hashes = {str(p.relative_to(capture)): _sha256(p) for p in given}
    verdict = "fail" if fails == "poor" else "pass"
    report = {"verdict": verdict, "checks": [], "warnings": [], "run": {"inputs": hashes}}
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    del lock
    return {"verdict": verdict, "warnings": []}


def _testify(job: str) -> BinaryIO | None:
    """Write down that a job runs here, and whether it runs elsewhere too.

    A run that SIGSTOP holds, together with its supervisor, does not run: it can neither go on nor
    end, and ends itself when it is let go.

    Returns:
        A lock that the kernel gives back when this process ends, however it does.
    """
    if (folder := os.environ.get(WITNESS)) is None:
        return None
    lock = (Path(folder) / f"{job}.lock").open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = "alone"
        lock.truncate(0)
        lock.write(str(os.getpid()).encode())
        lock.flush()
    except BlockingIOError:
        lock.seek(0)
        alone = "frozen" if _is_stopped(lock.read()) else "twice"
    with (Path(folder) / "runs").open("ab") as runs:
        runs.write(f"{job} {os.getpid()} {time.monotonic()} {alone}\n".encode())
    return lock


def _is_stopped(pid: bytes) -> bool:
    """Whether a process of this machine was stopped by a signal."""
    try:
        text = Path(f"/proc/{int(pid)}/stat").read_text(encoding="ascii", errors="replace")
    except (OSError, ValueError):
        return False
    return text.rpartition(")")[2].split()[0] == "T"


def _fail(how: str | None) -> None:
    if how == "input":
        raise CaptureError("The photos show nothing. Take others.", code="capture.empty")
    if how == "internal":
        raise PhotocastError("The fake engine failed, as it was told to.")
    if how == "device":
        raise PhotocastError("The fake device has no memory left.", code="memory.exhausted")
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        time.sleep(1e6)
    if how == "memory":
        hoard = []
        while True:
            hoard.append(np.ones(1 << 22))
            time.sleep(0.01)


def _sphere(count: int) -> Mesh:
    """A closed sphere of radius 1 with about ``2 * count**2`` triangles."""
    polar = np.linspace(0, np.pi, count + 1)[1:-1]
    around = np.arange(2 * count) * np.pi / count
    ring = np.stack([np.cos(around), np.zeros_like(around), np.sin(around)], axis=1)
    rows = [np.sin(p) * ring + [0.0, np.cos(p), 0.0] for p in polar]
    vertices = np.concatenate([[[0.0, 1.0, 0.0]], *rows, [[0.0, -1.0, 0.0]]])
    return Mesh(vertices=vertices.astype(np.float32), faces=_sphere_faces(count, len(vertices)))


def _sphere_faces(count: int, vertex_count: int) -> NDArray[np.int32]:
    here = np.arange(2 * count)
    there = np.roll(here, -1)
    starts = 1 + 2 * count * np.arange(count - 1)
    faces = [np.stack([np.zeros_like(here), starts[0] + there, starts[0] + here], axis=1)]
    for a, b in itertools.pairwise(starts):
        faces.append(np.stack([a + here, a + there, b + here], axis=1))
        faces.append(np.stack([a + there, b + there, b + here], axis=1))
    last = np.full_like(here, vertex_count - 1)
    faces.append(np.stack([last, starts[-1] + here, starts[-1] + there], axis=1))
    return np.concatenate(faces).astype(np.int32)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
