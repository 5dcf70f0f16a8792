# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""LLFF ``poses_bounds.npy``: one row of 17 numbers per photo, photos in name order.

A row is a 3x5 matrix, then the near and far depth. Its first three columns are the camera axes
(down, right, backwards) in the world, the fourth is the centre, the fifth is height, width and
focal length [px]. The principal point is the middle of the photo.
"""

from pathlib import Path

import numpy as np

from photocast.data import View
from photocast.errors import CameraError, CaptureError
from photocast.formats.camera_file import (
    CameraFile,
    Intrinsics,
    list_photos,
    make_camera,
    pick_photo_folder,
    view_name,
)
from photocast.formats.images import image_size
from photocast.formats.npy import array_from_npy
from photocast.geometry.frames import invert_rigid, nearest_rigid

__all__ = ["find_llff", "read_llff"]

_FOLDERS = ("images", "images_1", "images_2", "images_4", "images_8", ".")


def find_llff(root: Path) -> Path | None:
    """``poses_bounds.npy``, if the folder has one."""
    path = root / "poses_bounds.npy"
    return path if path.is_file() else None


def read_llff(path: Path) -> CameraFile:
    """Read the cameras; photos come from ``images/``, or a reduced ``images_4/``.

    Raises:
        CaptureError: Unreadable, or another count than there are photos.
        CameraError: Poses that cannot be.
    """
    root = path.parent
    rows = _load(path)
    folder = pick_photo_folder(root, _FOLDERS)
    photos = list_photos(folder) if folder else []
    if len(photos) != len(rows):
        raise CaptureError(
            f"{path.name} has {len(rows)} cameras but there are {len(photos)} photos in "
            f"{(folder or root / 'images').name}/. LLFF matches them by order, so the counts must "
            "agree: bring back the missing photos or remove the extra ones.",
            code="capture.photo_count",
        )
    views = []
    for row, photo in zip(rows, photos, strict=True):
        name = view_name(root, photo, photos)
        matrix = row[:15].reshape(3, 5)
        # (down, right, backwards) -> (right, down, forward).
        axes = np.stack([matrix[:, 1], matrix[:, 0], -matrix[:, 2], matrix[:, 3]], axis=1)
        try:
            world_from_camera, _ = nearest_rigid(axes)
        except CameraError as error:
            raise CameraError(f"{path.name}, photo {name}: {error}", code=error.code) from error
        height, width, focal = matrix[:, 4]
        lens = Intrinsics(focal, focal, width / 2, height / 2, width, height)
        camera = make_camera(
            lens, invert_rigid(world_from_camera), image_size(photo), name=name, file=path
        )
        views.append(View(name=name, image_path=photo, camera=camera))
    return CameraFile(layout="llff", path=path, views=tuple(views))


def _load(path: Path) -> np.ndarray:
    try:
        rows = array_from_npy(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CaptureError(
            f"{path.name} is not a readable numpy file ({error}).", code="capture.camera_file"
        ) from error
    if rows.ndim != 2 or rows.shape[1] not in {15, 17}:
        raise CaptureError(
            f"{path.name} has shape {rows.shape}; LLFF has one row of 17 numbers per photo.",
            code="capture.camera_file",
        )
    rows = rows.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise CameraError(
            f"{path.name} has NaN or infinite numbers in row {bad[0]}. Remove that photo and row, "
            "or estimate the cameras again.",
            code="camera.not_finite",
        )
    if (rows[:, [4, 9, 14]] <= 0).any():
        raise CameraError(
            f"{path.name} has a height, width or focal length that is not positive.",
            code="camera.intrinsics",
        )
    return rows
