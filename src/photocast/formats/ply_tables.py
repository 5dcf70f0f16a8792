# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The container of PLY: named elements whose rows hold numbers and lists of numbers.

Source: Greg Turk, The PLY Polygon File Format, 1994.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.errors import MeshError

__all__ = ["PlyList", "PlyTable", "read_ply_tables"]

_CODES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}


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
    end = data.find(b"end_header")
    newline = data.find(b"\n", end)
    if data[:3] != b"ply" or end < 0 or newline < 0:
        raise MeshError("this is not a PLY: its header is incomplete.", code="mesh.damaged")
    try:
        order, elements = _header(data[:end].decode("latin-1"))
    except (KeyError, IndexError, ValueError) as error:
        raise MeshError(f"the PLY's header is damaged ({error}).", code="mesh.damaged") from error
    body = data[newline + 1 :]
    rows = _text_rows(body) if order == "ascii" else None
    try:
        if rows is not None:
            return {element.name: _text_table(element, rows) for element in elements}
        return _binary_tables(elements, body, order)
    except (StopIteration, IndexError, ValueError, RuntimeError) as error:
        raise MeshError(
            f"the PLY ends early or has a bad number; its header announces "
            f"{', '.join(f'{e.rows} {e.name}' for e in elements)}. Copy or export it again.",
            code="mesh.truncated",
        ) from error


def _header(text: str) -> tuple[str, list[_Element]]:
    order, elements = "", []
    for words in (line.split() for line in text.splitlines()):
        if words[:1] == ["format"]:
            order = {"ascii": "ascii", "binary_little_endian": "<", "binary_big_endian": ">"}[
                words[1]
            ]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[:2] == ["property", "list"]:
            listed = _Property(words[4], _CODES[words[3]], _CODES[words[2]])
            elements[-1].properties.append(listed)
        elif words[:1] == ["property"]:
            elements[-1].properties.append(_Property(words[2], _CODES[words[1]]))
    if not order:
        raise ValueError("no format line")
    return order, elements


def _binary_tables(elements: list[_Element], body: bytes, order: str) -> dict[str, PlyTable]:
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


def _uniform_dtype(element: _Element, body: bytes, at: int, order: str) -> np.dtype[Any] | None:
    # Nearly every file has lists of one length (triangles); then a row has one fixed layout.
    # The first row tells the lengths; all others must agree.
    fields: list[Any] = []
    for item in element.properties:
        if item.count_code:
            offset = at + np.dtype(fields).itemsize if fields else at
            count = (
                int(np.frombuffer(body, order + item.count_code, 1, offset)[0])
                if (element.rows)
                else 0
            )
            fields.append((f"#{item.name}", order + item.count_code))
            fields.append((item.name, order + item.code, (count,)))
        else:
            fields.append((item.name, order + item.code))
    dtype = np.dtype(fields)
    if at + dtype.itemsize * element.rows > len(body):
        return None
    table = np.frombuffer(body, dtype, element.rows, at)
    lists = [item.name for item in element.properties if item.count_code]
    same = all((table[f"#{name}"] == dtype[name].shape[0]).all() for name in lists)
    return dtype if same else None


def _split_columns(element: _Element, table: NDArray[Any]) -> PlyTable:
    result = PlyTable()
    for item in element.properties:
        column = table[item.name]
        if item.count_code:
            counts = np.full(len(table), column.shape[1], dtype=np.int64)
            result.lists[item.name] = PlyList(counts, column.ravel())
        else:
            result.scalars[item.name] = column
    return result


def _ragged_table(element: _Element, body: bytes, at: int, order: str) -> tuple[PlyTable, int]:
    collected: dict[str, list[NDArray[Any]]] = {item.name: [] for item in element.properties}
    for _ in range(element.rows):
        for item in element.properties:
            count = 1
            if item.count_code:
                head = np.frombuffer(body, order + item.count_code, 1, at)
                count, at = int(head[0]), at + head.itemsize
            values = np.frombuffer(body, order + item.code, count, at)
            collected[item.name].append(values)
            at += values.nbytes
    return _collect(element, collected), at


def _text_rows(body: bytes) -> Iterator[list[bytes]]:
    return (words for line in body.splitlines() if (words := line.split()))


def _text_table(element: _Element, rows: Iterator[list[bytes]]) -> PlyTable:
    collected: dict[str, list[NDArray[Any]]] = {item.name: [] for item in element.properties}
    for _ in range(element.rows):
        words, at = next(rows), 0
        for item in element.properties:
            count = 1
            if item.count_code:
                count, at = int(words[at]), at + 1
            if at + count > len(words):
                raise ValueError("row too short")
            collected[item.name].append(np.array(words[at : at + count]).astype(item.code))
            at += count
    return _collect(element, collected)


def _collect(element: _Element, collected: dict[str, list[NDArray[Any]]]) -> PlyTable:
    result = PlyTable()
    for item in element.properties:
        parts = collected[item.name]
        values = np.concatenate(parts) if parts else np.zeros(0, item.code)
        if item.count_code:
            counts = np.array([len(part) for part in parts], dtype=np.int64)
            result.lists[item.name] = PlyList(counts, values)
        else:
            result.scalars[item.name] = values
    return result
