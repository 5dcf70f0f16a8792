# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A number or a mark for every face, in one compact binary file for viewers.

Little-endian throughout:

    4 bytes   "PCFL"
    uint32    version, 1
    uint32    length of the JSON in bytes
    JSON      UTF-8, padded with spaces to a multiple of 4
    arrays    one after the other, each padded with zeros to a multiple of 4

The JSON is ``{"face_count", "sha256", "marks": [name, ...], "layers": [{"name", "type", "unit",
"offset", "min", "max"}, ...]}``; offsets count from the end of the JSON. The layer ``marks`` has
one bit per name, the first name lowest. Faces are in the order of the file; NaN is unknown.
"""

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.errors import MeshError
from photocast.stages.surface_facts import Facts

__all__ = ["LAYERS_VERSION", "face_layers", "read_face_layers"]

LAYERS_VERSION = 1
_MAGIC = b"PCFL"
_HALF = {"min_angle": "°", "aspect": "1", "area_ratio": "1", "stretch": "1"}
_FULL = {"thickness": "unit", "component": "parts"}
_TYPES = {"uint32": "<u4", "float16": "<f2", "float32": "<f4"}
_MOST_HALF = 65504.0


def face_layers(facts: Facts, face_count: int, sha256: str = "") -> bytes:
    """Encode what is known of every face.

    Args:
        facts: Measured.
        face_count: Of the mesh.
        sha256: Of the file that was measured.
    """
    names = sorted(facts.flags)
    marks = np.zeros(face_count, np.uint32)
    for bit, name in enumerate(names):
        marks |= facts.flags[name].astype(np.uint32) << np.uint32(bit)
    arrays: list[tuple[str, str, str, NDArray[Any]]] = [("marks", "uint32", "", marks)]
    for name, layer in facts.layers.items():
        kind = "float16" if name in _HALF else "float32"
        unit = _HALF.get(name) or _FULL[name]
        values = np.clip(layer, -_MOST_HALF, _MOST_HALF) if kind == "float16" else layer
        arrays.append((name, kind, unit, values.astype(_TYPES[kind])))
    body = bytearray()
    entries: list[dict[str, Any]] = []
    for name, kind, unit, array in arrays:
        entries.append(
            {"name": name, "type": kind, "unit": unit, "offset": len(body), **_range(array)}
        )
        body += array.tobytes() + bytes(-array.nbytes % 4)
    head = {"face_count": face_count, "sha256": sha256, "marks": names, "layers": entries}
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sII", _MAGIC, LAYERS_VERSION, len(text)) + text + bytes(body)


def read_face_layers(data: bytes) -> dict[str, NDArray[Any]]:
    """Decode layers by name; every mark becomes a layer of its own, named ``marks.NAME``.

    Raises:
        MeshError: Not such a file, or damaged.
    """
    try:
        magic, version, size = struct.unpack_from("<4sII", data)
        if magic != _MAGIC or version != LAYERS_VERSION:
            raise ValueError(f"it starts with {magic!r}, version {version}")
        head = json.loads(data[12 : 12 + size])
        count = int(head["face_count"])
        layers: dict[str, NDArray[Any]] = {
            entry["name"]: np.frombuffer(
                data, _TYPES[entry["type"]], count, 12 + size + int(entry["offset"])
            )
            for entry in head["layers"]
        }
        marks = layers.pop("marks")
        for bit, name in enumerate(head["marks"]):
            layers[f"marks.{name}"] = (marks >> np.uint32(bit)) & 1 > 0
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise MeshError(
            f"The face layers are damaged ({error}). Run the check again.", code="mesh.layers"
        ) from error
    return layers


def _range(array: NDArray[Any]) -> dict[str, float | None]:
    finite = array[np.isfinite(array)]
    if not len(finite):
        return {"min": None, "max": None}
    return {"min": float(finite.min()), "max": float(finite.max())}
