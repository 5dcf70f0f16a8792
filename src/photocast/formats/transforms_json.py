# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``transforms*.json``: Blender/NeRF, instant-ngp and nerfstudio.

Poses are world_from_camera with OpenGL camera axes (+X right, +Y up, looking along -Z). Principal
points are continuous pixels with the first centre at (0.5, 0.5), as ours. World +Z is usually up.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

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
from photocast.geometry.frames import OPENCV_FROM_OPENGL, invert_rigid, nearest_rigid

__all__ = ["find_transforms", "read_transforms"]

_UNITS = {"m": 1.0, "metre": 1.0, "meter": 1.0, "cm": 0.01, "mm": 0.001, "millimetre": 0.001}
_UNITS["millimeter"] = 0.001
_PERSPECTIVE = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"}
_FISHEYE = {"OPENCV_FISHEYE", "FISHEYE"}

Json = dict[str, Any]


def find_transforms(root: Path) -> Path | None:
    """The file with the cameras for reconstruction, if the folder has one."""
    for name in ("transforms_train.json", "transforms.json"):
        if (root / name).is_file():
            return root / name
    return None


def read_transforms(path: Path) -> CameraFile:
    """Read the training file and, beside it, the test split.

    ``transforms_test.json`` is only for evaluation; ``transforms_val.json`` takes its place where
    there is no test. No other file is read.

    Raises:
        CaptureError: Unreadable, or paths that leave the folder.
        CameraError: Poses or intrinsics that cannot be.
    """
    train = _read_one(path)
    if path.name != "transforms_train.json":
        return _split_by_lists(train)
    for name in ("transforms_test.json", "transforms_val.json"):
        if (path.parent / name).is_file():
            test = _read_one(path.parent / name)
            return replace(train, test_views=test.views, warnings=train.warnings + test.warnings)
    return train


def _split_by_lists(file: CameraFile) -> CameraFile:
    # nerfstudio may list the splits inside the one file.
    data, root = _load(file.path), file.path.parent

    def listed(key: str) -> set[Path]:
        names = data.get(f"{key}_filenames")
        return {
            path_inside(root, name, file=file.path)
            for name in (names if isinstance(names, list) else [])
            if isinstance(name, str)
        }

    tests, train = listed("test") or listed("val"), listed("train")
    return replace(
        file,
        views=tuple(
            view
            for view in file.views
            if view.image_path not in tests and (not train or view.image_path in train)
        ),
        test_views=tuple(view for view in file.views if view.image_path in tests),
    )


def _read_one(path: Path) -> CameraFile:
    data = _load(path)
    found: list[tuple[Json, Path]] = []
    missing: list[str] = []
    for index, frame in enumerate(data["frames"]):
        name = frame.get("file_path") if isinstance(frame, dict) else None
        if not isinstance(name, str) or not name:
            raise CaptureError(
                f"{path.name}: frame {index} has no file_path.", code="capture.camera_file"
            )
        photo = find_photo(path.parent, name, file=path)
        if photo is None:
            missing.append(name)
        else:
            found.append((frame, photo))
    photos = [photo for _, photo in found]
    scales: list[float] = []
    views = [_view(path, data, frame, photo, photos, scales) for frame, photo in found]
    warnings = []
    odd = [scale for scale in scales if abs(scale - 1) > 1e-3]
    if odd:
        warnings.append(
            f"{path.name}: {len(odd)} of {len(scales)} poses carry a scale (such as {odd[0]:.4g}) "
            "in their rotation; it was removed."
        )
    lenses = {key for entry in (data, *(frame for frame, _ in found)) for key in entry}
    has_depth = any(view.depth_path for view in views)
    return CameraFile(
        layout="nerfstudio" if lenses & {"fl_x", "camera_model"} else "blender",
        path=path,
        views=tuple(sorted(views, key=lambda view: view.name)),
        missing=tuple(missing),
        unit="metre" if has_depth else "arbitrary",
        warnings=tuple(warnings),
    )


def _load(path: Path) -> Json:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CaptureError(
            f"{path.name} is not readable JSON ({error}). Export the cameras again.",
            code="capture.camera_file",
        ) from error
    if not isinstance(data, dict) or not isinstance(data.get("frames"), list):
        raise CaptureError(
            f"{path.name} has no list called 'frames'; it is not a cameras file in the NeRF "
            "layout.",
            code="capture.camera_file",
        )
    return data


