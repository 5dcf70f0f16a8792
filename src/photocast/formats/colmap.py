# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""COLMAP sparse models, text and binary: ``cameras``, ``images`` and ``points3D``.

Poses are camera_from_world with our axes (+X right, +Y down, +Z forward), as a Hamilton quaternion
w x y z and a translation. Pixels are continuous with the first centre at (0.5, 0.5), as ours.
Source of the layout: https://colmap.github.io/format.html.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import Distortion, View
from photocast.errors import CameraError, CaptureError
from photocast.formats.camera_file import (
    CameraFile,
    Intrinsics,
    find_photo,
    make_camera,
    path_inside,
    view_name,
)
from photocast.formats.images import image_size
from photocast.geometry.frames import rotation_from_quaternion

__all__ = ["find_colmap", "read_colmap"]

_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", ".")

# Model number in binary files -> name and parameter count.
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}
_COUNTS = dict(_MODELS.values())
_SUPPORTED = tuple(name for name, _ in list(_MODELS.values())[:7])


@dataclass(frozen=True, slots=True)
class _Image:
    name: str
    camera_id: int
    camera_from_world: NDArray[np.float64]


def find_colmap(root: Path) -> Path | None:
    """The folder with the sparse model, if there is one."""
    for name in _FOLDERS:
        for suffix in (".bin", ".txt"):
            folder = root / name
            if (folder / f"cameras{suffix}").is_file() and (folder / f"images{suffix}").is_file():
                return folder
    return None


