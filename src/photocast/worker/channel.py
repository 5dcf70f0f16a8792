# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How a job's process talks with its supervisor, and how it dies with it.

The process writes one JSON object a line; each has one of the keys ``progress``, ``log``, ``done``
and ``error``. The supervisor writes the time, of the monotonic clock that both share, whenever the
lease was renewed. ``patience`` seconds after the last one, or when the pipe ends, the process kills
its whole group: somebody else may have the job by then.
"""

import ctypes
import json
import math
import os
import select
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["RENEWAL", "Channel", "die_with_supervisor"]

RENEWAL = struct.Struct("d")
"""Seconds of the monotonic clock; shorter than what a pipe splits."""
_PDEATHSIG = 1  # of prctl(2)


class Channel:
    """Messages to the supervisor, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._lock = threading.Lock()

    def send(self, kind: str, value: Any) -> None:
        """Write one message."""
        line = json.dumps({kind: value}).encode() + b"\n"
        with self._lock:
            self._file.write(line)


def die_with_supervisor(patience: float, renewed: float, descriptor: int = 0) -> None:
    """Make sure that this process never outlives its supervisor or its lease.

    Nothing is begun if either is over already: starting an interpreter takes a while.

    Args:
        patience: Seconds without a renewal after which the job is somebody else's.
        renewed: When the last renewal began that this process was not told of.
        descriptor: The pipe from the supervisor.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)  # at once, and without our help
    renewed = _latest(descriptor, renewed)
    if time.monotonic() > renewed + patience:
        _kill_group()
    thread = threading.Thread(
        target=_watch,
        args=(descriptor, patience, _kill_group, renewed),
        daemon=True,
        name="photocast-lease",
    )
    thread.start()


def _latest(descriptor: int, renewed: float) -> float:
    """The last of the renewals that wait in the pipe; long ago if the pipe has ended."""
    while select.select([descriptor], [], [], 0)[0]:
        if not (renewals := os.read(descriptor, 512 * RENEWAL.size)):
            return -math.inf
        (renewed,) = RENEWAL.unpack(renewals[-RENEWAL.size :])
    return renewed


def _watch(descriptor: int, patience: float, end: Callable[[], None], last: float) -> None:
    while (left := last + patience - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            continue
        renewals = os.read(descriptor, 512 * RENEWAL.size)
        if not renewals:
            break  # the supervisor is gone
        (last,) = RENEWAL.unpack(renewals[-RENEWAL.size :])
    end()


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
