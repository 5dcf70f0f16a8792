# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""STL: triangles without topology. Written binary; read binary or text."""

import re

import numpy as np

from photocast.data import Mesh
from photocast.errors import MeshError

__all__ = ["read_stl", "write_stl"]

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_HEADER_BYTES = 80


def write_stl(mesh: Mesh) -> bytes:
    """Encode the surface as binary STL."""
    records = np.zeros(len(mesh.faces), dtype=_TRIANGLE)
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    records["corners"] = corners
    records["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    count = np.uint32(len(records)).tobytes()
    return b"photocast".ljust(_HEADER_BYTES, b" ") + count + records.tobytes()


def read_stl(data: bytes) -> Mesh:
    """Decode binary or text STL; every triangle has its own three vertices.

    Raises:
        MeshError: Neither kind, or the file ends early.
    """
    count = int.from_bytes(data[_HEADER_BYTES : _HEADER_BYTES + 4], "little")
    body = data[_HEADER_BYTES + 4 :]
    if len(data) > _HEADER_BYTES + 4 and len(body) == count * _TRIANGLE.itemsize:
        corners = np.frombuffer(body, dtype=_TRIANGLE)["corners"].reshape(-1, 3)
    elif data.lstrip()[:5].lower() == b"solid":
        corners = _text_corners(data)
    else:
        raise MeshError(
            f"the STL announces {count} triangles ({count * _TRIANGLE.itemsize} bytes) but has "
            f"{len(body)} bytes. Copy or export it again.",
            code="mesh.truncated",
        )
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    return Mesh(np.ascontiguousarray(corners, dtype=np.float32), faces)


def _text_corners(data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data)
    try:
        corners = np.array(rows, dtype="S").astype(np.float32).reshape(-1, 3)
    except ValueError as error:
        raise MeshError(f"the STL has a bad number ({error}).", code="mesh.damaged") from error
    if len(corners) % 3 or b"endsolid" not in data:
        raise MeshError("the STL ends early. Copy or export it again.", code="mesh.truncated")
    return corners