def _view(
    path: Path, data: Json, frame: Json, photo: Path, photos: list[Path], scales: list[float]
) -> View:
    root = path.parent
    name = view_name(root, photo, photos)
    size = image_size(photo)
    pose = _matrix(path, frame, name)
    try:
        world_from_camera, scale = nearest_rigid(pose)
    except CameraError as error:
        raise CameraError(f"{path.name}, photo {name}: {error}", code=error.code) from error
    scales.append(scale)
    camera = make_camera(
        _intrinsics(path, {**data, **frame}, size, name),
        OPENCV_FROM_OPENGL @ invert_rigid(world_from_camera),
        size,
        name=name,
        file=path,
    )
    depth = frame.get("depth_file_path") or frame.get("depth_path")
    mask = frame.get("mask_path") or frame.get("mask_file_path")
    sure = frame.get("confidence_path") or frame.get("depth_confidence_path")
    return View(
        name=name,
        image_path=photo,
        camera=camera,
        mask_path=_optional_file(root, mask, path, "mask"),
        depth_path=_optional_file(root, depth, path, "depth"),
        depth_scale=_depth_scale(path, {**data, **frame}),
        confidence_path=_optional_file(root, sure, path, "confidence"),
    )


def _depth_scale(path: Path, data: Json) -> float | None:
    """World units per stored unit, where the file says so."""
    unit = data.get("depth_unit")
    if isinstance(unit, str) and unit.lower() in _UNITS:
        return _UNITS[unit.lower()]
    key = "integer_depth_scale" if unit is None else "depth_unit"
    stored = _number(path, data, key)
    if stored is not None and not 0 < stored < math.inf:
        raise CaptureError(
            f"{path.name}: {key} is {stored}; a positive number is needed.",
            code="capture.camera_file",
        )
    return stored


def _optional_file(root: Path, name: Any, file: Path, kind: str) -> Path | None:
    if not name:
        return None
    if not isinstance(name, str):
        raise CaptureError(
            f"{file.name} names the {kind} file {name!r}; a path is needed.",
            code="capture.camera_file",
        )
    path = path_inside(root, name, file=file)
    for candidate in (path, path.with_name(path.name + ".png")):
        if candidate.is_file():
            return candidate
    raise CaptureError(
        f"{file.name} names the {kind} file {name!r}, which is not there.",
        code=f"capture.{kind}_missing",
    )


def _matrix(path: Path, frame: Json, name: str) -> Any:
    try:
        pose = np.array(frame.get("transform_matrix"), dtype=np.float64)
    except (TypeError, ValueError):
        pose = np.empty(0)
    if pose.shape not in {(4, 4), (3, 4)}:
        raise CameraError(
            f"{path.name}: the transform_matrix of {name} is not 4x4 numbers.",
            code="camera.pose_shape",
        )
    if not np.isfinite(pose).all():
        raise CameraError(
            f"{path.name} gives NaN or infinite numbers for {name}. Remove that photo or estimate "
            "the cameras again.",
            code="camera.not_finite",
        )
    return pose


def _number(path: Path, data: Json, key: str, default: float | None = None) -> float | None:
    value = data.get(key)
    if value is None:
        return default
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(
            f"{path.name}: {key} is {value!r}; a number is needed.", code="camera.intrinsics"
        ) from error


def _intrinsics(path: Path, data: Json, size: tuple[int, int], name: str) -> Intrinsics:
    width = _number(path, data, "w", size[0]) or size[0]
    height = _number(path, data, "h", size[1]) or size[1]
    fx = _number(path, data, "fl_x") or _focal(_number(path, data, "camera_angle_x"), width)
    fy = _number(path, data, "fl_y") or _focal(_number(path, data, "camera_angle_y"), height)
    fx, fy = fx or fy, fy or fx  # square pixels where only one is given
    if not fx or not fy or fx <= 0 or fy <= 0:
        raise CameraError(
            f"{path.name} has no usable focal length for {name}: fl_x or camera_angle_x is needed.",
            code="camera.intrinsics",
        )
    cx, cy = _number(path, data, "cx", width / 2), _number(path, data, "cy", height / 2)
    assert cx is not None
    assert cy is not None
    return Intrinsics(fx, fy, cx, cy, width, height, _distortion(path, data))


def _focal(angle: float | None, side: float) -> float | None:
    if angle is None or not 0 < angle < math.pi:
        return None
    return side / (2 * math.tan(angle / 2))


def _distortion(path: Path, data: Json) -> Distortion | None:
    model = str(data.get("camera_model", "OPENCV")).upper()
    if data.get("is_fisheye"):
        model = "OPENCV_FISHEYE"
    k1, k2, k3, k4, p1, p2 = (
        _number(path, data, key, 0.0) or 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2")
    )
    if model in _FISHEYE:
        return Distortion("fisheye", (k1, k2, k3, k4))
    if model not in _PERSPECTIVE:
        raise CameraError(
            f"{path.name} uses the camera model {model}, which is not supported. Undistort the "
            "photos to a pinhole camera first.",
            code="camera.model",
        )
    if k4:
        # nerfstudio's fourth radial term has no counterpart in OpenCV's model of this order.
        raise CameraError(
            f"{path.name} uses k4 = {k4:g} in a perspective lens, which is not supported. "
            "Undistort the photos to a pinhole camera first.",
            code="camera.model",
        )
    if model in {"PINHOLE", "SIMPLE_PINHOLE"} or not any((k1, k2, k3, p1, p2)):
        return None
    return Distortion("opencv", (k1, k2, p1, p2, k3) if k3 else (k1, k2, p1, p2))
