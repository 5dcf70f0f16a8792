# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Material maps as the PNG files inside or beside a mesh file, and back.

Base colour is stored as sRGB, everything else as it is. glTF packs roughness in green and
metallic in blue, and stores a normal's -1..1 as 0..255.
"""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photocast.data import Material
from photocast.errors import MeshError
from photocast.formats.png_write import encode_png
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear

__all__ = [
    "base_color_from_png",
    "decode_image",
    "normal_from_pixels",
    "png_from_base_color",
    "png_from_metallic_roughness",
    "png_from_normal",
]

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


def png_from_normal(normal: NDArray[np.float32]) -> bytes:
    """Encode tangent-space normals (h, w, 3) in -1..1."""
    return encode_png(_in_strips(lambda part: _bytes(part * 0.5 + 0.5), normal))


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG to (h, w, 3), dropping alpha.

    Raises:
        MeshError: The texture is damaged.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise MeshError(
            f"a texture image is damaged ({error}). Export it again.", code="mesh.texture"
        ) from error


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
