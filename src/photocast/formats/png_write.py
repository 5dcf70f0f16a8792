# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Write PNG on all cores, in a fraction of a second even for large texture maps.

Every pixel is stored as its difference to the left neighbour, packed by run lengths and Huffman
codes: for photographic textures that is as small as zlib's usual search for repetitions and several
times faster. Strips of rows are packed on their own, so the file does not depend on the cores.
Source: W3C, Portable Network Graphics, 3rd edition; RFC 1950 and 1951.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_png"]

_STRIP_BYTES = 1 << 20
_LEFT_FILTER = 1
_KINDS = {1: 0, 3: 2, 4: 6}  # channels to PNG's colour types: grey, RGB, RGBA
_ZLIB_HEADER = b"\x78\x01"


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode grey (h, w), RGB (h, w, 3) or RGBA (h, w, 4)."""
    image = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = image.shape
    strips = list(_strips(height, width * channels))
    with ThreadPoolExecutor(min(len(strips), os.cpu_count() or 1)) as pool:
        parts = list(pool.map(lambda rows: _packed(image, rows), strips))
    checksum = 1
    for filtered, _ in parts:
        checksum = zlib.adler32(filtered.data, checksum)
    header = struct.pack(">IIBBBBB", width, height, 8, _KINDS[channels], 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", _ZLIB_HEADER),
            *(chunk for _, chunk in parts),
            _chunk(b"IDAT", struct.pack(">I", checksum)),
            _chunk(b"IEND", b""),
        )
    )


def _strips(height: int, row_bytes: int) -> Iterator[range]:
    step = max(_STRIP_BYTES // max(row_bytes, 1), 1)
    for top in range(0, height, step):
        yield range(top, min(top + step, height))


def _packed(image: NDArray[np.uint8], rows: range) -> tuple[NDArray[np.uint8], bytes]:
    """Filtered rows and the chunk that holds them."""
    height, width, channels = image.shape
    part = image[rows.start : rows.stop]
    filtered = np.empty((len(rows), 1 + width * channels), np.uint8)
    filtered[:, 0] = _LEFT_FILTER
    body = filtered[:, 1:].reshape(len(rows), width, channels)
    body[:, :1] = part[:, :1]
    np.subtract(part[:, 1:], part[:, :-1], out=body[:, 1:])  # modulo 256
    packer = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    last = rows.stop == height
    data = packer.compress(filtered.data) + packer.flush(
        zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
    )
    return filtered, _chunk(b"IDAT", data)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
    )
