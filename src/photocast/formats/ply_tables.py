# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The container of PLY: named elements whose rows hold numbers and lists of numbers.

A header is a claim: rows are read one by one, or all at once if that many bytes are there, and
memory grows only with what was found.
Source: Greg Turk, The PLY Polygon File Format, 1994.
"""

import io
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.errors import MeshError
from photocast.formats.limits import check_counts, shown

__all__ = ["PlyList", "PlyTable", "read_ply_tables"]

_CODES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
_STRUCT = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER_BYTES = 1 << 20
_MAX_PROPERTIES = 256


@dataclass(frozen=True, slots=True, eq=False)
class PlyList:
    """One list per row, end to end."""

    counts: NDArray[np.int64]
    values: NDArray[Any]


@dataclass(slots=True, eq=False)
class PlyTable:
    """The rows of one element, by property name."""

    scalars: dict[str, NDArray[Any]] = field(default_factory=dict)
    lists: dict[str, PlyList] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    code: str
    count_code: str = ""  # set for a list


@dataclass(frozen=True, slots=True)
class _Element:
    name: str
    rows: int
    properties: list[_Property]


def read_ply_tables(data: bytes) -> dict[str, PlyTable]:
    """Decode every element.

    Raises:
        MeshError: Not a PLY, damaged, or it ends early.
    """
    end = data.find(b"end_header", 0, _MAX_HEADER_BYTES)
    newline = data.find(b"\n", end)
    if data[:3] != b"ply" or end < 0 or newline < 0:
        raise MeshError(
            "this is not a PLY: its header is incomplete. Export it again.", code="mesh.damaged"
        )
    try:
        order, elements = _header(data[:end].decode("latin-1"))
    except (KeyError, IndexError, ValueError) as error:
        raise MeshError(
            f"the PLY's header is damaged ({error}). Export it again.", code="mesh.damaged"
        ) from error
    body = memoryview(data)[newline + 1 :]
    try:
        if order:
            return _binary_tables(elements, body, order)
        rows = (words for line in io.BytesIO(body) if (words := line.split()))
        return {element.name: _text_table(element, rows) for element in elements}
    except (ValueError, IndexError, OverflowError, struct.error) as error:
        raise MeshError(
            f"the PLY ends early or has a bad number ({error}); its header announces "
            f"{', '.join(f'{e.rows:,} {shown(e.name)}' for e in elements[:4])}. "
            "Copy or export it again.",
            code="mesh.truncated",
        ) from error


def _header(text: str) -> tuple[str, list[_Element]]:
    order, elements = None, []
    for words in (line.split() for line in text.splitlines()):
        if words[:1] == ["format"]:
            order = _ORDERS[words[1]]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[:2] == ["property", "list"]:
            listed = _Property(words[4], _CODES[words[3]], _CODES[words[2]])
            elements[-1].properties.append(listed)
        elif words[:1] == ["property"]:
            elements[-1].properties.append(_Property(words[2], _CODES[words[1]]))
    if order is None:
        raise ValueError("no format line")
    for element in elements:
        check_counts(vertices=element.rows, faces=element.rows if element.name == "face" else 0)
        if element.rows and not element.properties:
            raise ValueError(f"{element.rows:,} rows of {shown(element.name)} have no properties")
        for item in element.properties:
            if item.count_code.startswith("f"):
                raise ValueError(f"the list {shown(item.name)} is counted in fractions")
    if sum(1 + len(element.properties) for element in elements) > _MAX_PROPERTIES:
        raise ValueError(f"more than {_MAX_PROPERTIES} elements and properties")
    return order, elements


def _binary_tables(elements: list[_Element], body: memoryview, order: str) -> dict[str, PlyTable]:
    tables, at = {}, 0
    for element in elements:
        uniform = _uniform_dtype(element, body, at, order)
        if uniform is None:
            tables[element.name], at = _ragged_table(element, body, at, order)
        else:
            table = np.frombuffer(body, uniform, element.rows, at)
            tables[element.name] = _split_columns(element, table)
            at += table.nbytes
    return tables


def _uniform_dtype(
    element: _Element, body: memoryview, at: int, order: str
) -> np.dtype[Any] | None:
    # Nearly every file has lists of one length (triangles); then a row has one fixed layout.
    # The first row tells the lengths; all others must agree.
    fields: list[Any] = []
    for number, item in enumerate(element.properties):
        # Numbered, for nothing keeps a file from using one name twice.
        if item.count_code:
            count = 0
            if element.rows:
                offset = at + (np.dtype(fields).itemsize if fields else 0)
                (count,) = struct.unpack_from(order + _STRUCT[item.count_code], body, offset)
            if not 0 <= count * np.dtype(item.code).itemsize <= len(body):
                raise ValueError(f"a list of {count:,} numbers")
            fields.append((f"#{number}", order + item.count_code))
            fields.append((str(number), order + item.code, (count,)))
        else:
            fields.append((str(number), order + item.code))
    dtype = np.dtype(fields)
    if at + dtype.itemsize * element.rows > len(body):
        if not any(item.count_code for item in element.properties):
            raise ValueError(f"{len(body) - at:,} bytes for rows of {dtype.itemsize}")
        return None
    table = np.frombuffer(body, dtype, element.rows, at)
    lists = [str(n) for n, item in enumerate(element.properties) if item.count_code]
    same = all((table[f"#{name}"] == dtype[name].shape[0]).all() for name in lists)
    return dtype if same else None


def _split_columns(element: _Element, table: NDArray[Any]) -> PlyTable:
    result = PlyTable()
    for number, item in enumerate(element.properties):
        column = table[str(number)]
        if item.count_code:
            counts = np.full(len(table), column.shape[1], dtype=np.int64)
            result.lists[item.name] = PlyList(counts, column.ravel())
        else:
            result.scalars[item.name] = column
    return result


class _Columns:
    """Rows as they come in: packed values and list lengths per property."""

    def __init__(self, element: _Element) -> None:
        self.element = element
        self.values = [bytearray() for _ in element.properties]
        self.counts = [array("q") for _ in element.properties]

    def table(self, order: str) -> PlyTable:
        result = PlyTable()
        for item, packed, counts in zip(
            self.element.properties, self.values, self.counts, strict=True
        ):
            values = np.frombuffer(packed, order + item.code)
            if item.count_code:
                result.lists[item.name] = PlyList(np.array(counts, dtype=np.int64), values)
            else:
                result.scalars[item.name] = values
        return result


def _ragged_table(element: _Element, body: memoryview, at: int, order: str) -> tuple[PlyTable, int]:
    columns = _Columns(element)
    plan = [
        (
            struct.Struct(order + _STRUCT[item.count_code]) if item.count_code else None,
            np.dtype(item.code).itemsize,
            columns.values[number],
            columns.counts[number],
        )
        for number, item in enumerate(element.properties)
    ]
    for row in range(element.rows):
        for head, size, values, counts in plan:
            if head is not None:
                (count,) = head.unpack_from(body, at)
                at += head.size
                counts.append(count)
                size *= count
            if size < 0 or at + size > len(body):
                raise ValueError(f"row {row:,} is cut or has a negative count")
            values += body[at : at + size]
            at += size
    return columns.table(order), at


def _text_table(element: _Element, rows: Iterator[list[bytes]]) -> PlyTable:
    collected = [array("d") for _ in element.properties]
    columns = _Columns(element)
    for row in range(element.rows):
        words, at = next(rows, None), 0
        if words is None:
            raise ValueError(f"{row:,} rows of {shown(element.name)}")
        for item, values, counts in zip(element.properties, collected, columns.counts, strict=True):
            count = 1
            if item.count_code:
                count, at = int(words[at]), at + 1
                counts.append(count)
            if not 0 <= count <= len(words) - at:
                raise ValueError(f"row {row:,} has {len(words)} words")
            values.extend(map(float, words[at : at + count]))
            at += count
    for number, item in enumerate(element.properties):
        columns.values[number] += _cast(collected[number], item).tobytes()
    return columns.table("")


def _cast(values: "array[float]", item: _Property) -> NDArray[Any]:
    numbers = np.frombuffer(values, dtype=np.float64)
    if item.code.startswith("f"):
        return numbers.astype(item.code)
    limits = np.iinfo(item.code)
    if not ((numbers >= limits.min) & (numbers <= limits.max)).all():  # nor NaN
        raise ValueError(f"{shown(item.name)} does not fit into {item.code}")
    return numbers.astype(item.code)
