# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How children answer, and how a parent asks them: one JSON document on standard output.

It has ``ok``, and ``error`` with ``code``, ``message`` and ``exit_code`` if that is false.
"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from photocast.errors import Cancelled, PhotocastError
from photocast.limited import LimitedResult, run_limited

__all__ = ["CHILDREN", "Allowance", "answer", "ask"]

_MIB, _GIB = 1 << 20, 1 << 30


class Allowance(NamedTuple):
    """What a child may take; see :func:`photocast.limited.run_limited`."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: int
    file_bytes: int


CHILDREN = {
    "clean": Allowance(1536 * _MIB, 120, 180, _GIB),
    "unzip": Allowance(512 * _MIB, 300, 600, _GIB),
    "preflight": Allowance(1536 * _MIB, 300, 600, _MIB),
    # PyTorch alone takes several gigabytes of addresses, though not of memory.
    "mesh_report": Allowance(12 * _GIB, 600, 600, _GIB),
}
"""By module."""


def answer(work: Callable[[], dict[str, Any]]) -> int:
    """Do a child's work and print what came of it.

    Args:
        work: Gives the document of success, without ``ok``.

    Returns:
        The exit code.
    """
    try:
        document, code = {"ok": True, **work()}, 0
    except (PhotocastError, MemoryError, OSError) as raised:
        error = _told(raised)
        document, code = _refusal(error), error.exit_code
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    return code


def _told(raised: PhotocastError | MemoryError | OSError) -> PhotocastError:
    if isinstance(raised, PhotocastError):
        return raised
    if isinstance(raised, MemoryError):
        return PhotocastError(
            "The files take more memory than is allowed for looking at them. Make them smaller.",
            code="upload.memory",
        )
    return PhotocastError(
        f"A file could not be read or written ({raised.strerror or raised}). Check free space, or "
        "send smaller files.",
        code="system.io",
    )


def ask(
    child: str, words: Sequence[str], *, stopped: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Run a child within its limits and give its document, or one that says how it failed.

    Args:
        child: One of ``CHILDREN``.
        words: Its arguments.
        stopped: Once true, the child is killed and its document says so.
    """
    argv = [sys.executable, "-m", f"photocast.worker.{child}", *words]
    allowed = CHILDREN[child]
    result = run_limited(
        argv,
        memory_bytes=allowed.memory_bytes,
        cpu_seconds=allowed.cpu_seconds,
        wall_seconds=allowed.wall_seconds,
        file_bytes=allowed.file_bytes,
        stopped=stopped,
    )
    return _document(result, allowed)


def _document(result: LimitedResult, allowed: Allowance) -> dict[str, Any]:
    if result.why in ("", "exit"):
        try:
            document: dict[str, Any] = json.loads(result.stdout)
            return document
        except ValueError:
            pass  # it ended with a traceback
    if result.why == "stopped":
        return _refusal(Cancelled("It was stopped while its files were looked at."))
    if result.why in ("cpu", "wall"):
        return _refusal(
            PhotocastError(
                f"Looking at the files took more than {allowed.cpu_seconds} s of computing or "
                f"{allowed.wall_seconds} s in all, and was stopped. Send fewer or smaller files.",
                code="upload.time",
            )
        )
    return _refusal(
        PhotocastError(
            f"Looking at the files ended badly (code {result.rc}). They may be damaged: export "
            "them again, or leave out half of them to find the one.",
            code="upload.crashed",
        )
    )


def _refusal(error: PhotocastError) -> dict[str, Any]:
    body = {"code": error.code, "message": str(error), "exit_code": error.exit_code}
    return {"ok": False, "error": body}
