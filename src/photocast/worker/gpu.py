# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""GPUs as the driver's library (NVML) tells of them, without a framework that would occupy one.

Without the package nvidia-ml-py, a driver or a GPU, there are none, and nothing is waited for.
"""

import contextlib
import functools
import importlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

__all__ = ["Gpu", "GpuPeak", "device_facts", "list_gpus", "wait_for_room"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_LOOK_S = 1.0
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU at one moment."""

    id: str
    """As CUDA_VISIBLE_DEVICES takes it; it stays the same when cards are added."""
    name: str
    total_bytes: int
    free_bytes: int


def list_gpus() -> list[Gpu]:
    """The GPUs that this process may use, in the order in which CUDA numbers them for it."""
    return _ask(lambda nvml: [_gpu(nvml, handle) for handle in _handles(nvml)], [])


def device_facts() -> dict[str, Any]:
    """What a worker computes with."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpus = [asdict(gpu) for gpu in list_gpus()]
    return {"cpus": os.cpu_count(), "memory_bytes": memory, "gpus": gpus}


def wait_for_room(
    needed: int, seconds: float, *, say: Callable[[str], None], stopped: Callable[[], bool]
) -> bool:
    """Wait while others hold the memory of the first GPU.

    A GPU that is smaller than that is not waited for: it will never have the room.

    Args:
        needed: Free bytes to wait for.
        seconds: How long at most.
        say: Told what is waited for, when it changes.
        stopped: Whether to wait no more.

    Returns:
        False if the time was not enough.
    """
    end, told = time.monotonic() + seconds, ""
    while not stopped():
        first = next(iter(list_gpus()), None)
        if first is None or first.total_bytes < needed or first.free_bytes >= needed:
            return True
        if time.monotonic() >= end:
            return False
        free = f"{first.free_bytes / _GB:.1f} GB free"
        message = f"waiting for GPU memory: {needed / _GB:.1f} GB needed, {free}"
        if message != told:
            say(message)
            told = message
        time.sleep(_LOOK_S)
    return True


class GpuPeak:
    """The most GPU memory that the processes of a session held at one moment."""

    def __init__(self) -> None:
        self.bytes: int | None = None
        """``None`` while none was seen, also where the driver sees other process numbers."""
        self._due = 0.0

    def look(self, session: int) -> None:
        """Look, unless that was a moment ago."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _LOOK_S
        used = _ask(lambda nvml: sum(_used(nvml, one, session) for one in _handles(nvml)), 0)
        if used:
            self.bytes = max(self.bytes or 0, used)


def _ask(question: Callable[[Any], _T], otherwise: _T) -> _T:
    """What the library answers, or something else if it cannot be had or fails."""
    nvml = _nvml()
    if nvml is None:
        return otherwise
    try:
        return question(nvml)
    except nvml.NVMLError as error:
        _log.warning("the GPU's driver does not answer: %s", error, extra={"event": "gpu.unknown"})
        return otherwise


@functools.cache
def _nvml() -> Any:
    """The library, ready for use; ``None`` if it cannot be had. Starting it takes a while."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except ImportError:
        return None
    except nvml.NVMLError:
        return None
    return nvml


def _handles(nvml: Any) -> list[Any]:
    """Handles of what CUDA_VISIBLE_DEVICES names; like CUDA, up to the first that is not there."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = nvml.nvmlDeviceGetCount()
    names = [str(number) for number in range(count)] if visible is None else visible.split(",")
    found = []
    for name in map(str.strip, names):
        try:
            handle = (
                nvml.nvmlDeviceGetHandleByIndex(int(name))
                if name.isdigit()
                else nvml.nvmlDeviceGetHandleByUUID(name)
            )
        except nvml.NVMLError:
            break
        found.append(handle)
    return found


def _gpu(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    return Gpu(nvml.nvmlDeviceGetUUID(handle), name, int(memory.total), int(memory.free))


def _used(nvml: Any, handle: Any, session: int) -> int:
    """Bytes on a GPU that belong to the processes of a session."""
    total = 0
    for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
        with contextlib.suppress(ProcessLookupError):  # it has ended, or is on another host
            if os.getsid(process.pid) == session:
                total += process.usedGpuMemory or 0
    return total
