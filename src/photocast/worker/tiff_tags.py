# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Directories of tags, as TIFF has them and EXIF took them over.

Source: Adobe, TIFF revision 6.0, section 2; CIPA DC-008 for the tags of a shot.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from photocast.worker.kept_facts import KeptFacts

__all__ = ["Tag", "read_folder", "tags_of", "write_exif", "write_folder"]

_LETTERS = {1: "B", 3: "H", 4: "I", 5: "I"}
_SIZES = {1: 1, 3: 2, 4: 4, 5: 8}
_MOST_TAGS = 512
_EXIF_FOLDER = 0x8769


@dataclass(frozen=True, slots=True)
class Tag:
    """The value of a tag: text, or whole numbers; rationals are pairs one after the other."""

    kind: int
    """As in the file: 1 byte, 2 text, 3 short, 4 long, 5 rational."""
    numbers: tuple[int, ...] = ()
    text: bytes = b""

    def packed(self, order: str) -> tuple[int, bytes]:
        """Count and bytes."""
        if self.text:
            return len(self.text), self.text
        letter = _LETTERS[self.kind]
        data = struct.pack(f"{order}{len(self.numbers)}{letter}", *self.numbers)
        return len(data) // _SIZES[self.kind], data


def tags_of(facts: KeptFacts) -> tuple[dict[int, Tag], dict[int, Tag]]:
    """Tags of the main directory, and of the one of the shot."""
    main: dict[int, Tag] = {}
    shot: dict[int, Tag] = {}
    if facts.make:
        main[271] = Tag(2, text=facts.make.encode("ascii") + b"\0")
    if facts.model:
        main[272] = Tag(2, text=facts.model.encode("ascii") + b"\0")
    if facts.orientation != 1:
        main[274] = Tag(3, (facts.orientation,))
    if facts.focal_mm is not None:
        shot[37386] = Tag(5, (round(facts.focal_mm * 1000), 1000))
    if facts.focal_35mm is not None:
        shot[41989] = Tag(3, (facts.focal_35mm,))
    return main, shot


def write_exif(facts: KeptFacts) -> bytes:
    """A TIFF of nothing but these facts; empty if there are none."""
    main, shot = tags_of(facts)
    return b"II*\0\x08\0\0\0" + write_folder(main, shot, 8, "<") if main or shot else b""


def write_folder(main: Mapping[int, Tag], shot: Mapping[int, Tag], start: int, order: str) -> bytes:
    """Write a main directory, and behind it the one of the shot if that is not empty.

    Args:
        main: By tag number.
        shot: By tag number.
        start: Where in the file the result will stand.
        order: Byte order, ``<`` or ``>``.
    """
    if not shot:
        return _folder(main, start, order)
    size = len(_folder({**main, _EXIF_FOLDER: Tag(4, (0,))}, start, order))
    first = _folder({**main, _EXIF_FOLDER: Tag(4, (start + size,))}, start, order)
    return first + _folder(shot, start + size, order)


def _folder(tags: Mapping[int, Tag], start: int, order: str) -> bytes:
    entries, values = b"", b""
    behind = start + 2 + 12 * len(tags) + 4
    for number, tag in sorted(tags.items()):
        count, data = tag.packed(order)
        entries += struct.pack(f"{order}HHI", number, tag.kind, count)
        if len(data) <= 4:
            entries += data.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", behind + len(values))
            values += data + bytes(len(data) % 2)
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + values


def read_folder(data: bytes, start: int, order: str) -> dict[int, Tag]:
    """Read a directory; tags of kinds that no picture needs are passed over.

    Raises:
        struct.error: It points outside of the data.
        ValueError: It has too many tags.
    """
    (count,) = struct.unpack_from(f"{order}H", data, start)
    if count > _MOST_TAGS:
        raise ValueError(f"{count} tags; at most {_MOST_TAGS} are read")
    tags: dict[int, Tag] = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        number, kind, length = struct.unpack_from(f"{order}HHI", data, place)
        if kind not in (1, 3, 4):
            continue
        size = length * _SIZES[kind]
        at = place + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, place + 8)[0]
        tags.setdefault(
            number, Tag(kind, struct.unpack_from(f"{order}{length}{_LETTERS[kind]}", data, at))
        )
    return tags
