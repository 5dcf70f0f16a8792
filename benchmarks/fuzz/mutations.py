# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Ways to damage a file, from a random number generator alone: the same seed, the same bytes.

Besides blind changes of bytes there are changes that keep a file well-formed and make it lie: of
numbers in text, of words and lines, of values in JSON (with the lengths of a GLB corrected), and
of the members of a ZIP (packed again).
"""

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["mutated"]

_TEXTS = [b"-1", b"0", b"1", b"255", b"256", b"65536", b"2147483647", b"2147483648", b"4294967295"]
_TEXTS += [b"-2147483649", b"99999999999", b"100000000", b"1e39", b"1e400", b"nan", b"inf", b"-0.0"]
_TEXTS += [b"1_0", b"", b"x", b"0x10", b"1e", b"9" * 50, b"../x", b"/etc/hostname", b"\\", b"%00"]
_WORDS = [struct.pack("<I", n) for n in (0, 1, 3, 255, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)]
_WORDS += [struct.pack("<f", x) for x in (float("nan"), float("inf"), 1e38, -1.0, 1e-45)]
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError)
_ZIP_ERRORS += (ValueError, NotImplementedError)
_VALUES: list[Any] = [None, True, -1, 0, 1, 2**31, 2**53, 10**30, 0.5, -1e308, "", "x", "../x"]
_VALUES += ["data:,", "data:;base64,AAAA", [], {}, [[]], [0], {"a": 0}, [1e39] * 3, 100_000_000]


def mutated(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """Damage a file once or a few times.

    Args:
        data: A good file.
        random: Decides everything.
        others: Files to take pieces from.
    """
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        packed = data[:2] == b"PK" and random.random() < 0.8  # else most damage is to its checksum
        change = _members if packed else random.choice(_CHANGES)
        if change is _splice:
            data = _splice(data, random, random.choice(others))
        else:
            data = change(data, random)
    return data


def _span(data: bytes, random: Random, most: int = 64) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(start + 1 + random.randrange(most), len(data))


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def _overwrite(data: bytes, random: Random) -> bytes:
    word = random.choice(_WORDS) if random.random() < 0.7 else random.randbytes(4)
    at = random.randrange(len(data) + 1)
    at -= at % 4 if random.random() < 0.5 else 0
    return data[:at] + word + data[at + 4 :]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _remove(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _repeat(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random, 256)
    return data[:end] + data[start:end] * random.choice((1, 2, 50)) + data[end:]


def _insert(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.choice((1, 4, 40))) + data[at:]


def _splice(data: bytes, random: Random, other: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _number(data: bytes, random: Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", data[: 1 << 16]))
    if not found:
        return data
    match = random.choice(found)
    return data[: match.start()] + random.choice(_TEXTS) + data[match.end() :]


def _word(data: bytes, random: Random) -> bytes:
    words = re.split(rb"(\s+)", data)
    a, b = (random.randrange(len(words)) for _ in range(2))
    words[a] = random.choice((words[b], random.choice(_TEXTS), b"", b"\n"))
    return b"".join(words)


def _line(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    a, b = (random.randrange(len(lines)) for _ in range(2))
    lines[a:a] = [lines[b]] * random.choice((1, 1, 100))
    if random.random() < 0.5:
        del lines[b]
    return b"\n".join(lines)


def _json(data: bytes, random: Random) -> bytes:
    size = int.from_bytes(data[12:16], "little") if data[:4] == b"glTF" else 0
    text = data[20 : 20 + size] if size else data
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return data
    text = json.dumps(_changed(document, random)).encode()
    if not size:
        return text
    text += b" " * (-len(text) % 4)
    rest = data[20 + size :]
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    return head + text + rest


def _changed(value: Any, random: Random, depth: int = 0) -> Any:
    """Replace, drop or repeat one thing somewhere inside."""
    if isinstance(value, dict | list) and value and random.random() < 0.93 and depth < 40:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = random.choice(keys)
        if random.random() < 0.06:
            del value[key]
        elif isinstance(value, list) and random.random() < 0.06:
            value.extend([value[key]] * random.choice((1, 3, 300)))
        else:
            value[key] = _changed(value[key], random, depth + 1)
        return value
    return random.choice(_VALUES)


def _members(data: bytes, random: Random) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = {name: file.read(name) for name in file.namelist()[:20]}
    except _ZIP_ERRORS:
        return data
    if not members:
        return data
    chosen = random.choice(list(members))
    members[chosen] = random.choice(_CHANGES[:-2])(members[chosen], random)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


_CHANGES: list[Callable[..., bytes]] = [
    *(_flip, _overwrite, _overwrite, _cut, _remove, _repeat, _insert, _number, _number, _number),
    *(_word, _word, _line, _json, _json, _json, _members, _splice),
]
