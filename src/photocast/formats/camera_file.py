# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every camera format has in common: its photos on disk, and what it says about them."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Distortion, View
from photocast.errors import CameraError, CaptureError
from photocast.formats.images import PHOTO_SUFFIXES

__all__ = [
    "CameraFile",
    "Intrinsics",
    "find_photo",
    "list_photos",
    "make_camera",
    "path_inside",
    "pick_photo_folder",
    "view_name",
]

_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class CameraFile:
    """One camera file, matched to the photos that are there."""

    layout: str
    path: Path
    """The file, for messages."""
    views: tuple[View, ...]
    test_views: tuple[View, ...] = ()
    missing: tuple[str, ...] = ()
    """Photos that it names and that are absent."""
    box: NDArray[np.float64] | None = None
    """Object bounds (2, 3), where the format names or implies them."""
    points: NDArray[np.float64] | None = None
    """Sparse points of the scene (n, 3), where the format has them."""
    unit: Literal["metre", "arbitrary"] = "arbitrary"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A lens as a camera file states it, in continuous pixels of the size that it names."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: float
    height: float
    distortion: Distortion | None = None


def make_camera(
    intrinsics: Intrinsics,
    camera_from_world: NDArray[np.float64],
    size: tuple[int, int],
    *,
    name: str,
    file: Path,
) -> Camera:
    """Build the camera of a photo, scaled where the stored photo has another size.

    Args:
        intrinsics: For the size that the camera file names.
        camera_from_world: 4x4, OpenCV axes.
        size: Width and height of the stored photo [px].
        name: The photo, for messages.
        file: The camera file, for messages.

    Raises:
        CameraError: Not finite, not a rotation, or another aspect ratio than the photo's.
    """
    width, height = size
    numbers = (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy)
    stated_width, stated_height = float(intrinsics.width), float(intrinsics.height)
    if not stated_width * stated_height or not math.isfinite(stated_width * stated_height):
        raise CameraError(
            f"{file.name} gives {name} a size of {stated_width:g}x{stated_height:g} px. "
            "Export the cameras again.",
            code="camera.intrinsics",
        )
    if not (all(map(math.isfinite, numbers)) and np.isfinite(camera_from_world).all()):
        raise CameraError(
            f"{file.name} gives NaN or infinite numbers for {name}. Remove that photo or estimate "
            "the cameras again.",
            code="camera.not_finite",
        )
    sx, sy = width / stated_width, height / stated_height
    if not (sy > 0 and abs(sx / sy - 1) <= _ASPECT_TOLERANCE):
        raise CameraError(
            f"{name} is {width}x{height} px, but {file.name} describes a photo of "
            f"{stated_width:g}x{stated_height:g}. Use the photos that the cameras were "
            "computed from, uncropped and as stored (EXIF rotation is not applied).",
            code="camera.size",
        )
    try:
        return Camera(
            width=width,
            height=height,
            fx=float(intrinsics.fx * sx),
            fy=float(intrinsics.fy * sy),
            cx=float(intrinsics.cx * sx),
            cy=float(intrinsics.cy * sy),
            camera_from_world=camera_from_world,
            distortion=intrinsics.distortion,
        )
    except CameraError as error:
        raise CameraError(f"{file.name}, photo {name}: {error}", code=error.code) from error


def path_inside(root: Path, name: str, *, file: Path) -> Path:
    """Join a path that a file names, refusing one that leaves the capture folder.

    Links inside the folder are the owner's and are followed: photos often lie on another disk.

    Raises:
        CaptureError: Absolute, or climbing out with ``..``.
    """
    relative = os.path.normpath(name.replace("\\", "/"))
    path = root / relative
    if os.path.isabs(relative) or relative.split(os.sep)[0] == ".." or ":" in relative[:2]:
        raise CaptureError(
            f"{file.name} names {name!r}, which lies outside the capture folder. Put the photos "
            "inside the folder and write paths relative to it.",
            code="capture.path_outside",
        )
    return path


def find_photo(root: Path, name: str, *, file: Path) -> Path | None:
    """Find a photo by the name that a camera file gives, with or without its extension."""
    path = path_inside(root, name, file=file)
    if path.is_file():
        return path
    for suffix in sorted(PHOTO_SUFFIXES):
        for candidate in (path.with_name(path.name + suffix), path.with_suffix(suffix)):
            if candidate.is_file():
                return candidate
    return None


def list_photos(folder: Path) -> list[Path]:
    """Photos directly in a folder, in name order; hidden files do not count."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
    )


def pick_photo_folder(root: Path, names: Sequence[str]) -> Path | None:
    """The first of ``names`` under ``root`` that holds photos; ``.`` is the root itself."""
    for name in names:
        if list_photos(root / name):
            return root / name
    return None


def view_name(root: Path, path: Path, paths: Sequence[Path]) -> str:
    """A photo's name: its stem, with folders where another photo has the same stem."""
    if sum(other.stem == path.stem for other in paths) == 1:
        return path.stem
    relative = path.relative_to(root)
    same_folder = sum(other.stem == path.stem and other.parent == path.parent for other in paths)
    return (relative.with_suffix("") if same_folder == 1 else relative).as_posix()
