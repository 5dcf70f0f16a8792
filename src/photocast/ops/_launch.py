# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The only file that knows devices, streams, threads and tensor-to-Warp conversion.

Warp runs a CPU kernel on one thread, and its CPU atomics are plain read-modify-write. So on the CPU
an op splits its work into parts that write disjoint memory (image rows, views) or private gradient
buffers, and :func:`launch_parts` runs one launch per part, each on its own thread: Warp releases
the interpreter lock while a kernel runs. On CUDA there is one part, and atomics are atomic.
"""

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch
import warp as wp

__all__ = ["cpu_threads", "launch", "launch_parts", "part_count", "split"]

wp.config.log_level = wp.LOG_ERROR
wp.init()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cpu_threads(), thread_name_prefix="photocast-kernel")


@lru_cache(maxsize=1)
def cpu_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def part_count(device: torch.device) -> int:
    """How many parts an op should split its work into: cores on the CPU, one on CUDA."""
    return cpu_threads() if device.type == "cpu" else 1


def split(count: int, parts: int) -> list[tuple[int, int]]:
    """Cut ``range(count)`` into ``parts`` neighbouring ranges ``(start, stop)``, none empty."""
    edges = [count * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def _argument(value: Any) -> Any:
    # Tensors become Warp arrays of their kernel's element type without a copy; a pair
    # ``(tensor, dtype)`` names a vector type such as wp.vec4 for the last axis.
    if isinstance(value, torch.Tensor):
        return wp.from_torch(value.detach(), requires_grad=False, return_ctype=True)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], torch.Tensor):
        tensor, dtype = value
        return wp.from_torch(tensor.detach(), dtype=dtype, requires_grad=False, return_ctype=True)
    return value


def launch(
    kernel: Any, dim: int | Sequence[int], inputs: Sequence[Any], device: torch.device
) -> None:
    """Run ``kernel`` over ``dim`` threads on ``device``, in torch's current stream.

    Args:
        kernel: A Warp kernel.
        dim: Thread count per axis; zero anywhere launches nothing.
        inputs: Every kernel parameter in order: contiguous tensors, ``(tensor, wp.vecN)`` pairs,
            or plain numbers.
        device: Where the tensors live.
    """
    launch_parts(kernel, [(dim, inputs)], device)


def launch_parts(
    kernel: Any, parts: Sequence[tuple[int | Sequence[int], Sequence[Any]]], device: torch.device
) -> None:
    """Run ``kernel`` once per part, in parallel on the CPU, and wait for all (CPU only).

    The parts must not write the same memory.
    """
    name = str(device) if device.type == "cpu" else f"cuda:{device.index or 0}"
    jobs = []
    for dim, inputs in parts:
        size = (dim,) if isinstance(dim, int) else tuple(dim)
        if all(n > 0 for n in size):
            jobs.append((size, [_argument(value) for value in inputs]))
    if not jobs:
        return
    if device.type == "cpu":
        if len(jobs) == 1:
            wp.launch(kernel, dim=jobs[0][0], inputs=jobs[0][1], device=name)
            return
        wp.load_module(kernel.module, device=name)  # once, not once per thread
        work = [
            _pool().submit(wp.launch, kernel, dim=size, inputs=inputs, device=name)
            for size, inputs in jobs
        ]
        for task in work:
            task.result()
        return
    stream = wp.stream_from_torch(torch.cuda.current_stream(device))
    for size, inputs in jobs:
        wp.launch(kernel, dim=size, inputs=inputs, device=name, stream=stream)
