# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The only file that knows devices, streams, threads and tensor-to-Warp conversion.

Warp runs a CPU kernel on one thread, and its CPU atomics are plain read-modify-write. So on the CPU
an op splits its work into parts that write disjoint memory (image rows, views) or private gradient
buffers, and :func:`launch_parts` runs one launch per part, each on its own thread: Warp releases
the interpreter lock while a kernel runs. On CUDA there is one part, and atomics are atomic.
"""

import itertools
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch
import warp as wp
from torch import Tensor

from photocast.kernels.rasterize import Grid
from photocast.kernels.sums import Sums
from photocast.ops.determinism import is_deterministic
from photocast.threads import cpu_threads

__all__ = [
    "FEW_PIXELS",
    "GradientSums",
    "aligned",
    "as_array",
    "bands",
    "grid_of",
    "launch",
    "launch_parts",
    "launch_rows",
    "part_count",
    "split",
]

wp.config.log_level = wp.LOG_ERROR


def _start_warp() -> None:
    """Initialise Warp, without its warning that a machine without a GPU has no GPU driver.

    Warp writes that line from native code, so it has to be caught at the file descriptor. All else
    that appears there is passed on.
    """
    import sys
    import tempfile

    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            wp.init()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        caught.seek(0)
        lines = caught.read().splitlines(keepends=True)
    for line in lines:
        if b"CUDA driver" not in line:
            os.write(2, line)


_start_warp()

_local = threading.local()  # each thread's own commands, by kernel and device
MOST_PARTS = 16  # each part may cost a private gradient table
FEW_PIXELS = 4096  # below this, waking a second thread costs more than it saves


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(cpu_threads() - 1, 1), thread_name_prefix="photocast-kernel")


def part_count(device: torch.device) -> int:
    """How many parts an op should split its work into: cores on the CPU, one on CUDA."""
    return min(cpu_threads(), MOST_PARTS) if device.type == "cpu" else 1


def split(count: int, parts: int) -> list[tuple[int, int]]:
    """Cut ``range(count)`` into ``parts`` neighbouring ranges ``(start, stop)``, none empty."""
    edges = [count * i // max(parts, 1) for i in range(parts + 1)]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def bands(views: int, height: int, device: torch.device) -> list[tuple[int, int, int, int]]:
    """Cut a batch of images into (first view, stop view, first row, stop row), disjoint.

    On the CPU there are about twice as many as cores, so that an object in the middle of the
    image still keeps every core busy.
    """
    if device.type != "cpu":
        return [(0, views, 0, height)] if views else []
    wanted = 2 * cpu_threads()
    rows = split(height, -(-wanted // max(views, 1)))
    return [
        (first, stop, top, bottom)
        for first, stop in split(views, min(views, wanted))
        for top, bottom in rows
    ]


def as_array(tensor: Tensor, dtype: Any = None) -> Any:
    """Lend a tensor to a Warp struct, without a copy; it must outlive the launch."""
    wp.init()
    return wp.from_torch(tensor.detach(), dtype=dtype, requires_grad=False)


def aligned(tensor: Tensor) -> Tensor:
    """Contiguous, and where kernels may read 16 bytes at once (``kernels/vectors.py``)."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()


def _descriptor(tensor: Tensor, kind: Any) -> Any:
    """The array a kernel argument of this type reads, without a copy.

    The last axis becomes a vector if the kernel's elements are vectors; a leading axis more than
    the kernel's is joined with the next one: kernels see a batch of images as one tall image.
    """
    axes = kind.ndim + len(getattr(kind.dtype, "_shape_", ()))
    if tensor.ndim == axes + 1:
        tensor = tensor.flatten(0, 1)
    made = wp.from_torch(tensor.detach(), dtype=kind.dtype, requires_grad=False, return_ctype=True)
    made._ref = None  # the command outlives the tensor; it must not keep its memory
    return made


