# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One synthetic set of cameras around an ellipsoid, written in every layout."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast.data import Camera

CENTRE = np.array([0.2, -0.1, 0.3])
RADII = np.array([0.5, 0.3, 0.7])
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def look_at(eye, target, up) -> np.ndarray:
    """camera_from_world of a level camera, +X right, +Y down, +Z forward."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ eye
    return pose


def make_cameras(count: int = 12, general: bool = False, up=(0.0, 0.0, 1.0)) -> list[Camera]:
    """Cameras on a wavy ring; ``general`` ones have unequal focal lengths and a shifted centre."""
    up = np.array(up)
    side = np.eye(3)[np.abs(up).argmin()]
    side = np.cross(up, side) / np.linalg.norm(np.cross(up, side))
    cameras = []
    for i in range(count):
        angle, height = 2 * np.pi * i / count, 0.9 + 0.8 * np.sin(1.7 * i)
        eye = CENTRE + 3 * (np.cos(angle) * side + np.sin(angle) * np.cross(up, side)) + height * up
        fx, fy, cx, cy = (90, 93, 30.7, 25.1) if general else (90, 90, 32, 24)
        cameras.append(Camera(64, 48, fx, fy, cx, cy, look_at(eye, CENTRE + 0.05 * i / count, up)))
    return cameras


def render(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Alpha 0 or 255 and depth along the axis (0 outside) of the ellipsoid."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack(
        [(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1
    )
    world = rays @ camera.camera_from_world[:3, :3] / RADII
    start = (camera.center - CENTRE) / RADII
    a, b, c = (world**2).sum(-1), (world * start).sum(-1), (start**2).sum() - 1
    inside = b * b - a * c
    depth = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, 0)
    return np.where(inside > 0, 255, 0).astype(np.uint8), depth.astype(np.float32)


def photo(camera: Camera, seed: int = 0) -> np.ndarray:
    """RGBA photo of the ellipsoid."""
    alpha, depth = render(camera)
    grey = np.clip(255 - 60 * depth + seed, 0, 255).astype(np.uint8) * (alpha > 0)
    return np.dstack([grey, grey // 2 + 60, 255 - grey, alpha])


@dataclass
class Layout:
    """Writes the cameras and the photos of a capture."""

    root: Path
    cameras: list[Camera]
    mode: str = "RGBA"

    def photos(self, folder: str, suffix: str = ".png") -> list[str]:
        names = []
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        for i, camera in enumerate(self.cameras):
            name = f"{folder}/view_{i:03d}{suffix}".removeprefix("./")
            Image.fromarray(photo(camera, i)).convert(self.mode).save(self.root / name)
            names.append(name)
        return names

    def blender(self, name: str = "transforms_train.json", folder: str = "train") -> None:
        frames = [
            {
                "file_path": "./" + path.removesuffix(".png"),
                "transform_matrix": (camera.world_from_camera @ OPENGL).tolist(),
            }
            for path, camera in zip(self.photos(folder), self.cameras, strict=True)
        ]
        angle = 2 * np.arctan(self.cameras[0].width / 2 / self.cameras[0].fx)
        self.json(name, {"camera_angle_x": angle, "frames": frames})

    def nerfstudio(self, **extra: object) -> None:
        frames = []
        for path, camera in zip(self.photos("images"), self.cameras, strict=True):
            lens = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
            pose = (camera.world_from_camera @ OPENGL).tolist()
            frames.append({"file_path": path, "transform_matrix": pose, **lens})
        self.json("transforms.json", {"w": 64, "h": 48, **extra, "frames": frames})

    def json(self, name: str, data: object) -> None:
        (self.root / name).write_text(json.dumps(data), encoding="utf-8")

    def llff(self) -> None:
        self.photos("images")
        rows = []
        for camera in self.cameras:
            pose = camera.world_from_camera[:3]
            right, down, forward, centre = pose.T
            size = np.array([camera.height, camera.width, camera.fx])
            rows.append([*np.stack([down, right, -forward, centre, size], axis=1).ravel(), 1, 9])
        np.save(self.root / "poses_bounds.npy", np.array(rows))

    def idr(self) -> None:
        self.photos("image")
        arrays = {}
        for i, camera in enumerate(self.cameras):
            k = camera.intrinsics - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
            projection = np.eye(4)
            projection[:3] = k @ camera.camera_from_world[:3]
            scale = np.diag([0.8, 0.8, 0.8, 1.0])
            scale[:3, 3] = CENTRE
            factor = -2.5 if i % 2 else 0.3  # a projection is only known up to a factor
            arrays |= {f"world_mat_{i}": factor * projection, f"scale_mat_{i}": scale}
        np.savez(self.root / "cameras_sphere.npz", **arrays)

    def middlebury(self) -> None:
        lines = [str(len(self.cameras))]
        for path, camera in zip(self.photos("."), self.cameras, strict=True):
            k = camera.intrinsics - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
            pose = camera.camera_from_world
            numbers = [*k.ravel(), *pose[:3, :3].ravel(), *pose[:3, 3]]
            lines.append(" ".join([path, *(f"{float(x):.17g}" for x in numbers)]))
        (self.root / "thing_par.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def colmap_text(self, model: str = "PINHOLE", extra: tuple[float, ...] = ()) -> None:
        folder = self._sparse()
        lens, images = ["# cameras"], ["# images"]
        for i, (name, camera) in enumerate(self._colmap_rows(), start=1):
            params = (camera.fx, camera.fy, camera.cx, camera.cy, *extra)
            lens.append(" ".join(map(str, [i, model, 64, 48, *map(repr, map(float, params))])))
            q, t = quaternion(camera.camera_from_world[:3, :3]), camera.camera_from_world[:3, 3]
            images += [" ".join(map(str, [i, *map(float, q), *map(float, t), i, name])), ""]
        (folder / "cameras.txt").write_text("\n".join(lens) + "\n", encoding="utf-8")
        (folder / "images.txt").write_text("\n".join(images) + "\n", encoding="utf-8")
        (folder / "points3D.txt").write_text("# none\n", encoding="utf-8")

    def colmap_binary(self, model: int = 1, extra: tuple[float, ...] = ()) -> None:
        folder = self._sparse()
        rows = self._colmap_rows()
        lens = images = struct.pack("<Q", len(rows))
        for i, (name, camera) in enumerate(rows, start=1):
            params = (camera.fx, camera.fy, camera.cx, camera.cy, *extra)
            lens += struct.pack(f"<iiQQ{len(params)}d", i, model, 64, 48, *params)
            q, t = quaternion(camera.camera_from_world[:3, :3]), camera.camera_from_world[:3, 3]
            images += struct.pack("<i4d3di", i, *q, *t, i) + name.encode() + b"\0"
            images += struct.pack("<Q2dq", 1, 3.0, 4.0, -1)
        points = struct.pack("<Q", 1) + struct.pack("<Q3d3BdQ2i", 7, 0, 0, 0, 1, 2, 3, 0.5, 1, 1, 0)
        (folder / "cameras.bin").write_bytes(lens)
        (folder / "images.bin").write_bytes(images)
        (folder / "points3D.bin").write_bytes(points)

    def _sparse(self) -> Path:
        folder = self.root / "sparse" / "0"
        folder.mkdir(parents=True)
        return folder

    def _colmap_rows(self) -> list[tuple[str, Camera]]:
        names = [path.removeprefix("images/") for path in self.photos("images")]
        # COLMAP lists images in the order of its own numbers, not of their names.
        return list(zip(names, self.cameras, strict=True))[::-1]


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Hamilton w x y z of a rotation: the eigenvector to the largest eigenvalue (Bar-Itzhack)."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    matrix = np.array(
        [
            [a - e - i, 0, 0, 0],
            [d + b, e - a - i, 0, 0],
            [g + c, h + f, i - a - e, 0],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    x, y, z, w = np.linalg.eigh(matrix / 3)[1][:, -1]
    return np.array([w, x, y, z])


@pytest.fixture
def cameras() -> Callable[..., list[Camera]]:
    return make_cameras


@pytest.fixture
def layout(tmp_path: Path) -> Callable[..., Layout]:
    """A writer for a fresh folder with the given cameras."""

    def make(cameras: list[Camera] | None = None, mode: str = "RGBA", name: str = "capture"):
        root = tmp_path / name
        root.mkdir()
        return Layout(root, cameras or make_cameras(), mode)

    return make


@pytest.fixture
def draw() -> Callable[[Camera], tuple[np.ndarray, np.ndarray]]:
    return render


@pytest.fixture
def object_bounds() -> np.ndarray:
    return np.stack([CENTRE - RADII, CENTRE + RADII])
