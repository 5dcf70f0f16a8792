# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Our charts beside those of xatlas, on the same meshes; prints rows for docs/optimize.md.

Run ``python benchmarks/atlas.py [MESH ...]``. Seconds are by the clock; xatlas uses all cores.
"""

import logging
import sys
import time
from pathlib import Path

import numpy as np
from unwrap import isosurface

from photocast.config import UnwrapConfig
from photocast.data import Mesh
from photocast.formats.meshes import load_mesh
from photocast.stages.unwrap import unwrap
from photocast.stages.validate import measure

ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger(__name__)


def row(name: str, mesh: Mesh, atlas: str) -> str:
    """Measure one atlas of one mesh."""
    notes: list[str] = []
    start = time.perf_counter()
    made = unwrap(mesh, UnwrapConfig(atlas=atlas), notes=notes)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    facts = {check.name: check.value for check in measure(made, with_thickness=False).checks}
    seams = float(facts["uv.seam_length"]) / float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
    return (
        f"| {name} | {len(mesh.faces)} | {notes[0] if notes else atlas} | {facts['uv.charts']} | "
        f"{seams:.1f} | {100 * facts['uv.used']:.0f} % | {facts['uv.stretch_p95']:.2f} | "
        f"{facts['uv.overlap']:g} | {seconds:.1f} s |"
    )


def meshes() -> dict[str, Mesh]:
    """The sample, surfaces from smooth to noisy, and what the command line names."""
    files = [ROOT / "examples" / "sample" / "ground_truth.ply", *map(Path, sys.argv[1:])]
    loaded = {path.parent.name: load_mesh(path) for path in files}
    found = {name: Mesh(mesh.vertices, mesh.faces) for name, mesh in loaded.items()}
    return found | {f"noise {n:g}": isosurface(20_000, n) for n in (0.0, 0.3, 1.0)}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("| mesh | triangles | charts by | charts | seams [diagonals] | map in use | "
             "stretch, 95th percentile | overlap | time |\n"
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")  # fmt: skip
    for label, shape in meshes().items():
        for whose in ("own", "xatlas"):
            log.info("%s", row(label, shape, whose))
