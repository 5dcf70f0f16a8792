# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The outer layers of glTF 2.0: GLB chunks, JSON, buffers, and numbered arrays in them.

Nothing that the file says is believed: sizes are compared with the bytes that are there before
anything is made from them. Errors other than ``MeshError`` leave here as the ordinary ones of
Python (``KeyError``, ``ValueError`` …), for ``glb_read`` to explain.
Source: Khronos, glTF 2.0 specification, sections 3.6 and 4.4.
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from photocast.errors import MeshError
from photocast.formats.limits import MAX_FILE_BYTES, MAX_VERTICES, read_beside, shown

__all__ = ["GltfFile", "entry", "open_glb", "open_gltf", "whole"]

_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_MAX_JSON_VALUES = 4_000_000  # a value takes some 100 bytes once read


def open_glb(data: bytes, folder: Path | None) -> "GltfFile":
    """Split a GLB into its JSON and its binary chunk.

    Raises:
        MeshError: Not a GLB, or it ends early.
    """
    if data[:4] != b"glTF" or len(data) < 20:
        raise MeshError("this is not a GLB (its first bytes say so).", code="mesh.damaged")
    _, version, total = struct.unpack_from("<4sII", data)
    if version != 2 or total > len(data):
        raise MeshError(
            f"the GLB has version {version} and {len(data):,} of {total:,} bytes; version 2 and "
            "all bytes are needed. Copy or export it again.",
            code="mesh.truncated",
        )
    file, at = memoryview(data)[:total], 12
    chunks: list[tuple[bytes, memoryview]] = []
    while len(chunks) < 2 and at + 8 <= total:
        size, kind = struct.unpack_from("<I4s", data, at)
        if at + 8 + size > total:
            raise MeshError(
                f"a chunk of the GLB announces {size:,} bytes, but {total - at - 8:,} are left. "
                "Copy or export it again.",
                code="mesh.truncated",
            )
        chunks.append((kind, file[at + 8 : at + 8 + size]))
        at += 8 + size
    if not chunks or chunks[0][0] != b"JSON":
        raise MeshError("the GLB has no JSON in its first chunk.", code="mesh.damaged")
    binary = chunks[1][1] if len(chunks) == 2 and chunks[1][0] == b"BIN\0" else None
    return GltfFile(_json(bytes(chunks[0][1])), binary, folder)


def open_gltf(data: bytes, folder: Path) -> "GltfFile":
    """Read the JSON of a ``.gltf``; its buffers are read when they are asked for.

    Raises:
        MeshError: Not JSON, or too much of it.
    """
    return GltfFile(_json(data), None, folder)


