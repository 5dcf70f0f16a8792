# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Server-sent events from bytes, however the network cuts them.

Source: HTML Living Standard, section 9.2.6, "Interpreting an event stream".
"""

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["JobEvent", "SseParser"]

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job."""

    type: str
    """``snapshot``, ``state``, ``progress``, ``log``, ``artifact`` or ``end``."""
    data: dict[str, Any]
    id: str = ""
    """Its number; the next stream can go on after it."""


class SseParser:
    """Takes bytes in, gives events out; ``last_id`` and ``retry_seconds`` are kept up to date."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_seconds: float | None = None
        """How long to wait before listening again, if the service said."""
        self._rest = b""
        self._after_cr = False  # a line feed that comes next belongs to the line end before
        self._at_start = True
        self._type, self._data = "", list[str]()

    def feed(self, chunk: bytes) -> list[JobEvent]:
        """Read on; events that are complete now."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        found = [self._line(line) for line in lines]
        return [event for event in found if event is not None]

    def _line(self, line: bytes) -> JobEvent | None:
        if self._at_start:
            line, self._at_start = line.removeprefix(_BOM), False
        if not line:
            return self._complete()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_seconds = int(value) / 1000

    def _complete(self) -> JobEvent | None:
        kind, data = self._type or "message", self._data
        self._type, self._data = "", []
        return JobEvent(kind, _object("\n".join(data)), self.last_id) if data else None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {"value": found}
