# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""STL: triangles without topology. Written binary; read binary or text.

A binary file has exactly the bytes that its count announces; anything else must be text. Text is
read line by line, so a name may hold any word; loops of more corners become fans.
"""

import io
from array import array

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.errors import MeshError
from photocast.formats.limits import check_counts, shown
from photocast.formats.polygons import fan_corners

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
    body = memoryview(data)[_HEADER_BYTES + 4 :]
    if len(body) and len(body) == count * _TRIANGLE.itemsize:
        check_counts(faces=count)
        vertices = np.frombuffer(body, dtype=_TRIANGLE)["corners"].reshape(-1, 3)
        faces = np.arange(len(vertices), dtype=np.int64).reshape(-1, 3)
    elif data[:_HEADER_BYTES].lstrip()[:5].lower() == b"solid":
        vertices, faces = _text_triangles(data)
    else:
        raise MeshError(
            f"the STL announces {count:,} triangles ({count * _TRIANGLE.itemsize:,} bytes) but "
            f"has {len(body):,} bytes for them. Copy or export it again.",
            code="mesh.truncated",
        )
    return Mesh(np.ascontiguousarray(vertices, dtype=np.float32), faces.astype(np.int32))


def _text_triangles(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    numbers, counts, at, ended = array("d"), array("q"), 0, False
    for line in io.BytesIO(data if b"\n" in data else data.replace(b"\r", b"\n")):
        words = line.split()
        keyword = words[0].lower() if words else b""
        if keyword == b"vertex":
            numbers.extend(_position(words))
        elif keyword == b"endloop":
            counts.append(len(numbers) // 3 - at)
            at = len(numbers) // 3
        elif keyword == b"endsolid":
            ended = True
    if not ended or at * 3 != len(numbers):
        raise MeshError(
            f"the STL ends early, after {len(counts):,} triangles: its last facet or solid is not "
            "closed. Copy or export it again.",
            code="mesh.truncated",
        )
    faces = fan_corners(np.array(counts, dtype=np.int64))
    check_counts(vertices=len(numbers) // 3, faces=len(faces))
    return np.array(numbers, dtype=np.float64).reshape(-1, 3), faces


def _position(words: list[bytes]) -> list[float]:
    try:
        x, y, z = map(float, words[1:])
    except ValueError as error:
        raise MeshError(
            f"the STL has a bad vertex, {shown(b' '.join(words)[:80])}. Export it again.",
            code="mesh.damaged",
        ) from error
    return [x, y, z]
