# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos and masks: any common image file to 8-bit sRGB, coverage, or an early, clear refusal.

Pixels are read as they are stored: an EXIF orientation tag is not applied, because camera files
(COLMAP, instant-ngp, LLFF) are computed from the stored rows and columns. Embedded colour profiles
are not applied either; values are taken as sRGB.
"""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from photocast.errors import CaptureError, UserError

__all__ = [
    "MAX_SIDE",
    "PHOTO_SUFFIXES",
    "BoundedFile",
    "image_orientation",
    "image_size",
    "read_mask",
    "read_photo",
    "write_png",
]

PHOTO_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
MAX_SIDE = 8192
"""Larger sides are refused before decoding, against decompression bombs [px]."""

_ORIENTATION_TAG = 274


class BoundedFile(io.BufferedReader):
    """A file that is never asked for more than it has.

    Pillow reads as many bytes as a chunk announces, and Python takes memory for all of them first.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    # Pillow raises many kinds of errors on broken files; they all become one sentence here.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked below, before decoding
            with BoundedFile(io.FileIO(path)) as file, Image.open(file) as image:
                width, height = image.size
                if max(width, height) > MAX_SIDE:
                    raise CaptureError(
                        f"{path.name} is {width}x{height} px; at most {MAX_SIDE}x{MAX_SIDE} is "
                        "read. Make the photos smaller first.",
                        code="capture.image_too_large",
                    )
                yield image
    except FileNotFoundError as error:
        raise CaptureError(f"{path.name} is not there.", code="capture.image_missing") from error
    except Image.DecompressionBombError as error:
        raise CaptureError(
            f"{path.name} claims an enormous size; at most {MAX_SIDE}x{MAX_SIDE} px is read.",
            code="capture.image_too_large",
        ) from error
    except UnidentifiedImageError as error:
        raise CaptureError(
            f"{path.name} is not an image that can be read. Save it again as PNG or JPEG.",
            code="capture.image_unreadable",
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise CaptureError(
            f"{path.name} is damaged or cut short ({error}). Copy or export it again.",
            code="capture.image_unreadable",
        ) from error


def image_size(path: Path) -> tuple[int, int]:
    """Read width and height [px] from a file's header, as stored."""
    with _open(path) as image:
        return image.size


def image_orientation(path: Path) -> int:
    """The EXIF orientation tag, 1 (as stored) where there is none."""
    with _open(path) as image:
        # Pillow would decode all of a PNG to look for the tag behind the pixels.
        exif = Image.Image.getexif(image) if image.format == "PNG" else image.getexif()
        return int(exif.get(_ORIENTATION_TAG, 1))


def read_photo(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Decode a photo.

    Args:
        path: An image of any mode; 16-bit values are rounded to 8 bits, grey is repeated, CMYK and
            palettes are converted.

    Returns:
        sRGB (h, w, 3), straight; and alpha (h, w), or ``None`` if the file has none.

    Raises:
        CaptureError: Unreadable, cut short, or larger than ``MAX_SIDE``.
    """
    with _open(path) as image:
        if image.format in {"PNG", "TIFF"} and _is_deep_colour(path, image):
            return _read_deep(path)
        if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
            grey = _grey_to_bytes(np.asarray(image))
            return np.repeat(grey[..., None], 3, axis=2), None
        if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
            rgba = np.asarray(image.convert("RGBA"))
            return np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
        return np.array(image.convert("RGB")), None


def _is_deep_colour(path: Path, image: Image.Image) -> bool:
    # Pillow drops the low byte of 16-bit colour; OpenCV keeps it. Byte 24 of a PNG is its bit
    # depth, tag 258 of a TIFF its bits per sample.
    if image.mode not in {"RGB", "RGBA", "LA"}:
        return False
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24:] == b"\x10"
    bits = getattr(image, "tag_v2", {}).get(258, (8,))
    return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)


def _read_deep(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    import cv2

    array = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise CaptureError(
            f"{path.name} is damaged or cut short. Copy or export it again.",
            code="capture.image_unreadable",
        )
    channels = _grey_to_bytes(array)
    if channels.ndim == 2:
        return np.repeat(channels[..., None], 3, axis=2), None
    alpha = np.ascontiguousarray(channels[..., 3]) if channels.shape[2] == 4 else None
    return np.ascontiguousarray(channels[..., 2::-1]), alpha


def _grey_to_bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    # Integers deeper than 8 bits are full-scale 16 bit; floats are taken as 0..1.
    if array.dtype == np.uint8:
        return array.astype(np.uint8)
    if array.dtype.kind == "f":
        scaled = np.nan_to_num(array.astype(np.float32)) * np.float32(255)
    else:
        scaled = array.astype(np.float32) / np.float32(257)
    found: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return found


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Decode a mask file: alpha if it has one that says something, brightness otherwise.

    Returns:
        Coverage 0..255, (h, w). A 0/1 file (no value above 1) is stretched to 0/255.
    """
    rgb, alpha = read_photo(path)
    mask = rgb.max(axis=2) if alpha is None or alpha.min() == 255 else alpha
    if mask.max(initial=0) == 1:
        mask = mask * np.uint8(255)
    return np.ascontiguousarray(mask, dtype=np.uint8)


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write sRGB (h, w, 3), RGBA (h, w, 4) or grey (h, w) as PNG.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        Image.fromarray(image).save(path, format="PNG")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}).", code="output.unwritable"
        ) from error
