# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A child process keeps within its limits, and nothing of it stays."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from photocast.limited import LimitedResult, run_limited

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")

MIB = 1 << 20


def run(code: str, **changes: Any) -> LimitedResult:
    """Run Python code within limits that are wide for it."""
    limits = {"memory_bytes": 256 * MIB, "cpu_seconds": 5, "wall_seconds": 20, "file_bytes": MIB}
    return run_limited([sys.executable, "-c", code], **(limits | changes))


def gone(pid: int) -> bool:
    """Wait a little for a process to end."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except FileNotFoundError:
            return True
        if state[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_what_a_child_says_comes_back():
    result = run("import sys; print('hello'); print('oops', file=sys.stderr)")
    assert result == LimitedResult(b"hello\n", 0, "", b"oops\n")


def test_a_code_other_than_0_is_told():
    result = run("raise SystemExit(3)")
    assert (result.rc, result.why) == (3, "exit")


def test_a_crash_is_told():
    result = run("import os; os.abort()")
    assert (result.rc, result.why) == (-6, "signal")


def test_more_memory_than_allowed_is_not_given():
    result = run("try: bytes(400 << 20)\nexcept MemoryError: print('refused')")
    assert result.stdout == b"refused\n"


def test_more_processor_time_than_allowed_is_not_given():
    result = run("while True: pass", cpu_seconds=1)
    assert result.why == "cpu"


def test_a_child_that_sleeps_is_killed_in_time():
    start = time.monotonic()
    result = run("import time; print('slow', flush=True); time.sleep(60)", wall_seconds=1.5)
    assert (result.stdout, result.rc, result.why) == (b"slow\n", -9, "wall")
    assert time.monotonic() - start < 10


def test_a_child_that_nobody_wants_any_more_is_killed():
    start = time.monotonic()
    result = run("import time; time.sleep(60)", stopped=lambda: time.monotonic() > start + 1)
    assert (result.rc, result.why) == (-9, "stopped")
    assert time.monotonic() - start < 10


def test_a_child_that_closes_its_streams_is_killed_in_time_too():
    result = run("import os, time; os.close(1); os.close(2); time.sleep(60)", wall_seconds=1.5)
    assert result.why == "wall"


def test_larger_files_than_allowed_are_not_written(tmp_path):
    path = tmp_path / "large"
    result = run(f"open({str(path)!r}, 'wb').write(bytes({4 * MIB}))")
    assert result.why == "exit"
    assert path.stat().st_size <= MIB


def test_more_output_than_allowed_ends_the_child():
    result = run("while True: print('x' * 1000)", output_bytes=10_000)
    assert (len(result.stdout), result.why) == (10_000, "output")


def test_grandchildren_are_killed_with_the_group():
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, flush=True)"
    )
    result = run(code, wall_seconds=1.5)
    assert gone(int(result.stdout))


def test_secrets_of_the_parent_are_not_passed_on(monkeypatch):
    monkeypatch.setenv("PHOTOCAST_SECRET", "hush")
    result = run("import os; print(sorted(os.environ))")
    assert b"PHOTOCAST_SECRET" not in result.stdout
    assert b"PYTHONUTF8" in result.stdout


def test_there_is_nothing_to_read():
    assert run("import sys; print(len(sys.stdin.read()))").stdout == b"0\n"


def test_a_child_has_a_session_of_its_own_and_leaves_no_core():
    code = "import os, resource; print(os.getsid(0) == os.getpid(), resource.getrlimit(4))"
    assert run(code).stdout == b"True (0, 0)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_child_dies_with_its_parent(tmp_path):
    code = (
        "import sys\n"
        "from photocast.limited import run_limited\n"
        "child = f'import os, time; open({sys.argv[1]!r}, \"w\").write(str(os.getpid()));'\n"
        "child += 'time.sleep(60)'\n"
        "run_limited([sys.executable, '-c', child], memory_bytes=1 << 28, cpu_seconds=5,\n"
        "            wall_seconds=60, file_bytes=1 << 20)\n"
    )
    path = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)], env=dict(os.environ))
    while not (path.exists() and path.read_text(encoding="utf-8")):
        time.sleep(0.02)
    pid = int(path.read_text(encoding="utf-8"))
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()
    assert gone(pid)
