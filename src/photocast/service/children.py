# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Asking the worker's small programs, each in a process with limits: nothing is decoded in here.

The service must not import the worker's code. It starts ``limited.py`` by its path, which sets
limits and becomes the program; that answers with one JSON document.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import photocast
from photocast.service.problems import ServiceError

__all__ = ["Allowance", "ask"]

_WORKER = Path(photocast.__file__).parent / "worker"
_LIMITS = Path(photocast.__file__).parent / "limited.py"
_MOST_OUTPUT = 8 << 20
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR")
_VARIABLES = {
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    # Idle threads of numerical libraries, and a heap for each, would use up the address space.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a child may take."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float
    file_bytes: int


async def ask(child: str, words: Sequence[str], allowed: Allowance) -> dict[str, Any]:
    """Run a program of the worker and return its document.

    Args:
        child: Its module's name.
        words: Its arguments.
        allowed: What it may take.

    Raises:
        ServiceError: It refused the files, or went beyond its limits.
    """
    if not (_WORKER / f"{child}.py").is_file():
        raise ServiceError(501, "service.unsupported", f"This service cannot do {child}.")
    limits = {
        "memory_bytes": allowed.memory_bytes,
        "cpu_seconds": allowed.cpu_seconds,
        "file_bytes": allowed.file_bytes,
    }
    limited = ["-I", "-S", str(_LIMITS), json.dumps(limits), str(os.getpid())]
    program = [sys.executable, "-m", f"photocast.worker.{child}", *words]
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *limited,
        *program,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**kept, **_VARIABLES},
        start_new_session=True,
    )
    try:
        output = await asyncio.wait_for(_said(process), allowed.wall_seconds)
    except asyncio.TimeoutError:
        raise _too_long(allowed) from None
    finally:
        with contextlib.suppress(ProcessLookupError):  # and what it left behind
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if process.returncode == -signal.SIGXCPU:
        raise _too_long(allowed)
    return _document(output)


async def _said(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # it is a pipe
    said = bytearray()
    while piece := await process.stdout.read(1 << 16):
        said += piece
        if len(said) > _MOST_OUTPUT:
            return b""
    await process.wait()
    return bytes(said)


def _document(output: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(output)
    except ValueError:  # it ended with a traceback, or was killed
        raise ServiceError(
            422,
            "upload.crashed",
            "Looking at the files ended badly. They may be damaged or very large: export them "
            "again, or leave out half of them to find the one.",
        ) from None
    if document.pop("ok", False):
        return document
    error = document["error"]
    raise ServiceError(500 if error["exit_code"] == 1 else 422, error["code"], error["message"])


def _too_long(allowed: Allowance) -> ServiceError:
    return ServiceError(
        422,
        "upload.time",
        f"Looking at the files took more than {allowed.cpu_seconds} s of computing or "
        f"{allowed.wall_seconds:g} s in all, and was stopped. Send fewer or smaller files.",
    )
