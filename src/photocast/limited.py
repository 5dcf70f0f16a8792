# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Child processes that can neither outgrow, outlive nor spy on their parent.

The limits are set by this very file, run as a script that then becomes the wanted program: code
between fork and exec of a threaded parent can hang, a second program cannot. So it imports the
standard library alone. Linux and other POSIX systems only.
"""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

__all__ = ["LimitedResult", "Why", "apply_limits", "run_limited"]

Why = Literal["", "exit", "signal", "cpu", "wall", "output", "stopped"]

_OPEN_FILES = 256
_MOST_OUTPUT = 8 << 20
_KEPT_ERRORS = 8 << 10
_PIECE = 1 << 16
_TICK = 0.25
_SET_PARENT_DEATH_SIGNAL = 1  # of prctl
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR")
_VARIABLES = {
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    # Idle threads of numerical libraries, and a heap for each, would use up the address space.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "CUDA_VISIBLE_DEVICES": "",  # a GPU has no limits that we could set
}


@dataclass(frozen=True, slots=True)
class LimitedResult:
    """How a child ended."""

    stdout: bytes
    rc: int
    """Exit code; negative is the number of the signal that ended it."""
    why: Why
    """Empty if it ended well; ``exit``: by itself, with another code than 0; ``signal``: it crashed
    or was killed; ``cpu``, ``wall``, ``output``: it went beyond that limit; ``stopped``: it was no
    longer wanted."""
    stderr: bytes = b""
    """The end of it, for logs; may name files, so not for users."""


def apply_limits(
    *, memory_bytes: int, cpu_seconds: int, file_bytes: int, open_files: int = _OPEN_FILES
) -> None:
    """Limit this process and all that it starts; there is no way back.

    Args:
        memory_bytes: Address space, of each process.
        cpu_seconds: Processor time, of each process; then SIGXCPU, a second later SIGKILL.
        file_bytes: Of each file that is written.
        open_files: At a time.
    """
    import resource

    for kind, soft, hard in (
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_NOFILE, open_files, open_files),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        most = resource.getrlimit(kind)[1]
        ceiling = hard if most == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(kind, (min(soft, ceiling), ceiling))


def run_limited(
    argv: Sequence[str],
    *,
    memory_bytes: int,
    cpu_seconds: int,
    wall_seconds: float,
    file_bytes: int,
    output_bytes: int = _MOST_OUTPUT,
    variables: Mapping[str, str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> LimitedResult:
    """Run a program without a shell, with nothing to read, and with an environment of its own.

    It and all that it started are gone when this returns, and also if this process dies.

    Args:
        argv: The program and its arguments; the program by its full path.
        memory_bytes: See :func:`apply_limits`.
        cpu_seconds: See :func:`apply_limits`.
        wall_seconds: After which it is killed.
        file_bytes: See :func:`apply_limits`.
        output_bytes: Of its standard output; at more it is killed.
        variables: More of the environment, on top of the few that are kept.
        stopped: Asked several times a second; once true, the program is killed.
    """
    limits = {"memory_bytes": memory_bytes, "cpu_seconds": cpu_seconds, "file_bytes": file_bytes}
    words = [sys.executable, "-I", "-S", __file__, json.dumps(limits), str(os.getpid()), *argv]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    deadline = time.monotonic() + wall_seconds
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment, **_VARIABLES, **(variables or {})},
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr, why = _streams(process, output_bytes, deadline, stopped)
            if not why:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(deadline - time.monotonic(), 0))
                why = "wall" if process.poll() is None else ""
        finally:
            # Also what it left behind: a group lives as long as any of its processes.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            rc = process.wait()
    return LimitedResult(stdout, rc, why or _ended(rc), stderr)


def _streams(
    process: subprocess.Popen[bytes],
    output_bytes: int,
    deadline: float,
    stopped: Callable[[], bool],
) -> tuple[bytes, bytes, Why]:
    """Collect what it says until both streams end, or it says or takes too much."""
    assert process.stdout is not None
    assert process.stderr is not None
    said, complained = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, said)
        selector.register(process.stderr, selectors.EVENT_READ, complained)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return bytes(said), bytes(complained), "wall"
            if stopped():
                return bytes(said), bytes(complained), "stopped"
            for key, _ in selector.select(min(left, _TICK)):
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                key.data.extend(piece)
            del complained[:-_KEPT_ERRORS]
            if len(said) > output_bytes:
                return bytes(said[:output_bytes]), bytes(complained), "output"
    return bytes(said), bytes(complained), ""


def _ended(rc: int) -> Why:
    if rc == -signal.SIGXCPU:
        return "cpu"
    return "" if rc == 0 else "exit" if rc > 0 else "signal"


def _die_with(parent: int) -> None:
    """Be killed when the parent ends, which it may have done already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def _become(limits: str, parent: str, *argv: str) -> None:
    """Set limits and run the program in the place of this one."""
    _die_with(int(parent))
    apply_limits(**json.loads(limits))
    os.execv(argv[0], argv)


if __name__ == "__main__":
    _become(*sys.argv[1:])