class _Command:
    """A kernel ready to be launched again.

    Between two steps of an optimisation only addresses change. So the descriptors of the arrays
    are kept and get the new address; to build them anew costs more than the launch itself.
    """

    def __init__(
        self, kernel: Any, size: tuple[int, ...], inputs: Sequence[Any], name: str
    ) -> None:
        self.size = size
        self.kinds = [argument.type for argument in kernel.adj.args]
        self.forms: list[Any] = []  # dtype, shape and stride of a tensor, or the value
        self.arrays: list[Any] = []
        for value, kind in zip(inputs, self.kinds, strict=True):
            is_tensor = isinstance(value, Tensor)
            self.forms.append(_form(value) if is_tensor else value)
            self.arrays.append(_descriptor(value, kind) if is_tensor else value)
        self.command = wp.launch(
            kernel, dim=size, inputs=list(self.arrays), device=name, record_cmd=True
        )

    def run(self, size: tuple[int, ...], inputs: Sequence[Any], stream: Any) -> None:
        if size != self.size:
            self.command.set_dim(size)
            self.size = size
        for index, value in enumerate(inputs):
            if isinstance(value, tuple):
                value = value[0]
            if isinstance(value, Tensor):
                if _form(value) == self.forms[index]:
                    self.arrays[index].data = value.data_ptr()
                else:
                    self.forms[index] = None  # until all has gone well
                    self.arrays[index] = _descriptor(value, self.kinds[index])
                    self.command.set_param_at_index(index, self.arrays[index])
                    self.forms[index] = _form(value)
            elif value is not self.forms[index]:
                self.command.set_param_at_index(index, value)
                self.forms[index] = value
        self.command.launch(stream)


def _form(tensor: Tensor) -> Any:
    return tensor.dtype, tensor.shape, tensor.stride()


def _lends_arrays(kernel: Any) -> bool:
    # A struct with arrays in it; a command would keep their memory from being freed.
    fields = [getattr(argument.type, "vars", {}).values() for argument in kernel.adj.args]
    return any(hasattr(field.type, "ndim") for struct in fields for field in struct)


def _run(
    kernel: Any, size: tuple[int, ...], inputs: Sequence[Any], name: str, stream: Any = None
) -> None:
    commands: dict[Any, Any] = _local.__dict__.setdefault("commands", {})
    key = (kernel, name)
    if key not in commands:
        plain = [v[0] if isinstance(v, tuple) else v for v in inputs]
        commands[key] = None if _lends_arrays(kernel) else _Command(kernel, size, plain, name)
    command = commands[key]
    if command is not None:
        command.run(size, inputs, stream)
        return
    arguments = zip(inputs, kernel.adj.args, strict=True)
    packed = [_packed(value, argument.type) for value, argument in arguments]
    wp.launch(kernel, dim=size, inputs=packed, device=name, stream=stream)


def _packed(value: Any, kind: Any) -> Any:
    tensor = value[0] if isinstance(value, tuple) else value
    return _descriptor(tensor, kind) if isinstance(tensor, Tensor) else value


@lru_cache(maxsize=256)
def _stream(address: int, index: int) -> Any:
    # By address: to wrap a stream registers it with Warp's runtime, each time.
    return wp.Stream(wp.get_cuda_device(index), cuda_stream=address)


def launch(
    kernel: Any, dim: int | Sequence[int], inputs: Sequence[Any], device: torch.device
) -> None:
    """Run ``kernel`` over ``dim`` threads on ``device``, in torch's current stream.

    Args:
        kernel: A Warp kernel.
        dim: Thread count per axis; zero anywhere launches nothing.
        inputs: Every kernel parameter in order: contiguous tensors with the kernel's element type,
            structs or plain numbers.
        device: Where the tensors live.
    """
    launch_parts(kernel, [(dim, inputs)], device)


@lru_cache(maxsize=256)
def grid_of(
    height: int, width: int, part: int = 0, parts: int = 1, *, span: int = 1, run: int = 1
) -> Grid:
    """A grid with these fields; not to be changed, because all who ask get the same one."""
    grid = Grid()
    grid.height, grid.width, grid.part, grid.parts = height, width, part, parts
    grid.span, grid.run = span, run
    return grid


