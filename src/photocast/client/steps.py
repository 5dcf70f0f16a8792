# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a plan may ask of the world, and what it hears back.

A plan is a generator: it yields steps, receives what came of each, and returns its result. It opens
no connection and never sleeps, so the same plan serves a caller that waits and one that awaits, and
a test can play the world. :mod:`photocast.client.edges` carries steps out.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

__all__ = [
    "Answer",
    "Ask",
    "Broken",
    "Item",
    "Open",
    "Pause",
    "Plan",
    "Read",
    "Step",
    "Together",
    "Work",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. Heard back: an ``Answer`` with its whole body, or ``Broken``."""

    method: str
    path: str
    """Below the service's address."""
    params: Mapping[str, str | int | list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Sequence[bytes | Path] = ()
    """What to send, one after the other; files are read while they are sent."""
    harmless: bool = False
    """Whether asking once more than needed changes nothing."""
    patience: float = 0.0
    """Seconds that the answer may take longer than usual."""

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again when nobody knows if it arrived."""
        keyed = "Idempotency-Key" in self.headers
        return self.harmless or keyed or self.method in ("GET", "HEAD", "PUT", "DELETE")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said; the names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer, or not all of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Open:
    """A request whose body is read in parts. Heard back: an ``Answer``, or ``Broken``.

    A refusal comes with its body. What was open before is closed.
    """

    ask: Ask


@dataclass(frozen=True, slots=True)
class Read:
    """The next bytes of what is open. Heard back: none at the end, or ``Broken``."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass [s]."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Something with files that may take a while. Heard back: what it returned."""

    do: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Together:
    """Other plans, some at a time. Heard back: their results in order; the first error ends all."""

    plans: Sequence["Plan[Any]"]
    at_once: int


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """Something for whoever iterates over the plan. Heard back: nothing."""

    value: T


Step: TypeAlias = Ask | Open | Read | Pause | Work | Together | Item[Any]
Plan: TypeAlias = Generator[Step, Any, T]
