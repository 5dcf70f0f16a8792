# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""IDR and NeuS ``cameras*.npz``: ``world_mat_i`` maps the world to pixels, photos in name order.

``world_mat_i`` is K [R | t] as a 4x4 matrix of any scale, split here by RQ decomposition; pixels
are integer centres (the first at 0, 0), so half a pixel is added. ``scale_mat_i`` maps the unit
sphere around the object into the world, which gives the object's box; the world stays as it is.
"""

import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from photocast.geometry.frames import decompose_projection

__all__ = ["find_idr", "read_idr"]

_FILES = ("cameras_sphere.npz", "cameras.npz", "cameras_large.npz")
_FOLDERS = ("image", "images", "rgb", ".")
_MATRIX_BYTES = 4096  # a 4x4 matrix and its header take 256
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def find_idr(root: Path) -> Path | None:
    """The first known ``cameras*.npz``, if the folder has one."""
    known = [root / name for name in _FILES if (root / name).is_file()]
    return next(iter([*known, *sorted(root.glob("cameras*.npz"))]), None)


def read_idr(path: Path) -> CameraFile:
    """Read the cameras and the object's box.

    Raises:
        CaptureError: Unreadable, or another count than there are photos.
        CameraError: Matrices that cannot be.
    """
    root = path.parent
    arrays = _load(path)
    indices = sorted(int(key[10:]) for key in arrays if re.fullmatch(r"world_mat_\d+", key))
    folder = pick_photo_folder(root, _FOLDERS)
    photos = list_photos(folder) if folder else []
    if not indices or len(photos) != len(indices):
        raise CaptureError(
            f"{path.name} has {len(indices)} cameras (world_mat_0, ...) but there are "
            f"{len(photos)} photos in {(folder or root / 'image').name}/. They are matched by "
            "order, so the counts must agree.",
            code="capture.photo_count",
        )
    views, skews = [], []
    for index, photo in zip(indices, photos, strict=True):
        view, skew = _view(path, arrays[f"world_mat_{index}"], photo, photos)
        views.append(view)
        skews.append(abs(skew))
    warnings = []
    if max(skews) > 0.5:
        warnings.append(
            f"{path.name}: the pixels are skewed by up to {max(skews):.2g} px; it is ignored."
        )
    boxes = [_box(arrays[f"scale_mat_{i}"]) for i in indices if f"scale_mat_{i}" in arrays]
    boxes = [box for box in boxes if np.isfinite(box).all()]
    return CameraFile(
        layout="idr",
        path=path,
        views=tuple(views),
        box=np.median(boxes, axis=0) if boxes else None,
        warnings=tuple(warnings),
    )


def _load(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        with zipfile.ZipFile(path) as file:
            arrays = {
                name.removesuffix(".npy"): _matrix(file, name)
                for name in file.namelist()
                if re.fullmatch(r"(world|scale)_mat_\d+\.npy", name)
            }
    except _UNREADABLE as error:
        raise CaptureError(
            f"{path.name} is not a readable numpy archive ({str(error)[:200]}). Export it again.",
            code="capture.camera_file",
        ) from error
    for key, array in arrays.items():
        if array.shape not in {(4, 4), (3, 4)}:
            raise CaptureError(
                f"{path.name}: {key} has shape {array.shape}; 4x4 is needed.",
                code="capture.camera_file",
            )
        if not np.isfinite(array).all():
            raise CameraError(
                f"{path.name}: {key} has NaN or infinite numbers.", code="camera.not_finite"
            )
    return arrays


def _matrix(file: zipfile.ZipFile, name: str) -> NDArray[np.float64]:
    with file.open(name) as member:
        data = member.read(_MATRIX_BYTES)  # what it announces is not what is unpacked
    return array_from_npy(data).astype(np.float64)


def _view(
    path: Path, matrix: NDArray[np.float64], photo: Path, photos: list[Path]
) -> tuple[View, float]:
    name = view_name(path.parent, photo, photos)
    try:
        k, camera_from_world = decompose_projection(matrix[:3])
    except CameraError as error:
        raise CameraError(f"{path.name}, photo {name}: {error}", code=error.code) from error
    size = image_size(photo)
    lens = Intrinsics(k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5, *size)
    camera = make_camera(lens, camera_from_world, size, name=name, file=path)
    return View(name=name, image_path=photo, camera=camera), float(k[0, 1])


@np.errstate(over="ignore", invalid="ignore")  # such a box is left out
def _box(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    # The unit sphere's axis-aligned bounds: centre plus or minus the length of each row.
    reach = np.linalg.norm(scale[:3, :3], axis=1)
    return np.stack([scale[:3, 3] - reach, scale[:3, 3] + reach])