def launch_rows(
    kernel: Any,
    shape: tuple[int, int, int],
    inputs: Callable[[Grid], Sequence[Any]],
    device: torch.device,
    *,
    every_row: bool = False,
    in_runs: bool = False,
) -> None:
    """Run a per-pixel kernel over a batch of images, rows dealt out to the parts in turn.

    Args:
        kernel: Takes (k, slot) as thread index and works on row ``grid.part + k * grid.parts``,
            columns from ``slot * grid.span`` on.
        shape: Views, height, width.
        inputs: Kernel parameters for one part, given its grid.
        device: Where the tensors live.
        every_row: Let every part visit all rows (it then owns something else than rows).
        in_runs: The kernel works on ``grid.run`` rows from ``grid.run`` times that row on: as
            many pixels below each other as a thread can sum up before it needs an atomic addition.
    """
    views, height, width = shape
    rows = views * height
    parts = part_count(device) if rows * width > FEW_PIXELS else 1
    span, run = _tile(width, device) if in_runs else (_tile(width, device)[0], 1)
    jobs = []
    for part in range(parts):
        grid = grid_of(height, width, part, parts, span=span, run=run)
        count = -(-rows // run)
        count = count if every_row else len(range(part, count, parts))
        jobs.append(((count, -(-width // span)), inputs(grid)))
    launch_parts(kernel, jobs, device)


def _tile(width: int, device: torch.device) -> tuple[int, int]:
    """Columns and rows per thread; on CUDA neighbouring threads must read neighbouring columns."""
    return (width, 1) if device.type == "cpu" else (1, 8)


class GradientSums:
    """The sums into which pixels scatter: a private table per part, added at the end."""

    def __init__(
        self, rows: int, channels: int, upstream: Sequence[Tensor], *, shared: bool
    ) -> None:
        """Make empty tables.

        Args:
            rows: How many vertices or texels.
            channels: Numbers per vertex or texel.
            upstream: The incoming gradients, which set the scale in the deterministic mode.
            shared: All parts write one table, because each row belongs to one part.
        """
        device = upstream[0].device
        wide = channels if shared else _table_width(channels, device)
        shape = (1 if shared else part_count(device), rows, wide)
        self.channels = channels
        self.unit = _unit(upstream) if is_deterministic() else 0.0
        kind = torch.int64 if self.unit else torch.float32
        self.table = torch.zeros(shape, dtype=kind, device=device)
        self._unused = torch.empty(
            (1, 1, 1), dtype=torch.float32 if self.unit else torch.int64, device=device
        )

    @property
    def arguments(self) -> list[Any]:
        """What a kernel takes as ``floats, integers, unit``."""
        if self.unit:
            return [self._unused, self.table, self.unit]
        return [self.table, self._unused, self.unit]

    @property
    def struct(self) -> Any:
        """The same as a Warp struct; slower to make."""
        sums = Sums()
        floats, integers, sums.unit = self.arguments
        sums.floats, sums.integers = as_array(floats), as_array(integers)
        return sums

    def total(self, shape: Sequence[int]) -> Tensor:
        """The sum over the parts, always in the same order, as float32 of this shape."""
        table = self.table[0] if len(self.table) == 1 else self.table.sum(0)
        if self.unit:
            table = (table.double() / self.unit).float()
        return table[..., : self.channels].reshape(tuple(shape))


def _table_width(channels: int, device: torch.device) -> int:
    # Rows of fours: CUDA then adds four numbers at once.
    return channels if device.type == "cpu" or channels < 2 else -(-channels // 4) * 4


def _unit(upstream: Sequence[Tensor]) -> float:
    # A power of two, so that scaling is exact.
    largest = max(float(g.abs().max()) if g.numel() else 0.0 for g in upstream)
    if not 0 < largest < math.inf:
        return 1.0
    return 2.0 ** (36 - math.frexp(largest)[1])


def _drain_together(kernel: Any, jobs: list[tuple[Any, Any]], name: str) -> None:
    # This thread and the pool's take the next job until none is left.
    queue = iter(jobs)

    def drain() -> None:
        for size, inputs in queue:
            _run(kernel, size, inputs, name)

    others = min(len(jobs), cpu_threads()) - 1
    work = [_pool().submit(drain) for _ in range(others)]
    drain()
    for task in work:
        task.result()


def launch_parts(
    kernel: Any, parts: Sequence[tuple[int | Sequence[int], Sequence[Any]]], device: torch.device
) -> None:
    """Run ``kernel`` once per part, in parallel on the CPU, and wait for all (CPU only).

    The parts must not write the same memory.
    """
    jobs = []
    for dim, inputs in parts:
        size = (dim,) if isinstance(dim, int) else tuple(dim)
        if all(n > 0 for n in size):
            jobs.append((size, inputs))
    if not jobs:
        return
    if device.type == "cpu":
        wp.load_module(kernel.module, device="cpu")  # once, not once per thread
        _drain_together(kernel, jobs, "cpu")
        return
    torch_stream = torch.cuda.current_stream(device)
    index = torch_stream.device_index
    stream = _stream(torch_stream.cuda_stream, index)
    for size, inputs in jobs:
        _run(kernel, size, inputs, f"cuda:{index}", stream)