def read_colmap(root: Path, folder: Path) -> CameraFile:
    """Read a sparse model.

    Args:
        root: The capture; photos are in ``images/`` or directly inside.
        folder: The folder with the model, from :func:`find_colmap`.

    Raises:
        CaptureError: Files that cannot be read.
        CameraError: A camera model that is not supported, or poses that cannot be.
    """
    binary = (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file()
    suffix = ".bin" if binary else ".txt"
    cameras_path, images_path = folder / f"cameras{suffix}", folder / f"images{suffix}"
    try:
        lenses = dict(_cameras_binary(cameras_path) if binary else _cameras_text(cameras_path))
        images = list(_images_binary(images_path) if binary else _images_text(images_path))
        points = _points(folder, binary)
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise CaptureError(
            f"The COLMAP model in {folder.name}/ cannot be read ({error}); a file may have been "
            "cut short. Export it again.",
            code="capture.camera_file",
        ) from error
    found: list[tuple[_Image, Path]] = []
    missing = []
    for image in images:
        photo = _find(root, image.name, images_path)
        if photo is None:
            missing.append(image.name)
        else:
            found.append((image, photo))
    photos = [photo for _, photo in found]
    views = [_view(root, images_path, image, photo, photos, lenses) for image, photo in found]
    others = [other.name for other in sorted(folder.parent.glob("[0-9]*")) if other != folder]
    warnings: tuple[str, ...] = ()
    if folder.parent.name == "sparse" and others:
        warnings = (
            f"COLMAP made {1 + len(others)} separate models; only sparse/{folder.name} is read.",
        )
    return CameraFile(
        layout=f"colmap-{'binary' if binary else 'text'}",
        path=images_path,
        views=tuple(sorted(views, key=lambda view: view.name)),
        missing=tuple(missing),
        points=points,
        warnings=warnings,
    )


def _find(root: Path, name: str, file: Path) -> Path | None:
    path_inside(root, name, file=file)
    for folder in ("images", "image", "."):
        photo = find_photo(root / folder, name, file=file)
        if photo is not None:
            return photo
    return None


def _view(
    root: Path,
    file: Path,
    image: _Image,
    photo: Path,
    photos: list[Path],
    lenses: dict[int, Intrinsics],
) -> View:
    name = view_name(root, photo, photos)
    if image.camera_id not in lenses:
        raise CaptureError(
            f"{file.name}: {image.name} refers to camera {image.camera_id}, which the model lacks.",
            code="capture.camera_file",
        )
    camera = make_camera(
        lenses[image.camera_id], image.camera_from_world, image_size(photo), name=name, file=file
    )
    return View(name=name, image_path=photo, camera=camera)


def _intrinsics(model: str, width: int, height: int, p: tuple[float, ...]) -> Intrinsics:
    if model not in _SUPPORTED:
        raise CameraError(
            f"The COLMAP camera model {model!r} is not supported; {', '.join(_SUPPORTED)} are. Run "
            "COLMAP's image_undistorter and use its output.",
            code="camera.model",
        )
    if len(p) != _COUNTS[model]:
        raise ValueError(f"{model} has {_COUNTS[model]} parameters, got {len(p)}")
    one_focal = model in {"SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"}
    fx, fy, cx, cy = (p[0], p[0], p[1], p[2]) if one_focal else p[:4]
    rest = p[3:] if one_focal else p[4:]
    distortion = None
    if model == "OPENCV_FISHEYE":
        distortion = Distortion("fisheye", rest)
    elif any(rest):
        # k1 (k2) alone: OpenCV's order is k1 k2 p1 p2.
        radial_only = len(rest) < 4
        distortion = Distortion("opencv", (*rest, 0.0, 0.0, 0.0)[:4] if radial_only else rest)
    return Intrinsics(fx, fy, cx, cy, width, height, distortion)


def _pose(quaternion: tuple[float, ...], translation: tuple[float, ...]) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_quaternion(quaternion)
    pose[:3, 3] = translation
    return pose


def _rows(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def _cameras_text(path: Path) -> Iterator[tuple[int, Intrinsics]]:
    for line in _rows(path):
        if line.strip():
            number, model, width, height, *params = line.split()
            values = tuple(float(value) for value in params)
            yield int(number), _intrinsics(model, int(width), int(height), values)


def _images_text(path: Path) -> Iterator[_Image]:
    # Two lines per image; the second, its keypoints, may be empty.
    lines = _rows(path)
    while lines and not lines[0].strip():
        lines.pop(0)
    for line in lines[::2]:
        if line.strip():
            _, *words = line.split(maxsplit=9)
            q, t = tuple(map(float, words[:4])), tuple(map(float, words[4:7]))
            yield _Image(words[8].strip(), int(words[7]), _pose(q, t))


class _Reader:
    """Walks through a little-endian binary file."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.at = 0

    def take(self, layout: str) -> tuple[float, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        value = self.data[self.at : end].decode("utf-8")
        self.at = end + 1
        return value

    def skip(self, size: int) -> None:
        if self.at + size > len(self.data):
            raise ValueError(f"{size} bytes expected at {self.at}, {len(self.data)} in all")
        self.at += size


def _cameras_binary(path: Path) -> Iterator[tuple[int, Intrinsics]]:
    reader = _Reader(path)
    for _ in range(int(reader.take("Q")[0])):
        number, model, width, height = (int(value) for value in reader.take("iiQQ"))
        if model not in _MODELS:
            raise CameraError(
                f"{path.name}: camera {number} has the unknown model number {model}. Run COLMAP's "
                "image_undistorter and use its output.",
                code="camera.model",
            )
        name, count = _MODELS[model]
        yield number, _intrinsics(name, width, height, reader.take(f"{count}d"))


def _images_binary(path: Path) -> Iterator[_Image]:
    reader = _Reader(path)
    for _ in range(int(reader.take("Q")[0])):
        numbers = reader.take("i4d3di")
        name = reader.text()
        reader.skip(24 * int(reader.take("Q")[0]))  # x, y, point id
        yield _Image(name, int(numbers[8]), _pose(numbers[1:5], numbers[5:8]))


def _points(folder: Path, binary: bool) -> NDArray[np.float64] | None:
    path = folder / ("points3D.bin" if binary else "points3D.txt")
    if not path.is_file():
        return None
    if binary:
        reader = _Reader(path)
        found = []
        for _ in range(int(reader.take("Q")[0])):
            found.append(reader.take("Q3d")[1:])
            reader.skip(3 + 8)  # colour, error
            reader.skip(8 * int(reader.take("Q")[0]))  # track
    else:
        found = [tuple(map(float, line.split()[1:4])) for line in _rows(path) if line.strip()]
    points = np.array(found, dtype=np.float64).reshape(-1, 3)
    return points[np.isfinite(points).all(axis=1)]
