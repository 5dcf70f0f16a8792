# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Our fusion of depth beside that of Open3D, on a shape that is known; prints rows for the docs.

Run ``python benchmarks/fusion.py`` with Open3D installed (extra open3d). The depth is computed from
the sample rocket, from all around, and spoiled as sensors do (``depth_noise.py``).
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from depth_noise import sense

from photocast.config import DepthConfig
from photocast.data import Camera, Mesh, Photo
from photocast.data.grid_frame import GridFrame
from photocast.formats.meshes import load_mesh
from photocast.ops.isosurface import marching_cubes
from photocast.stages.depth_fusion import measure_depth
from photocast.stages.mesh_distance import MeshScores, mesh_distances
from photocast.stages.open3d_door import NO_OPEN3D, open3d
from photocast.stages.open3d_fusion import fused_by_open3d
from photocast.stages.orbit import orbit_camera
from photocast.stages.render import draw, drawable

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
VIEWS, SIZE, RESOLUTION = 24, 320, 128
log = logging.getLogger(__name__)

Spoil = Callable[[np.ndarray, Camera, int], np.ndarray]


def sensor(name: str) -> Spoil:
    """What a sensor makes of depth in metres."""
    return lambda depth, camera, n: sense(depth, name, camera.fx, np.random.default_rng(n))


def one_wrong(depth: np.ndarray, camera: Camera, number: int) -> np.ndarray:
    """Every eighth map is too long by 3 %."""
    return (depth * (1.03 if number % 8 == 4 else 1.0)).astype(np.float32)


CASES: dict[str, Spoil] = {
    "clean": sensor("clean"),
    "kinect": sensor("kinect"),
    "arkit": sensor("arkit"),
    "one map of eight 3 % too long": one_wrong,
}


def photos_of(truth: Mesh, spoil: Spoil) -> list[Photo]:
    """Depth of a mesh from around, from below to above."""
    item, found = drawable(truth, CPU), []
    for n in range(VIEWS):
        camera = orbit_camera(
            truth.vertices,
            np.array([0.0, 1.0, 0.0]),
            azimuth_deg=360 * n * 0.382,
            elevation_deg=-60 + 120 * (n + 0.5) / VIEWS,
            size=(SIZE, SIZE),
        )
        depth = draw(item, camera, supersample=1).depth
        mask = np.where(depth > 0, 255, 0).astype(np.uint8)
        seen = spoil(depth, camera, n)
        found.append(Photo(f"{n}", camera, np.zeros((SIZE, SIZE, 3), np.uint8), mask, seen))
    return found


def frame_of(truth: Mesh) -> GridFrame:
    """The grid that both fuse into, at least in the size of its cells."""
    return GridFrame.around(truth.bounds.astype(np.float64), RESOLUTION)


def ours(photos: Sequence[Photo], frame: GridFrame, box: np.ndarray) -> Mesh:
    """The surface of our fusion, where it was measured."""
    evidence = measure_depth(photos, box, DepthConfig(fit_scale="none"), device=CPU)
    assert evidence is not None
    fused = evidence.fuse(frame)
    # Where nothing is known there is no surface: behind the band is inside.
    field = torch.where(fused.weight > 0, fused.distance, -3.0)
    points, faces = (part.numpy() for part in marching_cubes(field, border=3.0))
    known = fused.weight.numpy() > 0
    cell = np.clip(np.floor(points).astype(int), 0, np.array(frame.size) - 2)
    sure = np.ones(len(points), bool)
    for corner in np.ndindex(2, 2, 2):
        sure &= known[tuple((cell + corner).T)]
    return Mesh(frame.to_world(points).astype(np.float32), faces[sure[faces].all(axis=1)])


def both(truth: Mesh, spoil: Spoil, tool: object) -> tuple[MeshScores, MeshScores]:
    """Scores of our surface and of Open3D's."""
    photos, frame = photos_of(truth, spoil), frame_of(truth)
    own = ours(photos, frame, truth.bounds.astype(np.float64))
    other = fused_by_open3d(tool, photos, frame)
    first, second = (mesh_distances(made, truth, point_count=20_000) for made in (own, other))
    return first, second


def scaled(mesh: Mesh, size: float) -> Mesh:
    """As large as asked for [m], since sensors err in metres."""
    factor = size / float(np.ptp(mesh.vertices, axis=0).max())
    return Mesh((mesh.vertices * factor).astype(np.float32), mesh.faces)


def sample() -> Mesh:
    """The rocket, 1.5 m high."""
    return scaled(load_mesh(ROOT / "examples" / "sample" / "ground_truth.ply"), 1.5)


def main() -> None:
    """Print the table."""
    tool = open3d()
    if tool is None:
        raise SystemExit(NO_OPEN3D)
    truth = sample()
    log.info("| depth | fused by | Chamfer | accuracy | completeness | F-score at 0.5 % |\n"
             "| --- | --- | --- | --- | --- | --- |")  # fmt: skip
    for name, spoil in CASES.items():
        for whose, scores in zip(("ours", "Open3D"), both(truth, spoil, tool), strict=True):
            log.info(
                "| %s | %s | %.3f %% | %.3f %% | %.3f %% | %.3f |",
                name, whose, 100 * scores.chamfer, 100 * scores.accuracy,
                100 * scores.completeness, scores.f_score_half_percent,
            )  # fmt: skip


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
