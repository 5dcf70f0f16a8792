# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Time one step of rasterize, interpolate and antialias; prints JSON.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/rasterize.py --device cpu --triangles 20000 --size 512

The scene is a torus that fills about half of the image. Median, minimum and processor time per
step: on a machine that is busy otherwise, the minimum is the more honest number.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from pathlib import Path

# OpenMP threads that spin after each torch operation take the core our kernels want.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import warp as wp
from torch import Tensor

from photocast.geometry.projection import clip_from_camera, transform_points
from photocast.ops._launch import launch_parts
from photocast.ops.antialias import EdgeTopology, antialias, edge_topology
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize
from photocast.threads import cpu_threads


def torus(triangles: int) -> tuple[Tensor, Tensor]:
    """Vertices (vert, 3) and faces of a torus with about this many triangles."""
    n = max(3, round(math.sqrt(triangles / 2)))
    u, v = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    a, b = u / n * math.tau, v / n * math.tau
    wide = 1 + 0.4 * b.cos()
    vertices = torch.stack([wide * a.cos(), wide * a.sin(), 0.4 * b.sin()], -1).view(-1, 3)
    right, down = (u + 1) % n * n + v, u * n + (v + 1) % n
    both, here = (u + 1) % n * n + (v + 1) % n, u * n + v
    faces = torch.cat([torch.stack([here, right, both], -1), torch.stack([here, both, down], -1)])
    return vertices, faces.view(-1, 3).int()


def camera(size: int) -> Tensor:
    """Clip from world, (1, 4, 4): the torus tilted by 0.6 rad, 3.4 away."""
    pose = torch.eye(4, dtype=torch.float64)
    c, s = math.cos(0.6), math.sin(0.6)
    pose[1:3, 1:3] = torch.tensor([[c, -s], [s, c]])
    pose[2, 3] = 3.4
    focal, middle = 1.1 * size, size / 2
    lens = clip_from_camera(
        size=(size, size), focal=(focal, focal), principal=(middle, middle), near=0.1, far=10
    )
    return (lens @ pose).float()[None]


def step(
    clip: Tensor, colors: Tensor, faces: Tensor, topology: EdgeTopology, size: int
) -> dict[str, float]:
    """Milliseconds of one forward and one backward pass."""
    times = [(time.perf_counter(), time.process_time())]

    def mark() -> None:
        if clip.is_cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter(), time.process_time()))

    raster = rasterize(clip, faces, (size, size))
    mark()
    image = interpolate(colors, raster, faces)
    mark()
    image = antialias(image, raster, clip, faces, topology)
    mark()
    torch.autograd.grad(image, [clip, colors], torch.ones_like(image))
    mark()
    names = ["rasterize", "interpolate", "antialias", "backward"]
    result = {
        name: 1e3 * (after[0] - before[0])
        for name, before, after in zip(names, times, times[1:], strict=False)
    }
    result["forward"] = 1e3 * (times[3][0] - times[0][0])
    result["total"] = 1e3 * (times[4][0] - times[0][0])
    result["processor"] = 1e3 * (times[4][1] - times[0][1])
    return result


def processor() -> str:
    """Name of the CPU."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Run the steps and write the report to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--triangles", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--kernels", action="store_true", help="add processor time per kernel")
    options = parser.parse_args()
    device = torch.device(options.device)
    vertices, faces = torus(options.triangles)
    faces = faces.to(device)
    clip = transform_points(camera(options.size), vertices).to(device).requires_grad_()
    colors = torch.rand((len(vertices), 3), device=device, requires_grad=True)
    topology = edge_topology(faces)
    kernels: dict[str, list[float]] = {}
    if options.kernels:
        watch(kernels)
    runs = [step(clip, colors, faces, topology, options.size) for _ in range(options.steps + 5)][5:]
    covered = (rasterize(clip, faces, (options.size, options.size)).face >= 0).float().mean()
    report = {
        "triangles": len(faces),
        "size": options.size,
        "covered": round(covered.item(), 3),
        "median_ms": {k: round(statistics.median(r[k] for r in runs), 2) for k in runs[0]},
        "minimum_ms": {k: round(min(r[k] for r in runs), 2) for k in runs[0]},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": processor(),
        "cores": cpu_threads(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "omp_wait_policy": os.environ["OMP_WAIT_POLICY"],
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "warp": wp.__version__,
        },
    }
    if kernels:
        report["kernel_processor_ms"] = {
            k: round(statistics.median(v[5:]), 2) for k, v in kernels.items()
        }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


def watch(kernels: dict[str, list[float]]) -> None:
    """Record the processor time of every launch, by kernel name."""
    import photocast.ops._launch as module
    import photocast.ops.rasterize as user

    def timed(kernel: object, parts: list, where: torch.device) -> None:  # type: ignore[type-arg]
        start = time.process_time()
        launch_parts(kernel, parts, where)
        kernels.setdefault(kernel.key, []).append(1e3 * (time.process_time() - start))  # type: ignore[attr-defined]

    module.launch_parts = user.launch_parts = timed


if __name__ == "__main__":
    main()
