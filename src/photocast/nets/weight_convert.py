# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pickled weights (.pth, .bin, .pt) into plain tensors, in a process that may do little else.

A pickle can run code. PyTorch's ``weights_only`` reader refuses what is not a tensor; as a second
wall, the file is read in a process of its own with limits on time, memory and file size.
"""

import subprocess
import sys
from pathlib import Path

from photocast.errors import WeightsError

__all__ = ["convert_pickle"]

_SECONDS = 900
_MEMORY_FACTOR = 6
"""Address space beside what PyTorch itself needs, in sizes of the file."""

_PROGRAM = """
import sys
source, target, memory, size, seconds = sys.argv[1:]
try:
    import resource
except ModuleNotFoundError:
    resource = None
import torch
from photocast.nets.tensor_file import write_tensors
from pathlib import Path
if resource is not None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(memory), used + int(memory)))
state = torch.load(source, map_location="cpu", weights_only=True)
if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
    sys.exit("it holds something else than named tensors")
write_tensors(Path(target), state)
"""


def convert_pickle(source: Path, target: Path) -> None:
    """Write the tensors of a pickled file as a plain one.

    Args:
        source: The file as downloaded.
        target: Where to write; absent if anything fails.

    Raises:
        WeightsError: The file holds more than tensors, or takes too much time or memory.
    """
    size = source.stat().st_size
    memory = _MEMORY_FACTOR * size + (1 << 30)
    partial = target.with_name(f"{target.name}.part")
    arguments = [str(source), str(partial), str(memory), str(2 * size + (1 << 24)), str(_SECONDS)]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _program(), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise WeightsError(
                f"{source} cannot be converted: {lines[-1]}. Only files of named tensors are read.",
                code="weights.pickle",
            )
        partial.replace(target)
    except subprocess.TimeoutExpired as error:
        raise WeightsError(
            f"{source} was not converted within {_SECONDS} s.", code="weights.pickle"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _program() -> str:
    """An isolated interpreter ignores PYTHONPATH, so it is told where this package lies."""
    here = str(Path(__file__).resolve().parents[2])
    return f"import sys; sys.path.insert(0, {here!r})\n{_PROGRAM}"
