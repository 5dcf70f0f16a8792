# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Middlebury multi-view ``*_par.txt``: P = K [R | t], +X right, +Y down, +Z forward.

First line: how many photos. Then one line each: name, K (9), R (9), t (3), matrices by rows. K maps
to integer pixel centres (the first is at 0, 0), so half a pixel is added to its principal point.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import View
from photocast.errors import CameraError, CaptureError
from photocast.formats.camera_file import (
    CameraFile,
    Intrinsics,
    find_photo,
    make_camera,
    view_name,
)
from photocast.formats.images import image_size
from photocast.geometry.frames import nearest_rigid

__all__ = ["find_middlebury", "read_middlebury"]


def find_middlebury(root: Path) -> Path | None:
    """The first ``*_par.txt``, if the folder has one."""
    return next(iter(sorted(root.glob("*_par.txt"))), None)


def read_middlebury(path: Path) -> CameraFile:
    """Read the cameras, and the object's bounding box if a README beside them names it.

    Raises:
        CaptureError: A line that cannot be read.
        CameraError: Poses that cannot be.
    """
    root = path.parent
    found: list[tuple[Path, NDArray[np.float64]]] = []
    missing = []
    for number, line in enumerate(_lines(path), start=2):
        name, *words = line.split()
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError:
            numbers = np.empty(0)
        if len(numbers) != 21:
            raise CaptureError(
                f"{path.name}, line {number}: a name and 21 numbers are needed, got "
                f"{len(words)} words after the name.",
                code="capture.camera_file",
            )
        photo = find_photo(root, name, file=path)
        if photo is None:
            missing.append(name)
        else:
            found.append((photo, numbers))
    photos = [photo for photo, _ in found]
    views = [_view(path, photo, numbers, photos) for photo, numbers in found]
    return CameraFile(
        layout="middlebury",
        path=path,
        views=tuple(sorted(views, key=lambda view: view.name)),
        missing=tuple(missing),
        box=_box(root),
    )


def _lines(path: Path) -> list[str]:
    lines = [
        line
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    if not lines or not lines[0].strip().isdigit():
        raise CaptureError(
            f"{path.name} does not begin with the number of photos.", code="capture.camera_file"
        )
    count = int(lines[0])
    if len(lines) - 1 != count:
        raise CaptureError(
            f"{path.name} announces {count} photos but has {len(lines) - 1} lines; it may have "
            "been cut short.",
            code="capture.camera_file",
        )
    return lines[1:]


def _view(path: Path, photo: Path, numbers: NDArray[np.float64], photos: list[Path]) -> View:
    name = view_name(path.parent, photo, photos)
    if not np.isfinite(numbers).all():
        raise CameraError(
            f"{path.name} gives NaN or infinite numbers for {name}.", code="camera.not_finite"
        )
    k, rotation, translation = numbers[:9].reshape(3, 3), numbers[9:18].reshape(3, 3), numbers[18:]
    pose = np.concatenate([rotation, translation[:, None]], axis=1)
    try:
        camera_from_world, scale = nearest_rigid(pose)
    except CameraError as error:
        raise CameraError(f"{path.name}, photo {name}: {error}", code=error.code) from error
    camera_from_world[:3, 3] /= scale  # [sR | t] is [R | t/s] up to a factor
    size = image_size(photo)
    lens = Intrinsics(k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5, *size)
    camera = make_camera(lens, camera_from_world, size, name=name, file=path)
    return View(name=name, image_path=photo, camera=camera)


def _box(root: Path) -> NDArray[np.float64] | None:
    # The data pages say "bounding box ... (x y z) (x y z)" in varying words.
    for readme in sorted(root.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*")):
        text = readme.read_text(encoding="utf-8", errors="replace")
        start = text.lower().find("bounding box")
        numbers = re.findall(
            r"-?\d+\.\d+(?:e-?\d+)?", text[start : start + 400] if start >= 0 else ""
        )
        if len(numbers) >= 6:
            corners = np.array([float(number) for number in numbers[:6]]).reshape(2, 3)
            return np.stack([corners.min(axis=0), corners.max(axis=0)])
    return None
