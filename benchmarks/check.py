# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How long the mesh report takes, beside Open3D and PyMeshLab where they are installed.

    python benchmarks/check.py
    python benchmarks/check.py --only structure --faces 200000

Prints JSON. Every number is from a process of its own, kernels compiled before, and is the best of
three but for the whole command and other programs, which are asked once and stopped after a while.
Seconds are those of the clock; processor seconds of all cores together do not depend on what else
the machine does. The meshes are bumpy spheres, closed and free of intersections, and two of them
pushed into each other.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh

LIMITS = {
    "structure 200000": {"seconds": 3.0, "peak_rss_mb": 1536},
    "intersections 100000": {"seconds": 0.5},
    "intersections 1000000": {"seconds": 8.0},
    "check 1000000": {"seconds": 20.0},
}
"""What must be kept on two cores, by what is measured and the number of faces."""
STOP_SECONDS = 120
RUNS = 3


def main() -> None:
    """Measure, and write the numbers to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, nargs="*", default=[100_000, 200_000, 1_000_000])
    parser.add_argument("--only", choices=sorted(WORK), nargs="*", default=sorted(WORK))
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(measured(options.work, options.file)))  # noqa: T201 the result
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in options.faces:
            for shape, mesh in (("sphere", bumpy(count)), ("two spheres", pair(count))):
                path = Path(folder) / f"{count} {shape}.ply"
                save(path, mesh)
                rows += [row(name, path, count, shape) for name in options.only]
    json.dump({"machine": machine(), "rows": rows}, sys.stdout, indent=2)


def row(name: str, path: Path, count: int, shape: str) -> dict[str, Any]:
    """Measure one thing in a process of its own."""
    command = [sys.executable, __file__, "--work", name, "--file", str(path)]
    found: dict[str, Any] = {"what": name, "faces": count, "shape": shape}
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=STOP_SECONDS
        )
        answer = process.stdout.strip().splitlines()[-1:] or ["{}"]
        found |= json.loads(answer[0]) or {"failed": process.stderr.strip()[-200:]}
    except subprocess.TimeoutExpired:
        found["stopped_after_seconds"] = STOP_SECONDS
    for key, limit in LIMITS.get(f"{name} {count}", {}).items():
        found[f"{key}_limit"] = limit
        found["met"] = found.get("met", True) and found.get(key, float("inf")) <= limit
    return found


def measured(name: str, path: Path) -> dict[str, Any]:
    """Do the work here; the best time, the peak of memory, and the answer."""
    import resource
    from resource import RUSAGE_CHILDREN, RUSAGE_SELF

    prepare, once = WORK[name]
    try:
        work = prepare(path)
    except ImportError as error:
        return {"not_run": f"{error.name} is not installed"}
    seconds, used, answer = [], [], None
    for _ in range(1 if once else RUNS):
        start, before = time.perf_counter(), sum(os.times()[:4])
        answer = work()
        seconds.append(time.perf_counter() - start)
        used.append(sum(os.times()[:4]) - before)  # this process and those it waited for
    peaks = (resource.getrusage(who).ru_maxrss for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return {
        "seconds": round(min(seconds), 3),
        "processor_seconds": round(min(used), 3),
        "peak_rss_mb": max(peaks) // 1024,
        "answer": answer,
    }


def structure(path: Path) -> Any:
    """The report without thickness and photos, from the file on."""
    from photocast.stages.validate import check_file

    check_file(small(path), "view", with_thickness=False)  # compiles the kernels
    return lambda: check_file(path, "view", with_thickness=False).report.verdict


def check(path: Path) -> Any:
    """The whole command, start of Python and all."""
    structure(path)
    script = "from photocast.cli import main; main()"
    command = [sys.executable, "-c", script, "check", str(path), "--json", f"{path}.json"]
    return lambda: subprocess.run(command, capture_output=True).returncode


def intersections(path: Path) -> Any:
    """Faces that meet others, from arrays on."""
    import torch

    from photocast.formats.meshes import load_mesh
    from photocast.ops.self_intersections import self_intersections

    structure(path)
    mesh = load_mesh(path)
    vertices, faces = torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.faces)
    return lambda: int(self_intersections(vertices, faces).sum())


def libigl(path: Path) -> Any:
    """The same question to libigl."""
    import igl.predicates

    from photocast.formats.meshes import load_mesh

    mesh = load_mesh(path)
    vertices, faces = mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)
    find = igl.predicates.find_self_intersections
    return lambda: len(np.unique(find(vertices, faces)[1]))


def open3d(path: Path) -> Any:
    """The same question to Open3D."""
    import open3d as tool

    mesh = tool.io.read_triangle_mesh(str(path))
    return lambda: len(np.unique(np.asarray(mesh.get_self_intersecting_triangles())))


def pymeshlab(path: Path) -> Any:
    """The same question to PyMeshLab."""
    import pymeshlab as tool

    meshes = tool.MeshSet()
    meshes.load_new_mesh(str(path))

    def work() -> int:
        meshes.compute_selection_by_self_intersections_per_face()
        return int(meshes.current_mesh().selected_face_number())

    return work


WORK = {
    "structure": (structure, False),
    "check": (check, True),
    "intersections": (intersections, False),
    "intersections by libigl": (libigl, True),
    "intersections by Open3D": (open3d, True),
    "intersections by PyMeshLab": (pymeshlab, True),
}
"""How to get ready, and whether once is enough."""


def bumpy(count: int) -> Mesh:
    """A closed sphere with bumps, of about as many triangles."""
    columns = int(np.sqrt(count / 2))
    rows = count // (2 * columns) + 1
    polar = np.pi * np.arange(1, rows) / rows
    turn = 2 * np.pi * np.arange(columns) / columns
    p, t = (a.ravel() for a in np.meshgrid(polar, turn, indexing="ij"))
    radius = 1 + 0.05 * np.sin(7 * t) * np.sin(9 * p) ** 2
    ring = np.stack([np.sin(p) * np.cos(t), np.sin(p) * np.sin(t), np.cos(p)], 1) * radius[:, None]
    vertices = np.vstack([[[0, 0, 1]], ring, [[0, 0, -1]]]).astype(np.float32)
    i = 1 + np.arange((rows - 1) * columns).reshape(rows - 1, columns)
    after = np.roll(i, -1, axis=1)
    a, b, c, d = (x.ravel() for x in (i[:-1], after[:-1], after[1:], i[1:]))
    last = len(vertices) - 1
    faces: NDArray[np.int64] = np.concatenate(
        [
            np.stack([np.zeros(columns, int), i[0], after[0]], 1),
            np.stack([a, d, c], 1),
            np.stack([a, c, b], 1),
            np.stack([i[-1], np.full(columns, last), after[-1]], 1),
        ]
    )
    return Mesh(vertices, faces.astype(np.int32))


def pair(count: int) -> Mesh:
    """Two of half as many triangles, one in the other."""
    one = bumpy(count // 2)
    other = one.vertices + np.float32([0.9, 0.1, 0.2])
    faces = np.concatenate([one.faces, one.faces + len(one.vertices)]).astype(np.int32)
    return Mesh(np.concatenate([one.vertices, other]), faces)


def small(path: Path) -> Path:
    """A mesh to compile kernels with."""
    other = path.parent / "small.ply"
    save(other, bumpy(2_000))
    return other


def save(path: Path, mesh: Mesh) -> None:
    """Write a mesh file."""
    from photocast.formats.meshes import save_mesh

    save_mesh(path, mesh)


def machine() -> dict[str, Any]:
    """What it ran on."""
    lines = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if Path("/proc/cpuinfo").exists()
        else []
    )
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(),
            "system": platform.system(), "python": platform.python_version()}  # fmt: skip


if __name__ == "__main__":
    main()
