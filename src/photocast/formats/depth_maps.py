# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth maps: distance along the viewing axis, 0 where unknown.

8/16/32-bit PNG and float TIFF (row 0 is the top), ``.npy``, ``.pfm`` (bottom row first, turned
round here) and COLMAP's ``.bin`` (``width&height&channels&`` and float32 by rows).
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from photocast.errors import CaptureError
from photocast.formats.images import MAX_SIDE

__all__ = ["read_depth"]


def read_depth(path: Path, scale: float) -> NDArray[np.float32]:
    """Decode a depth map.

    Args:
        path: The file.
        scale: World units per stored unit.

    Returns:
        Distance along the viewing axis in world units, (h, w); 0 where unknown, not finite or not
        positive.

    Raises:
        CaptureError: Unreadable, or not a single-channel image.
    """
    try:
        stored = _READERS.get(path.suffix.lower(), _read_image)(path)
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError) as error:
        raise CaptureError(
            f"The depth map {path.name} cannot be read ({error}). Export it again.",
            code="capture.depth_unreadable",
        ) from error
    if stored.ndim == 3 and stored.shape[2] == 1:
        stored = stored[..., 0]
    if stored.ndim != 2 or not stored.size:
        raise CaptureError(
            f"The depth map {path.name} has shape {stored.shape}; one number per pixel is needed.",
            code="capture.depth_shape",
        )
    depth = stored.astype(np.float32) * np.float32(scale)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def _read_image(path: Path) -> NDArray[np.generic]:
    with Image.open(path) as image:
        if max(image.size) > MAX_SIDE:
            raise ValueError(f"{image.size[0]}x{image.size[1]} px; at most {MAX_SIDE}")
        return np.array(image)


def _read_npy(path: Path) -> NDArray[np.generic]:
    array: NDArray[np.generic] = np.load(path, allow_pickle=False)
    return array


def _read_pfm(path: Path) -> NDArray[np.generic]:
    data = path.read_bytes()
    header = re.match(rb"Pf\s+(\d+)\s+(\d+)\s+(-?[\d.eE+-]+)\s", data)
    if header is None:
        raise ValueError("not a single-channel PFM")
    width, height, endian = int(header[1]), int(header[2]), float(header[3])
    values = np.frombuffer(data, "<f4" if endian < 0 else ">f4", width * height, header.end())
    return values.reshape(height, width)[::-1]


def _read_colmap(path: Path) -> NDArray[np.generic]:
    data = path.read_bytes()
    header = re.match(rb"(\d+)&(\d+)&(\d+)&", data)
    if header is None or header[3] != b"1":
        raise ValueError("not a single-channel COLMAP array")
    width, height = int(header[1]), int(header[2])
    return np.frombuffer(data, "<f4", width * height, header.end()).reshape(height, width)


_READERS = {".npy": _read_npy, ".pfm": _read_pfm, ".bin": _read_colmap}
