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
    "MAX_PIXELS",
    "MAX_SIDE",
    "PHOTO_SUFFIXES",
    "BoundedFile",
    "image_orientation",
    "image_size",
    "open_photo",
    "read_mask",
    "read_photo",
    "read_reduced",
    "write_png",
]

PHOTO_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
MAX_SIDE = 8192
"""Larger sides are refused before decoding, against decompression bombs [px]."""
MAX_PIXELS = 60_000_000
"""Of a photo; cameras that people have stay below."""

# Only these decoders ever see the bytes, whatever a file's name or contents say.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
_ORIENTATION_TAG = 274
_ROWS_AT_ONCE = 256


class BoundedFile(io.BufferedReader):
    """A file that is never asked for more than it has.

    Pillow reads as many bytes as a chunk announces, and Python takes memory for all of them first.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


@contextmanager
def open_photo(path: Path) -> Iterator[Image.Image]:
    """Open an image file of a size that we read, with its pixels not yet decoded.

    Raises:
        CaptureError: Unreadable, too large, or of no format that we read; also for what goes wrong
            with the image while it is open.
    """
    # Pillow raises many kinds of errors on broken files; they all become one sentence here.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked below, before decoding
            with BoundedFile(io.FileIO(path)) as file, Image.open(file, formats=_FORMATS) as image:
                _check_size(path, *image.size)
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


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise CaptureError(
            f"{path.name} is {width}x{height} px; at most {MAX_SIDE} px a side and "
            f"{MAX_PIXELS // 1_000_000} megapixels are read. Make the photos smaller first.",
            code="capture.image_too_large",
        )


def image_size(path: Path) -> tuple[int, int]:
    """Read width and height [px] from a file's header, as stored."""
    with open_photo(path) as image:
        return image.size


def image_orientation(path: Path) -> int:
    """The EXIF orientation tag, 1 (as stored) where there is none."""
    with open_photo(path) as image:
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
        CaptureError: Unreadable, cut short, or larger than ``MAX_SIDE`` or ``MAX_PIXELS``.
    """
    with open_photo(path) as image:
        return _decode(path, image)


def read_reduced(path: Path, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Decode a photo to a small picture; all of the file is read, so damage is found.

    Args:
        path: As for :func:`read_photo`.
        side: Longer side of the result, at most [px]; smaller photos stay as they are.

    Returns:
        sRGB (h, w, 3) and alpha (h, w) or ``None``, as from :func:`read_photo`.

    Raises:
        CaptureError: As for :func:`read_photo`.
    """
    with open_photo(path) as image:
        factor = min(1.0, side / max(image.size))
        width, height = (max(1, round(length * factor)) for length in image.size)
        image.draft("", (width, height))  # a JPEG's blocks need not be made in full
        whole = max(image.size) // side
        if whole > 1 and image.mode in {"RGB", "RGBA"} and not _is_deep_colour(path, image):
            rgb, alpha = _decode(path, image.reduce(whole))  # before more copies are made
        else:
            rgb, alpha = _decode(path, image)
    if rgb.shape[:2] == (height, width):
        return rgb, alpha
    return _resized(rgb, width, height), None if alpha is None else _resized(alpha, width, height)


def _resized(array: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _decode(path: Path, image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    if _is_deep_colour(path, image):
        return _read_deep(path, image.size)
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
    if image.format not in {"PNG", "TIFF"} or image.mode not in {"RGB", "RGBA", "LA"}:
        return False
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24:] == b"\x10"
    bits = getattr(image, "tag_v2", {}).get(258, (8,))
    return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)


def _read_deep(
    path: Path, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    import cv2

    try:
        array = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        array = None
    # Two decoders may read a damaged header differently; only the first one's size was checked.
    if array is None or array.shape[1::-1] != size:
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
    # Integers deeper than 8 bits are full-scale 16 bit; floats are taken as 0..1. In bands, because
    # the numbers in between take four times the memory of a photo.
    found = np.empty(array.shape, np.uint8)
    for top in range(0, len(array), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        found[rows] = np.clip(np.rint(_to_255(array[rows])), 0, 255)
    return found


def _to_255(array: NDArray[np.generic]) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = array.astype(np.float32)
    if array.dtype == np.uint8:
        return numbers
    if array.dtype.kind == "f":
        return np.nan_to_num(numbers) * np.float32(255)
    return numbers / np.float32(257)


def read_mask(path: Path, *, side: int | None = None) -> NDArray[np.uint8]:
    """Decode a mask file: alpha if it has one that says something, brightness otherwise.

    Args:
        path: As for :func:`read_photo`.
        side: Longer side of the result, at most [px]; ``None`` keeps the size.

    Returns:
        Coverage 0..255, (h, w). A 0/1 file (no value above 1) is stretched to 0/255.
    """
    rgb, alpha = read_photo(path) if side is None else read_reduced(path, side)
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
