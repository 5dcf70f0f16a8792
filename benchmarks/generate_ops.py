# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Our sparse convolution against spconv's, and the kernels of attention against each other.

    python benchmarks/generate_ops.py --voxels 20000

Prints JSON. spconv takes part if it is installed (``pip install spconv-cu126``, Apache-2.0);
attention is PyTorch's, once by each of its kernels: the FlashAttention that PyTorch brings, cuDNN,
the memory-efficient one, and none (``math``). Sizes are those of the published networks. Times are
medians; tables of neighbours are made before, on both sides, and their time is told apart.
"""

import argparse
import importlib.util
import json
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from generate_gpu import shell  # the neighbouring script: Python puts this folder on the path
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from photocast.nets.sparse_conv import SparseConv3d, convolutions_by
from photocast.nets.voxels import Voxels

CONVOLUTIONS = (("fine", 128, 128), ("coarse", 1024, 1024), ("twice split", 96, 96))
"""Which voxels, channels in and out: of the latent flow twice, and of the mesh decoder."""
ATTENTIONS = {
    "structure, all see all": (1, 4096, 4096, 16, 64),
    "details, one view": (1, 4000, 1374, 16, 64),
    "VGGT, 8 views together": (1, 10992, 10992, 16, 64),
    "windows of the decoders": (160, 128, 128, 12, 64),
}
"""Batch, queries, keys, heads, width of a head."""
KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


def milliseconds(work: Callable[[], Any], repeats: int = 20) -> float:
    """Median time on the GPU."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        work()
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b))
    return round(statistics.median(times), 4)


def attention(dtype: torch.dtype) -> dict[str, Any]:
    """Milliseconds of every kernel; None where it cannot."""
    rows: dict[str, Any] = {}
    for name, (batch, queries, keys, heads, width) in ATTENTIONS.items():
        q = torch.randn(batch, heads, queries, width, device="cuda", dtype=dtype)
        k, v = (torch.randn(batch, heads, keys, width, device="cuda", dtype=dtype) for _ in "kv")
        work = partial(scaled_dot_product_attention, q, k, v)
        row: dict[str, float | None] = {"chosen": milliseconds(work)}
        for kernel, backend in KERNELS.items():
            try:
                with sdpa_kernel(backend):
                    row[kernel] = milliseconds(work)
            except RuntimeError:
                row[kernel] = None
        rows[name] = row
    return rows


def convolutions(voxels: Voxels, dtype: torch.dtype) -> dict[str, Any]:
    """Ours, and spconv's where it runs."""
    levels = {
        "fine": voxels,
        "coarse": voxels.coarse()[0],
        "twice split": voxels.children.children,
    }
    rows: dict[str, Any] = {}
    for level, inside, out in CONVOLUTIONS:
        here = levels[level]
        ours = SparseConv3d(inside, out, 3).to("cuda", dtype).requires_grad_(False)
        x = torch.randn(len(here), inside, device="cuda").to(dtype)
        fresh = milliseconds(partial(table, here.coords), 5)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        row: dict[str, Any] = {
            "voxels": len(here),
            "ours_ms": milliseconds(partial(ours, x, here)),
            "ours_gb": round((torch.cuda.max_memory_allocated() - before) / 1e9, 2),
            "ours_table_ms": fresh,
        }
        try:
            row |= theirs(ours, x, here)
        except Exception as error:  # noqa: BLE001  # a benchmark tells why a peer does not run
            row["spconv"] = f"{type(error).__name__}: {str(error)[:200]}"
        rows[f"{level}, {inside} to {out}"] = row
    return rows


def table(coords: Tensor) -> Tensor:
    """Neighbours, searched anew."""
    return Voxels(coords).neighbors


def theirs(ours: SparseConv3d, x: Tensor, voxels: Voxels) -> dict[str, Any]:
    """The same with spconv, and how far the results differ."""

    def anew() -> Tensor:
        with convolutions_by("spconv"):
            return ours(x, Voxels(voxels.coords))

    def again() -> Tensor:
        with convolutions_by("spconv"):
            return ours(x, voxels)

    anew(), again()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    time = milliseconds(again)
    peak = (torch.cuda.max_memory_allocated() - before) / 1e9
    apart = (again().float() - ours(x, voxels).float()).norm()
    return {
        "spconv_ms": time,
        "spconv_gb": round(peak, 2),
        "spconv_with_table_ms": milliseconds(anew, 5),
        "relative_difference": float(f"{apart / ours(x, voxels).float().norm():.2g}"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=20_000)
    args = parser.parse_args()
    with torch.inference_mode():
        document = {
            "gpu": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "spconv": importlib.util.find_spec("spconv") is not None,
            "attention_ms": attention(torch.bfloat16),
            "convolution_bfloat16": convolutions(
                shell(args.voxels, 64, torch.device("cuda")), torch.bfloat16
            ),
            "convolution_float16": convolutions(
                shell(args.voxels, 64, torch.device("cuda")), torch.float16
            ),
        }
    print(json.dumps(document, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
