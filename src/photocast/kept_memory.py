# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Keep freed memory in the process, where computing on the CPU asks for the same again and again.

By default the C library gives a large block back to the system as soon as it is freed, and the next
one comes as pages that the system has to empty first. Steps of a fit make and drop tensors of tens
of megabytes; for them that took longer than the arithmetic (a table of zeros of 45 MB: 47 ms of
processor time instead of 13).
"""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEEP, _LARGEST = 2**31 - 1, 2**30  # bytes


def keep_freed_memory() -> bool:
    """Let freed blocks of up to a gigabyte be used again without asking the system.

    Returns:
        Whether the C library knows how; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    return bool(set_option(_MMAP_THRESHOLD, _LARGEST) and set_option(_TRIM_THRESHOLD, _KEEP))
