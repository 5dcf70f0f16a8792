# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of named tensors (the safetensors layout): a table of contents, then plain numbers.

Nothing in such a file can run. Eight bytes give the length of a JSON table (little endian); it
names each tensor's type, shape and bytes; the bytes follow without gaps.
"""

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from photocast.errors import WeightsError

__all__ = ["TensorFile", "TensorPlace", "write_tensors"]

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_LONGEST_TABLE = 100_000_000


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """One line of the table."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the start of the file."""


class TensorFile:
    """The table of a file; numbers are read when asked for."""

    def __init__(self, path: Path) -> None:
        """Read and check the table.

        Raises:
            WeightsError: The file is not there or not of this layout.
        """
        self.path = path
        if not path.is_file():
            raise WeightsError(f"{path} is not there.", code="weights.missing_file")
        try:
            self.places = _read_table(path)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{path} is damaged or no safetensors file: {error}. Fetch it again.",
                code="weights.damaged",
            ) from error

    def tensors(self) -> dict[str, Tensor]:
        """All tensors. They share memory with the file, unchanged until written to."""
        with self.path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return {name: _view(content, place) for name, place in self.places.items()}


def _view(content: mmap.mmap, place: TensorPlace) -> Tensor:
    count = math.prod(place.shape)
    if count == 0:
        return torch.empty(place.shape, dtype=place.dtype)
    flat = torch.frombuffer(content, dtype=place.dtype, count=count, offset=place.start)
    return flat.view(place.shape)


def _read_table(path: Path) -> dict[str, TensorPlace]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LONGEST_TABLE, size - 8):
            raise ValueError(f"its table would be {length} bytes long")
        table = json.loads(file.read(length), object_pairs_hook=_without_repeats)
    table.pop("__metadata__", None)
    places, end = {}, 8 + length
    for name, line in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
        shape, dtype = tuple(line["shape"]), _TYPES[line["dtype"]]
        if not all(isinstance(side, int) and side >= 0 for side in shape):
            raise ValueError(f"{name} has the shape {shape}")
        first, last = (8 + length + offset for offset in line["data_offsets"])
        if first != end or last - first != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the bytes of {name} do not fit its shape or their neighbours")
        places[name], end = TensorPlace(dtype, shape, first), last
    if end != size:
        raise ValueError(f"it has {size} bytes instead of {end}")
    return places


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("its table names something twice")
    return dict(pairs)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], note: str = "") -> None:
    """Write a file that :class:`TensorFile`, and the safetensors library, can read.

    Args:
        path: Where to; replaced if it is there.
        tensors: What to write; larger types first keeps every number aligned.
        note: Kept in the table.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    table: dict[str, Any] = {"__metadata__": {"note": note}} if note else {}
    offset = 0
    for name in order:
        size = tensors[name].numel() * tensors[name].element_size()
        table[name] = {
            "dtype": _NAMES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name in order:
            flat = tensors[name].detach().cpu().contiguous().view(-1)
            file.write(flat.view(torch.uint8).numpy().tobytes() if len(flat) else b"")
