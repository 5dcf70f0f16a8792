# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth maps and their confidence: distance along the viewing axis, 0 where unknown.

8/16-bit PNG, integer or float TIFF (row 0 is the top), ``.npy``, ``.exr``, ``.pfm`` (bottom row
first, turned round here) and COLMAP's ``.bin`` (``width&height&channels&`` and float32 by rows).
"""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from photocast.errors import CaptureError
from photocast.formats.images import MAX_PIXELS, MAX_SIDE, BoundedFile
from photocast.formats.npy import array_from_npy

__all__ = ["DEPTH_SUFFIXES", "is_depth", "read_confidence", "read_depth"]

DEPTH_SUFFIXES = (".exr", ".npy", ".tif", ".tiff", ".pfm", ".bin", ".png")
"""In the order in which they are looked for: exact formats first."""
_MILLIMETRE = 0.001
_FORMATS = ("PNG", "TIFF")
_MAX_BYTES = MAX_PIXELS * 8 + (1 << 16)
_NOTHING = 65504.0  # the largest half float; renderers write it, or more, where nothing is


def is_depth(path: Path) -> bool:
    """Whether a file may be depth by its header: pictures of depth, in 8 bits or colour, are not.

    A damaged file counts, so that it is named when it is read.
    """
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return path.suffix.lower() in DEPTH_SUFFIXES
    try:
        with BoundedFile(io.FileIO(path)) as file, Image.open(file, formats=_FORMATS) as image:
            return image.mode.startswith("I") or image.mode == "F"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return True


def read_depth(path: Path, scale: float | None = None) -> NDArray[np.float32]:
    """Decode a depth map.

    Args:
        path: The file.
        scale: World units per stored unit; ``None`` takes whole numbers as millimetres and
            floating point as world units.

    Returns:
        Distance along the viewing axis in world units, (h, w); 0 where unknown, not finite or not
        positive.

    Raises:
        CaptureError: Unreadable, too large, or not a single-channel image.
    """
    stored = _read(path, "depth map")
    is_float = stored.dtype.kind == "f"
    if scale is None:
        scale = 1.0 if is_float else _MILLIMETRE
    known = np.isfinite(stored) & (stored > 0)
    if is_float:
        known &= stored < _NOTHING
    depth = np.where(known, stored, 0).astype(np.float32) * np.float32(scale)
    return depth


def read_confidence(path: Path) -> NDArray[np.uint8]:
    """Decode how sure a sensor was of its depth.

    Args:
        path: Whole numbers 0, 1, 2 (ARKit: low, medium, high) or 0..255 (Polycam: 0, 127, 255), or
            floating point 0..1.

    Returns:
        0..255, (h, w). Low is not trusted at all.

    Raises:
        CaptureError: Unreadable, too large, or not a single-channel image.
    """
    stored = _read(path, "confidence map")
    share: NDArray[np.floating]
    if stored.dtype.kind == "f":
        share = np.nan_to_num(stored.astype(np.float32))
    elif stored.max() <= 2:
        share = stored.astype(np.float32) / 2
    else:
        share = stored.astype(np.float32) / (255 if stored.max() <= 255 else 65535)
    found: NDArray[np.uint8] = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return found


def _read(path: Path, kind: str) -> NDArray[Any]:
    """One number per pixel, as stored."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes; at most {_MAX_BYTES:,} are read")
        stored = _READERS.get(path.suffix.lower(), _read_image)(path)
    except (OSError, ValueError, SyntaxError, EOFError, RuntimeError) as error:
        raise CaptureError(
            f"The {kind} {path.name} cannot be read ({error}). Export it again.",
            code="capture.depth_unreadable",
        ) from error
    if stored.ndim == 3 and stored.shape[2] == 1:
        stored = stored[..., 0]
    if stored.ndim != 2 or not stored.size or stored.dtype.kind not in "uifb":
        raise CaptureError(
            f"The {kind} {path.name} has shape {stored.shape}; one number per pixel is needed.",
            code="capture.depth_shape",
        )
    return stored


def _check_side(width: int, height: int) -> None:
    """Refuse before decoding, against decompression bombs."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise ValueError(
            f"{width}x{height} px; 1 to {MAX_SIDE} a side, and at most {MAX_PIXELS:,} in all, "
            "are read"
        )


def _read_image(path: Path) -> NDArray[Any]:
    try:
        with BoundedFile(io.FileIO(path)) as file, Image.open(file, formats=_FORMATS) as image:
            _check_side(*image.size)
            return np.array(image)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def _read_npy(path: Path) -> NDArray[Any]:
    array = array_from_npy(path.read_bytes())
    if array.ndim in (2, 3):
        _check_side(*array.shape[:2])
        if array.ndim == 2 or array.shape[2] == 1:
            return np.array(array)
    return array


def _read_pfm(path: Path) -> NDArray[Any]:
    data = path.read_bytes()
    header = re.match(rb"Pf\s+(\d+)\s+(\d+)\s+(-?[\d.eE+-]+)\s", data)
    if header is None:
        raise ValueError("not a single-channel PFM")
    width, height, endian = int(header[1]), int(header[2]), float(header[3])
    _check_side(width, height)
    values = np.frombuffer(data, "<f4" if endian < 0 else ">f4", width * height, header.end())
    return values.reshape(height, width)[::-1]


def _read_colmap(path: Path) -> NDArray[Any]:
    data = path.read_bytes()
    header = re.match(rb"(\d+)&(\d+)&(\d+)&", data)
    if header is None or header[3] != b"1":
        raise ValueError("not a single-channel COLMAP array")
    width, height = int(header[1]), int(header[2])
    _check_side(width, height)
    return np.frombuffer(data, "<f4", width * height, header.end()).reshape(height, width)


def _read_exr(path: Path) -> NDArray[Any]:
    try:
        import OpenEXR
    except ImportError as error:
        raise ValueError("OpenEXR files need the package: pip install OpenEXR") from error
    # Closing a file also empties the header and the channels that it gave out.
    with OpenEXR.File(str(path), header_only=True) as file:
        low, high = (np.array(corner, int) for corner in file.header()["displayWindow"])
        first, last = (np.array(corner, int) for corner in file.header()["dataWindow"])
    _check_side(*(high - low + 1).tolist())
    _check_side(*(last - first + 1).tolist())
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: np.array(c.pixels) for name, c in file.channels().items()}
    stored = _depth_channel(channels)
    # The stored rectangle may be smaller than the picture, or reach beyond it.
    width, height = high - low + 1
    whole = np.zeros((height, width), np.float32)
    from_, to = np.maximum(first, low), np.minimum(last, high) + 1
    (x0, y0), (x1, y1) = from_ - low, np.maximum(to, from_) - low
    (u0, v0), (u1, v1) = from_ - first, np.maximum(to, from_) - first
    whole[y0:y1, x0:x1] = stored[v0:v1, u0:u1]
    return whole


def _depth_channel(channels: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The only channel, or the one named as depth; renderers put layers before the name."""
    if len(channels) == 1:
        return next(iter(channels.values()))
    for wanted in ("z", "depth", "v", "y"):
        for name, pixels in channels.items():
            if name.rpartition(".")[2].lower() == wanted or wanted in name.lower().split("."):
                return pixels
    colors = [channels[name] for name in ("R", "G", "B") if name in channels]
    if len(colors) == 3 and all(np.array_equal(colors[0], other) for other in colors[1:]):
        return colors[0]
    raise ValueError(f"channels {', '.join(sorted(channels))}; one called Z is needed")


_READERS = {".npy": _read_npy, ".pfm": _read_pfm, ".bin": _read_colmap, ".exr": _read_exr}
