# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Material maps as the PNG files inside or beside a mesh file, and back.

Base colour is stored as sRGB, everything else as it is. glTF packs roughness in green and
metallic in blue, and stores a normal's -1..1 as 0..255.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photocast.data import Material
from photocast.errors import MeshError
from photocast.formats.png_write import encode_png
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear

__all__ = [
    "MAX_TEXTURE_SIDE",
    "base_color_from_png",
    "decode_image",
    "image_size",
    "normal_from_pixels",
    "png_from_base_color",
    "png_from_grey",
    "png_from_metallic_roughness",
    "png_from_normal",
]

MAX_TEXTURE_SIDE = 8192
"""Larger sides are refused before decoding, against decompression bombs [px]."""

_FORMATS = ("PNG", "JPEG", "WEBP")  # what glTF allows; others have decoders that start programs
_STRIP = 128  # rows


def png_from_base_color(base_color: NDArray[np.float32]) -> bytes:
    """Encode linear (h, w, 3) as an sRGB PNG."""
    return encode_png(_in_strips(srgb_from_linear, base_color))


def png_from_metallic_roughness(material: Material) -> bytes | None:
    """Pack both maps into one PNG; ``None`` if there is neither.

    An absent roughness is 1 and an absent metallic 0.
    """
    maps = [m for m in (material.roughness, material.metallic) if m is not None]
    if not maps:
        return None
    if any(m.shape != maps[0].shape for m in maps):
        raise MeshError(
            f"Roughness is {maps[0].shape} but metallic {maps[1].shape}; one size is needed.",
            code="mesh.shape",
        )
    packed = np.zeros((*maps[0].shape, 3), dtype=np.uint8)
    packed[..., 1] = 255 if material.roughness is None else _bytes(material.roughness)
    packed[..., 2] = 0 if material.metallic is None else _bytes(material.metallic)
    return encode_png(packed)


def png_from_grey(values: NDArray[np.float32]) -> bytes:
    """Encode one map (h, w) in 0..1 as it is."""
    return encode_png(_bytes(values))


def png_from_normal(normal: NDArray[np.float32]) -> bytes:
    """Encode tangent-space normals (h, w, 3) in -1..1."""
    return encode_png(_in_strips(lambda part: _bytes(part * 0.5 + 0.5), normal))


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG or WebP to (h, w, 3), dropping alpha.

    Raises:
        MeshError: The texture is damaged, of another kind, or larger than ``MAX_TEXTURE_SIDE``.
    """
    with _opened(data) as image:
        return np.asarray(image.convert("RGB"))


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height, without decoding the rest.

    Raises:
        MeshError: As :func:`decode_image`.
    """
    with _opened(data) as image:
        return image.size


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked below, before decoding
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check_size(*image.size)
                yield image
    except Image.DecompressionBombError as error:
        raise MeshError(
            f"a texture claims an enormous size; at most {MAX_TEXTURE_SIDE} px a side is read. "
            "Make it smaller first.",
            code="mesh.too_large",
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise MeshError(
            f"a texture image of {len(data):,} bytes is damaged, or neither PNG, JPEG nor WebP "
            f"({str(error)[:80]}). Export it again.",
            code="mesh.texture",
        ) from error


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_TEXTURE_SIDE:
        raise MeshError(
            f"a texture is {width:,}x{height:,} px; at most {MAX_TEXTURE_SIDE} px a side is read. "
            "Make it smaller first.",
            code="mesh.too_large",
        )


def base_color_from_png(data: bytes) -> NDArray[np.float32]:
    """Decode an sRGB image file to linear (h, w, 3)."""
    return linear_from_srgb(decode_image(data))


def normal_from_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn stored 0..255 back into components in -1..1."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    codes: NDArray[np.uint8] = np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    return codes


def _in_strips(
    convert: Callable[[NDArray[np.float32]], NDArray[np.uint8]], image: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Convert rows in threads: powers of millions of numbers take longer than packing them."""
    result = np.empty(image.shape, np.uint8)

    def work(top: int) -> None:
        result[top : top + _STRIP] = convert(image[top : top + _STRIP])

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, range(0, len(image), _STRIP)))
    return result
