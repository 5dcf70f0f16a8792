# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Freed memory is used again, seen from a process of its own: the setting lasts."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from photocast.kept_memory import keep_freed_memory
import numpy as np

print(keep_freed_memory())
for _ in range(5):
    np.ones(8_000_000, np.float32)  # 32 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000, np.float32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has mallopt")
def test_large_blocks_come_without_new_pages_once_they_were_used():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    known, faults = done.stdout.split()
    if known == "False":
        pytest.skip("this C library has no mallopt")
    assert int(faults) < 1000  # anew they would be 20 times 7812
