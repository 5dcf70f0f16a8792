# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A real ``photocast serve`` for programs that ask it for much."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["memory_mb", "start"]


def start(
    folder: Path, *, workers: int = 0, **settings: str
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a service on a free port; its process and the port, when it answers.

    ``settings`` are those of the environment, without ``PHOTOCAST_``. Its log goes to ``log.txt``
    in the folder: a pipe that nobody reads would stop the service.
    """
    command = [sys.executable, "-m", "photocast", "serve", "--data", str(folder), "--port", "0"]
    named = {f"PHOTOCAST_{name.upper()}": value for name, value in settings.items()}
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    log = folder / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--workers", str(workers)], stderr=file, env={**usual, **named}, cwd=folder
        )
    while process.poll() is None:
        found = re.search(r"running on http://127.0.0.1:(\d+)", log.read_text(encoding="utf-8"))
        if found:
            return process, int(found[1])
        time.sleep(0.01)
    raise SystemExit(f"photocast serve has ended:\n{log.read_text(encoding='utf-8')}")


def memory_mb(pid: int, what: str = "VmRSS") -> int:
    """What a process takes up now (``VmRSS``) or took at most (``VmHWM``) [MB]."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"{what}:\s+(\d+)", status)
    return round(int(found[1]) / 1024) if found else 0
