# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run was: versions, options, inputs, seconds per stage, peak memory."""

import hashlib
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from photocast import __version__
from photocast.progress import Progress

__all__ = ["StageClock", "describe_run"]

_PACKAGES = ("torch", "warp-lang", "numpy", "scipy", "pillow", "opencv-python-headless")


class StageClock:
    """A ``Progress`` that passes every report on and adds up the seconds of each stage.

    The time since the last report belongs to the stage that reports now.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._start = self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, **numbers: float) -> None:
        self.lap(stage)
        self._progress(stage, done, total, **numbers)

    @property
    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start

    def lap(self, stage: str) -> None:
        """Give the time since the last report to a stage, without a report."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def describe_run(
    *,
    options: Mapping[str, Any],
    seconds: Mapping[str, float],
    inputs: Iterable[Path] = (),
    root: Path | None = None,
) -> dict[str, Any]:
    """Collect the facts that let somebody repeat or question a run.

    Args:
        options: Every setting, with its seeds, as plain values.
        seconds: Per stage, in order.
        inputs: Files whose contents decided the result.
        root: The inputs are named relative to this folder.

    Returns:
        The contents of ``run.json``; all plain values.
    """
    return {
        "versions": _versions(),
        "machine": {
            "system": platform.platform(terse=True),
            "processor": platform.machine(),
            "gpu": _gpu(),
        },
        "options": dict(options),
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "peak_memory_bytes": _peak_memory_bytes(),
        "inputs": _hashes(inputs, root),
    }


def _versions() -> dict[str, str]:
    found = {"photocast": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _peak_memory_bytes() -> dict[str, int]:
    import torch

    peaks = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
        peaks["main"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if torch.cuda.is_available():
        peaks["gpu"] = torch.cuda.max_memory_allocated() + _warp_peak()
    return peaks


def _warp_peak() -> int:
    # Most of Warp's memory belongs to torch; trees of triangles for rays do not.
    import warp as wp

    device = wp.get_cuda_device()
    return int(wp.get_mempool_used_mem_high(device)) if device.is_mempool_enabled else 0


def _hashes(paths: Iterable[Path], root: Path | None) -> dict[str, str]:
    files = list(paths)
    with ThreadPoolExecutor(thread_name_prefix="photocast-hash") as pool:
        hashes = pool.map(_sha256, files)
        return {_name(path, root): value for path, value in zip(files, hashes, strict=True)}


def _name(path: Path, root: Path | None) -> str:
    within = root is not None and path.is_relative_to(root)
    return path.relative_to(root).as_posix() if root and within else path.name


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
