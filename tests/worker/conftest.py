# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that mean no good."""

import struct
import zlib
from pathlib import Path

import pytest


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + payload))
    return struct.pack(">I", len(payload)) + kind + payload + check


@pytest.fixture
def png_bomb(tmp_path: Path) -> Path:
    """A PNG of 256 megapixels in 31 kB."""
    side = 16000
    rows = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    packed = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )
    return path
