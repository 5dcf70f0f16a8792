# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh as glTF 2.0: one binary file, or JSON with a buffer and textures beside it.

Source: Khronos, glTF 2.0 specification, section 4.4.
"""

import json
import struct
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.formats.gltf_document import gltf_document

__all__ = ["write_glb", "write_gltf"]


def write_glb(mesh: Mesh, *, up: NDArray[np.floating] | None = None) -> bytes:
    """Encode a mesh with its textures as one file.

    Args:
        mesh: Vertices in the capture's frame.
        up: The world's up direction; +Y if absent.
    """
    document = gltf_document(mesh, up=up)
    text = json.dumps(document.json, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(document.binary)
    header = struct.pack("<4sII", b"glTF", 2, total)
    json_head = struct.pack("<I4s", len(text), b"JSON")
    binary_head = struct.pack("<I4s", len(document.binary), b"BIN\0")
    return header + json_head + text + binary_head + document.binary


def write_gltf(
    mesh: Mesh, *, stem: str, up: NDArray[np.floating] | None = None
) -> dict[str, bytes]:
    """Encode a mesh as the files it needs, by file name.

    Args:
        mesh: Vertices in the capture's frame.
        stem: How all names begin.
        up: The world's up direction; +Y if absent.
    """
    document = gltf_document(mesh, up=up, image_stem=stem)
    document.json["buffers"][0]["uri"] = quote(f"{stem}.bin")
    text = json.dumps(document.json, indent=1) + "\n"
    return {f"{stem}.gltf": text.encode(), f"{stem}.bin": document.binary, **document.images}
