# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A job's process as its supervisor sees it: started afresh, watched, and ended with its group."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photocast.worker.channel import RENEWAL

__all__ = ["JobProcess", "group_memory"]

_READ = 1 << 16
_LONGEST_LINE = 1 << 20
_TAIL = 50  # lines of its other output that are kept
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_PASSED_PREFIXES = (
    "CUDA_",
    "NVIDIA_",
    "LC_",
    "XDG_",
    "OMP_",
    "PYTORCH_",
    "WARP_",
    "PHOTOCAST_FAKE_",
)


class JobProcess:
    """One subprocess in a session of its own.

    It must be started from the main thread: the kernel ends it with the thread that started it.
    """

    def __init__(self, folder: Path) -> None:
        """Start the process of the job that ``folder`` describes."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "photocast.worker.child", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            close_fds=True,
            env=_environment(os.environ),
        )
        self.pid = self._child.pid
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._pending = {"out": b"", "err": b""}
        self._open = selectors.DefaultSelector()
        for stream, name in ((self._child.stdout, "out"), (self._child.stderr, "err")):
            assert stream is not None  # both are pipes
            os.set_blocking(stream.fileno(), False)
            self._open.register(stream, selectors.EVENT_READ, name)

    def renew(self, at: float) -> None:
        """Let the process know when its lease was renewed, by the monotonic clock."""
        assert self._child.stdin is not None  # a pipe
        with contextlib.suppress(OSError):  # it has ended, which shows elsewhere
            os.write(self._child.stdin.fileno(), RENEWAL.pack(at))

    def messages(self, timeout: float) -> list[dict[str, Any]]:
        """What the process has said, waiting at most so long [s]."""
        found: list[dict[str, Any]] = []
        if not self._open.get_map():
            self._wait_end(timeout)
            return found
        for key, _ in self._open.select(timeout):
            data = os.read(key.fd, _READ)
            if not data:
                self._open.unregister(key.fileobj)
            lines = (self._pending[key.data] + data).split(b"\n")
            self._pending[key.data] = lines.pop()[-_LONGEST_LINE:]
            if key.data == "err":
                self.tail.extend(line.decode("utf-8", "replace")[:500] for line in lines)
            else:
                found.extend(_parsed(line) for line in lines)
        return found

    @property
    def ended(self) -> bool:
        """Whether the process is over and has been listened to until the end."""
        if self._child.poll() is None:
            return False
        self._signal_group()  # what it started would hold the pipes open
        return not self._open.get_map()

    @property
    def code(self) -> int | None:
        """Its exit code; negative: the signal that ended it."""
        return self._child.poll()

    def ask_to_stop(self) -> None:
        """SIGTERM: it stops at the next safe point."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all that it started, and wait until they are gone."""
        self._signal_group()
        self._child.wait()

    def close(self) -> None:
        """Kill what is left and close the pipes."""
        self.kill()
        self._open.close()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                stream.close()

    def _signal_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # all are gone
            os.killpg(self.pid, signal.SIGKILL)

    def _wait_end(self, timeout: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout)


def group_memory(group: int) -> int:
    """Resident bytes of all processes of a session; 0 where /proc is missing."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "stat").read_text(encoding="ascii", errors="replace")
            fields = text.rpartition(")")[2].split()
            if int(fields[3]) == group:  # the session
                total += int(fields[21]) * page
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked
    return total


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {"noise": line.decode("utf-8", "replace")[:500]}
    return value if isinstance(value, dict) else {"noise": str(value)[:500]}


def _environment(everything: Mapping[str, str]) -> dict[str, str]:
    """What a job may know of ours: no keys, no addresses of databases."""
    return {
        name: value
        for name, value in everything.items()
        if name in _PASSED_ON or name.startswith(_PASSED_PREFIXES)
    }
