# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Hold our fusion of depth maps, and the frame of a result, against Open3D's answers.

    pip install open3d
    python benchmarks/open3d_checks.py --capture examples/sample --mesh demo/mesh.glb

Fusion: depth maps of the capture's true mesh, clean and as a Kinect would see it, are fused by us
and by Open3D's ``ScalableTSDFVolume`` with equal voxels and truncation; the error is the distance
of surface points to the true mesh. Frame: Open3D registers points of the result to the true mesh,
from where the result lies; what is left to move tells whether scores may be taken without a
registration. Prints JSON.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
import depth_noise

from photocast.config import DepthConfig
from photocast.data import Mesh, Photo
from photocast.data.grid_frame import GridFrame
from photocast.formats.meshes import load_mesh
from photocast.stages.depth_fusion import BAND, Fused, measure_depth
from photocast.stages.ingest import read_capture
from photocast.stages.render import draw, drawable

_GRID = 128  # voxels along the longest side
_POINTS = 100_000


def depth_photos(folder: Path, truth: Mesh, sensor: str, count: int) -> list[Photo]:
    """Depth of the true mesh from some of the capture's cameras."""
    item = drawable(truth)
    photos = []
    views = read_capture(folder).views
    chosen = [views[index * len(views) // count] for index in range(min(count, len(views)))]
    for number, view in enumerate(chosen):
        assert view.camera is not None
        seen = draw(item, view.camera)
        depth = seen.depth
        if sensor != "clean":
            noise = np.random.default_rng(number)
            depth = depth_noise.sense(depth, sensor, view.camera.fx, noise)
        mask = np.where(seen.depth > 0, 255, 0).astype(np.uint8)
        photos.append(Photo(f"{number}", view.camera, seen.rgb, mask, depth))
    return photos


def our_points(photos: Sequence[Photo], frame: GridFrame, box: NDArray[np.floating]) -> Any:
    """Where our fused distance is zero, on edges of the grid with both ends known (n, 3)."""
    evidence = measure_depth(photos, box, DepthConfig(), device=torch.device("cpu"))
    assert evidence is not None
    return frame.to_world(_crossings(evidence.fuse(frame)))


def _crossings(fused: Fused) -> NDArray[np.float64]:
    values, known = fused.distance.numpy().astype(np.float64), fused.weight.numpy() > 0
    found = []
    for axis in range(3):
        a = np.argwhere(np.ones(values.shape, bool))
        a = a[a[:, axis] < values.shape[axis] - 1]
        b = a + np.eye(3, dtype=int)[axis]
        p, q = values[tuple(a.T)], values[tuple(b.T)]
        good = known[tuple(a.T)] & known[tuple(b.T)] & (p * q < 0)
        share = p[good] / (p[good] - q[good])
        found.append(a[good] + share[:, None] * np.eye(3)[axis])
    return np.concatenate(found)


def their_points(o3d: Any, photos: Sequence[Photo], voxel: float) -> NDArray[np.float64]:
    """The same from Open3D, (n, 3)."""
    volume = o3d.pipelines.integration.ScalableTSDFVolume(
        voxel_length=voxel,
        sdf_trunc=BAND * voxel,
        color_type=o3d.pipelines.integration.TSDFVolumeColorType.NoColor,
    )
    for photo in photos:
        camera = photo.camera
        lens = o3d.camera.PinholeCameraIntrinsic(
            camera.width, camera.height, camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5
        )
        depth = np.where(photo.mask > 127, photo.depth, 0).astype(np.float32)
        blank = o3d.geometry.Image(np.zeros((*depth.shape, 3), np.uint8))
        rgbd = o3d.geometry.RGBDImage.create_from_color_and_depth(
            blank, o3d.geometry.Image(depth), depth_scale=1.0, depth_trunc=1e6
        )
        volume.integrate(rgbd, lens, camera.camera_from_world)
    return np.asarray(volume.extract_point_cloud().points)


def fusion(o3d: Any, folder: Path, truth: Mesh, sensor: str, count: int) -> dict[str, Any]:
    """Both errors in voxels."""
    photos = depth_photos(folder, truth, sensor, count)
    margin = 0.03 * np.ptp(truth.bounds, axis=0)
    box = truth.bounds + np.stack([-margin, margin])
    frame = GridFrame.around(box, _GRID)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(truth.vertices), o3d.core.Tensor(truth.faces.astype(np.uint32))
    )
    row: dict[str, Any] = {"sensor": sensor, "voxel": round(float(frame.voxel), 5)}
    for name, points in (
        ("ours", our_points(photos, frame, box)),
        ("open3d", their_points(o3d, photos, float(frame.voxel))),
    ):
        away = scene.compute_distance(o3d.core.Tensor(points.astype(np.float32))).numpy()
        away = away / frame.voxel
        row[name] = {
            "points": len(points),
            "mean": round(float(away.mean()), 4),
            "p95": round(float(np.percentile(away, 95)), 4),
        }
    return row


def registration(o3d: Any, mesh: Mesh, truth: Mesh) -> dict[str, float]:
    """How far Open3D would still move the result to lie on the truth."""
    clouds = [_cloud(o3d, one) for one in (mesh, truth)]
    diagonal = float(np.linalg.norm(np.ptp(truth.bounds, axis=0)))
    way = o3d.pipelines.registration.TransformationEstimationPointToPlane()
    found = o3d.pipelines.registration.registration_icp(*clouds, 0.02 * diagonal, np.eye(4), way)
    turn = np.clip((np.trace(found.transformation[:3, :3]) - 1) / 2, -1, 1)
    middle = np.append(truth.bounds.mean(axis=0), 1.0)
    moved = np.linalg.norm((found.transformation @ middle - middle)[:3])
    return {
        "turn_deg": round(float(np.degrees(np.arccos(turn))), 4),
        "shift_of_diagonal": round(float(moved) / diagonal, 6),
        "rmse_of_diagonal": round(float(found.inlier_rmse) / diagonal, 6),
        "share_within_2_percent": round(float(found.fitness), 4),
    }


def _cloud(o3d: Any, mesh: Mesh) -> Any:
    made = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.vertices.astype(np.float64)),
        o3d.utility.Vector3iVector(mesh.faces),
    )
    made.compute_vertex_normals()
    o3d.utility.random.seed(0)
    return made.sample_points_uniformly(_POINTS)


def main() -> None:
    """Run what the arguments allow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--capture", type=Path, required=True, help="with ground_truth.ply")
    parser.add_argument("--mesh", type=Path, help="a result of that capture")
    parser.add_argument("--views", type=int, default=32, help="depth maps to fuse")
    options = parser.parse_args()
    import open3d as o3d

    truth = load_mesh(options.capture / "ground_truth.ply")
    report: dict[str, Any] = {"open3d": o3d.__version__}
    report["fusion"] = [
        fusion(o3d, options.capture, truth, sensor, options.views) for sensor in ("clean", "kinect")
    ]
    if options.mesh:
        result = load_mesh(options.mesh)
        report["registration"] = registration(o3d, result, truth)
        turned = _turned(result, 3.0, 0.01 * float(np.linalg.norm(np.ptp(truth.bounds, axis=0))))
        report["registration_of_a_moved_copy"] = registration(o3d, turned, truth)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _turned(mesh: Mesh, angle_deg: float, shift: float) -> Mesh:
    """A copy that is turned about its middle and shifted along x, to see that it is found."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    middle = mesh.bounds.mean(axis=0)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
    moved = (mesh.vertices - middle) @ turn.T + middle + np.float32([shift, 0, 0])
    return replace(mesh, vertices=moved.astype(np.float32))


if __name__ == "__main__":
    main()