def _json(text: bytes) -> dict[str, Any]:
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    if values > _MAX_JSON_VALUES:
        raise MeshError(
            f"the glTF's JSON has {values:,} values; at most {_MAX_JSON_VALUES:,} are read. "
            "Put arrays into the binary part.",
            code="mesh.too_large",
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MeshError(
            f"the glTF's JSON is damaged ({error}). Export it again.", code="mesh.damaged"
        ) from error
    if not isinstance(document, dict):
        raise MeshError("the glTF's JSON is not an object.", code="mesh.damaged")
    return document


def whole(value: Any, what: str, *, most: int = MAX_FILE_BYTES) -> int:
    """Return a count or offset as it should be.

    Raises:
        ValueError: Not an integer in 0..``most``.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{what} is {shown(value)}")
    return value


def entry(document: dict[str, Any], table: str, index: Any) -> dict[str, Any]:
    """Return one object of a top-level array.

    Raises:
        ValueError: The index, or what lies there, is of the wrong kind.
    """
    rows = document.get(table, [])
    if not isinstance(rows, list) or whole(index, f"an index into {table}") >= len(rows):
        raise ValueError(f"{table}[{shown(index)}] is not there")
    found = rows[index]
    if not isinstance(found, dict):
        raise ValueError(f"{table}[{index}] is {shown(found)}")
    return found


class GltfFile:
    """A document and the bytes that it speaks of."""

    def __init__(
        self, document: dict[str, Any], binary: memoryview | None, folder: Path | None
    ) -> None:
        self.document = document
        self.folder = folder
        self._binary = binary
        self._buffers: dict[int, memoryview] = {}

    def accessor(self, index: Any) -> NDArray[Any]:
        """Read one array (n, columns), normalized integers as floats."""
        accessor = entry(self.document, "accessors", index)
        if "sparse" in accessor or "bufferView" not in accessor:
            raise MeshError(
                "the glTF has sparse or empty accessors, which are not read. Export it without.",
                code="mesh.glb_extension",
            )
        dtype, columns = np.dtype(_DTYPES[accessor["componentType"]]), _COLUMNS[accessor["type"]]
        count = whole(accessor["count"], "an accessor's count", most=MAX_VERTICES)
        data, stride = self._view(accessor["bufferView"])
        row = dtype.itemsize * columns
        stride = stride or row
        start = whole(accessor.get("byteOffset", 0), "byteOffset")
        if stride < row:
            raise ValueError(f"byteStride {stride} of rows of {row} bytes")
        if count and start + stride * (count - 1) + row > len(data):
            raise MeshError(
                f"an accessor announces {count:,} rows of {row} bytes, but its view has "
                f"{len(data):,} bytes. Copy or export the file again.",
                code="mesh.truncated",
            )
        array: NDArray[Any] = np.ndarray(
            (count, columns), dtype, data, start, (stride, dtype.itemsize)
        )
        if accessor.get("normalized") is True and dtype.kind in "iu":
            array = np.maximum(array / np.float32(np.iinfo(dtype).max), -1.0)
        return array

    def image(self, texture: dict[str, Any] | None) -> bytes | None:
        """Fetch the image file of a texture, from a view, a data URI or the folder."""
        if texture is None:
            return None
        source = entry(self.document, "textures", texture["index"])["source"]
        image = entry(self.document, "images", source)
        if "bufferView" in image:
            return bytes(self._view(image["bufferView"])[0])
        return self._fetch(image["uri"])

    def _view(self, index: Any) -> tuple[memoryview, int]:
        view = entry(self.document, "bufferViews", index)
        data = self._buffer(whole(view.get("buffer", 0), "a buffer's index"))
        start = whole(view.get("byteOffset", 0), "byteOffset")
        size = whole(view["byteLength"], "byteLength")
        if start + size > len(data):
            raise MeshError(
                f"a part of the glTF announces {size:,} bytes from {start:,}, but its buffer has "
                f"{len(data):,}. Copy or export the file again.",
                code="mesh.truncated",
            )
        return data[start : start + size], whole(view.get("byteStride", 0), "byteStride")

    def _buffer(self, index: int) -> memoryview:
        if index not in self._buffers:
            buffer = entry(self.document, "buffers", index) if "buffers" in self.document else {}
            if "uri" in buffer:
                data = memoryview(self._fetch(buffer["uri"]))
            elif index == 0 and self._binary is not None:
                data = self._binary
            else:
                raise ValueError(f"buffers[{index}] has no bytes")
            self._buffers[index] = data
            if sum(map(len, self._buffers.values())) > MAX_FILE_BYTES:
                raise MeshError(
                    f"the glTF's buffers have more than {MAX_FILE_BYTES:,} bytes. "
                    "Simplify or split the mesh first.",
                    code="mesh.too_large",
                )
        return self._buffers[index]

    def _fetch(self, uri: Any) -> bytes:
        if not isinstance(uri, str):
            raise ValueError(f"a uri is {shown(uri)}")
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            if not head.endswith(";base64"):
                raise ValueError(f"a data URI begins {shown(head)}")
            return base64.b64decode(body, validate=True)
        name = unquote(uri)
        if self.folder is None or "://" in name or name.startswith("file:"):
            raise MeshError(
                f"the glTF names {shown(uri)}, which lies outside its folder. Export it with "
                "everything embedded, or with files beside it.",
                code="mesh.path_outside",
            )
        return read_beside(self.folder, name, owner="the glTF")
