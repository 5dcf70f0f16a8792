# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos without cameras: find them and their masks, decode them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import Capture, Picture, View
from photocast.errors import CaptureError
from photocast.formats.camera_file import list_photos, pick_photo_folder
from photocast.formats.images import read_mask, read_photo
from photocast.progress import Progress, silent
from photocast.stages.mask import background_mask
from photocast.stages.masks_found import find_masks, require_masks

__all__ = ["decode_pictures", "find_pictures"]

_FOLDERS = (".", "images", "photos", "rgb", "train")


def find_pictures(root: Path) -> Capture:
    """Find the photos of a folder, whatever cameras lie beside them.

    Raises:
        CaptureError: No folder, no photos, or nothing that tells the object from what is behind.
    """
    if not root.is_dir():
        raise CaptureError(
            f"{root} is no folder. Give the folder with the photos.", code="capture.no_folder"
        )
    folder = pick_photo_folder(root, _FOLDERS)
    paths = list_photos(folder) if folder else []
    if not paths:
        raise CaptureError(
            f"{root.name} has no photos (PNG, JPEG, WebP, TIFF or BMP). Give the folder with the "
            "photos.",
            code="capture.no_photos",
        )
    found = tuple(View(path.stem, path, None) for path in paths)
    views, source, warnings = find_masks(root, found)
    if all(view.mask_path for view in views):
        source = "file"  # one or two photos are enough here
    up = np.array([0.0, 0.0, 1.0])  # of the object space that is generated
    capture = Capture(root, "photos", views, mask_source=source, up=up, warnings=tuple(warnings))
    require_masks(capture)
    return capture


def decode_pictures(capture: Capture, progress: Progress = silent) -> tuple[Picture, ...]:
    """Decode photos and masks at their full size.

    Raises:
        CaptureError: A file is damaged, a mask is of another size, or all masks are empty.
    """
    pictures = []
    for number, view in enumerate(capture.views):
        rgb, alpha = read_photo(view.image_path)
        pictures.append(Picture(view.name, rgb, _mask(view, rgb, alpha)))
        progress("photos", number + 1, len(capture.views))
    if not any((picture.mask > 127).any() for picture in pictures):
        raise CaptureError(
            f"All {len(pictures)} masks of {capture.root.name} are empty. They must be white where "
            "the object is.",
            code="capture.masks_empty",
        )
    return tuple(pictures)


def _mask(view: View, rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if view.mask_path is None:
        return background_mask(rgb) if alpha is None else alpha
    mask = read_mask(view.mask_path)
    if mask.shape != rgb.shape[:2]:
        raise CaptureError(
            f"The mask {view.mask_path.name} is {mask.shape[1]}x{mask.shape[0]} and its photo "
            f"{rgb.shape[1]}x{rgb.shape[0]}. Export it at the size of the photo.",
            code="capture.size",
        )
    return mask
