# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How many threads a process may use."""

import os
from functools import lru_cache

__all__ = ["cpu_threads"]


@lru_cache(maxsize=1)
def cpu_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
