# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Time rasterize, interpolate and antialias on CUDA, forward and backward; prints JSON.

    PYTHONPATH=src python benchmarks/rasterize_gpu.py [--nvdiffrast]

A torus from several sides. Per row: milliseconds per step launched from Python (``eager``) and
replayed as a CUDA graph (``graph``), host time per step, time per verb, and microseconds per kernel
(also as a table on standard error). With ``--nvdiffrast``, which you must have installed, the same
of that library in the same process, and how well image and gradients agree. ``finite_difference``
compares the gradient with a central difference while the mesh swells and while it tilts; it cannot
agree fully, because antialiasing compares the colours at two centres, half a pixel from the side.
"""

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import warp as wp
from rasterize import torus  # the neighbouring script: Python puts this folder on the path
from torch import Tensor

from photocast.geometry.projection import clip_from_camera, transform_points
from photocast.ops.antialias import antialias, edge_topology
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize

ROWS = [(20_000, 8, 512), (328_000, 8, 512), (328_000, 8, 1024)]  # triangles, views, size
SMALL = [(2_000, 2, 64)]
Step = Callable[[], tuple[Tensor, ...]]


def cameras(views: int, size: int) -> Tensor:
    """Clip from world, (view, 4, 4): from 3.4 away, each view tilted and turned differently."""
    lens = clip_from_camera(
        size=(size, size), focal=(1.1 * size,) * 2, principal=(size / 2,) * 2, near=0.1, far=10
    )
    poses = []
    for view in range(views):
        tilt, turn = torch.tensor(0.3 + 0.15 * view), torch.tensor(0.7 * view)
        around = torch.eye(4, dtype=torch.float64)
        around[0, 0], around[0, 1], around[1, 0], around[1, 1] = (
            turn.cos(),
            -turn.sin(),
            turn.sin(),
            turn.cos(),
        )
        pose = torch.eye(4, dtype=torch.float64)
        pose[1, 1], pose[1, 2], pose[2, 1], pose[2, 2] = (
            tilt.cos(),
            -tilt.sin(),
            tilt.sin(),
            tilt.cos(),
        )
        pose[2, 3] = 3.4
        poses.append(lens @ pose @ around)
    return torch.stack(poses).float()


class Scene:
    """What one row draws."""

    def __init__(self, triangles: int, views: int, size: int, device: torch.device) -> None:
        vertices, faces = torus(triangles)
        matrices = cameras(views, size)
        self.size, self.device = (size, size), device
        self.faces = faces.to(device)
        self.vertices, self.matrices = vertices.to(device), matrices.to(device)
        self.clip = self.project(self.vertices).requires_grad_()
        random = torch.Generator().manual_seed(0)
        self.colors = (0.5 + 0.5 * torch.sin(3 * vertices)).to(device).requires_grad_()
        coarse = torch.rand((views, 3, 8, 8), generator=random)
        smooth = torch.nn.functional.interpolate(coarse, self.size, mode="bilinear")
        self.upstream = smooth.permute(0, 2, 3, 1).contiguous().to(device)
        self.topology = edge_topology(self.faces)

    def project(self, vertices: Tensor) -> Tensor:
        """Clip coordinates (view, vert, 4)."""
        return torch.cat([transform_points(m[None], vertices) for m in self.matrices]).contiguous()

    def draw(self, clip: Tensor) -> tuple[Tensor, ...]:
        """Face, interpolated and antialiased image, by our verbs."""
        raster = rasterize(clip, self.faces, self.size, slopes=False)
        flat = interpolate(self.colors, raster, self.faces)
        return raster.face, flat, antialias(flat, raster, clip, self.faces, self.topology)

    def step(self) -> tuple[Tensor, ...]:
        """Image and gradients of clip and colours."""
        image = self.draw(self.clip)[2]
        return image, *torch.autograd.grad(image, [self.clip, self.colors], self.upstream)


class Theirs:
    """The same with nvdiffrast, called directly."""

    def __init__(self, scene: Scene) -> None:
        from photocast.ops import nvdiffrast_backend

        self.scene, self.module = scene, nvdiffrast_backend.load()
        self.context = self.module.RasterizeCudaContext(device=scene.device)
        self.hash = self.module.antialias_construct_topology_hash(scene.faces)

    def draw(self, clip: Tensor) -> tuple[Tensor, ...]:
        """Face, interpolated and antialiased image."""
        s = self.scene
        raster, _ = self.module.rasterize(self.context, clip, s.faces, s.size, grad_db=False)
        flat, _ = self.module.interpolate(s.colors[None], raster, s.faces)
        image = self.module.antialias(flat, raster, clip, s.faces, topology_hash=self.hash)
        return raster[..., 3].int() - 1, flat, image

    def step(self) -> tuple[Tensor, ...]:
        """Image and gradients of clip and colours."""
        s = self.scene
        raster, _ = self.module.rasterize(self.context, s.clip, s.faces, s.size, grad_db=False)
        flat, _ = self.module.interpolate(s.colors[None], raster, s.faces)
        image = self.module.antialias(flat, raster, s.clip, s.faces, topology_hash=self.hash)
        return image, *torch.autograd.grad(image, [s.clip, s.colors], s.upstream)


def milliseconds(work: Callable[[], Any], device: torch.device, steps: int) -> float:
    """Median time of a step, all steps in flight together."""
    for _ in range(5):
        work()
    if device.type != "cuda":
        times = []
        for _ in range(steps):
            start = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - start))
        return round(statistics.median(times), 4)
    torch.cuda.synchronize()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
    marks[0].record()
    for mark in marks[1:]:
        work()
        mark.record()
    torch.cuda.synchronize()
    times = [a.elapsed_time(b) for a, b in itertools.pairwise(marks)]
    return round(statistics.median(times), 4)


def host_milliseconds(work: Callable[[], Any], device: torch.device, steps: int) -> float:
    """Median time until Python has launched a step, the device idle before."""
    times = []
    for _ in range(steps):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times), 4)


def graph_of(step: Step) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """Record a step; returns its replay and the tensors it writes."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        written = step()
    return graph.replay, written


def timed(step: Step, device: torch.device, steps: int, *, graph: bool = True) -> dict[str, Any]:
    """Eager, host and graph milliseconds; an error message where no graph can be recorded."""
    result: dict[str, Any] = {
        "eager": milliseconds(step, device, steps),
        "host": host_milliseconds(step, device, max(steps // 3, 3)),
    }
    if device.type == "cuda" and graph:
        try:
            replay, written = graph_of(step)
            result["graph"] = milliseconds(replay, device, steps)
            fresh = step()
            gaps = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(written, fresh)]  # noqa: B905
            result["graph_against_eager"] = [float(f"{gap:.2e}") for gap in gaps]
        except Exception as error:  # noqa: BLE001 the rest of the report is still worth having
            result["graph"] = f"{type(error).__name__}: {error}".splitlines()[0]
    return result


def verbs(scene: Scene, steps: int) -> dict[str, float]:
    """Milliseconds of each verb, forward and backward apart, from Python."""
    s, (clip, colors) = scene, (scene.clip, scene.colors)
    measure = partial(milliseconds, device=s.device, steps=steps)
    draw = partial(rasterize, clip, s.faces, s.size, slopes=False)
    raster = draw()
    flat = interpolate(colors, raster, s.faces)
    fixed = type(raster)(*(channel.detach() for channel in raster))
    bary = fixed.bary.clone().requires_grad_()
    loose = fixed._replace(bary=bary)
    pixels = flat.detach().requires_grad_()
    values = interpolate(colors, loose, s.faces)
    image = antialias(pixels, fixed, clip, s.faces, s.topology)
    again = partial(torch.autograd.grad, retain_graph=True)
    weights = s.upstream[..., :2].contiguous()
    return {
        "rasterize": measure(draw),
        "interpolate": measure(lambda: interpolate(colors, fixed, s.faces)),
        "antialias": measure(lambda: antialias(pixels, fixed, clip, s.faces, s.topology)),
        "antialias_backward": measure(lambda: again(image, [pixels, clip], s.upstream)),
        "interpolate_backward": measure(lambda: again(values, [colors, bary], s.upstream)),
        "rasterize_backward": measure(lambda: again(raster.bary, clip, weights)),
    }


def kernels(step: Step, title: str) -> dict[str, float]:
    """Microseconds per step of each kernel on the device, longest first."""
    count = 5
    activities = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(count):
            step()
        torch.cuda.synchronize()
    found = {
        event.key[:80]: event.self_device_time_total / count
        for event in profile.key_averages()
        if event.device_type == torch.autograd.DeviceType.CUDA
    }
    ordered = dict(sorted(found.items(), key=lambda item: -item[1])[:24])
    sys.stderr.write(f"\n{title}: microseconds per step\n")
    for name, value in ordered.items():
        sys.stderr.write(f"{value:10.1f}  {name}\n")
    return {name: round(value, 1) for name, value in ordered.items()}


def agreement(scene: Scene, theirs: Theirs) -> dict[str, float]:
    """How close our faces, image and gradients are to theirs."""
    face, flat, image = scene.draw(scene.clip)
    their_face, their_flat, their_image = theirs.draw(scene.clip)
    report = {
        "same_face": float((face == their_face).float().mean()),
        "interpolated_mean_gap": float((flat - their_flat).abs().mean()),
        "antialiased_mean_gap": float((image - their_image).abs().mean()),
        "blend_mean": float((image - flat).abs().mean()),
        "their_blend_mean": float((their_image - their_flat).abs().mean()),
    }
    pairs = zip(scene.step()[1:], theirs.step()[1:], strict=True)
    for name, (ours, other) in zip(("clip", "colors"), pairs, strict=True):
        cosine = torch.nn.functional.cosine_similarity(ours.flatten(), other.flatten(), dim=0)
        report[f"{name}_gradient_cosine"] = float(cosine)
        report[f"{name}_gradient_length_ratio"] = float(ours.norm() / other.norm())
    return {name: round(value, 6) for name, value in report.items()}


def finite_difference(scene: Scene, draw: Callable[[Tensor], tuple[Tensor, ...]]) -> dict[str, Any]:
    """Loss per unit of motion: by our gradient, and by a central difference."""
    vertices = scene.vertices.clone().requires_grad_()
    image = draw(scene.project(vertices))[2]
    (slope,) = torch.autograd.grad(image, vertices, scene.upstream)
    x, y, z = scene.vertices.unbind(1)
    outward = torch.nn.functional.normalize(scene.vertices, dim=1)
    tilt = torch.stack([z, torch.zeros_like(y), -x], 1)
    report = {}
    for name, motion in (("outward", outward), ("tilt", tilt)):
        with torch.no_grad():
            h = 2e-3
            losses = [
                (draw(scene.project(scene.vertices + s * h * motion))[2].double() * scene.upstream)
                .sum()
                .item()
                for s in (1, -1)
            ]
        measured = (losses[0] - losses[1]) / (2 * h)
        given = float((slope.double() * motion).sum())
        report[name] = {
            "gradient": round(given, 3),
            "difference": round(measured, 3),
            "relative_gap": round(abs(given - measured) / max(abs(measured), 1e-9), 4),
        }
    return report


def missing(error: Exception) -> str:
    """Say, once more on standard error, why there is no comparison."""
    cause = error.__cause__ or error
    first = (str(cause).splitlines() or [""])[0]
    note = f"NOT COMPARED: nvdiffrast does not work here. {type(cause).__name__}: {first}"
    sys.stderr.write(f"\n{note}\n")
    return note


def report_of(row: tuple[int, int, int], device: torch.device, options: Any) -> dict[str, Any]:
    """All numbers of one row."""
    triangles, views, size = row
    scene = Scene(triangles, views, size, device)
    face = scene.draw(scene.clip)[0]
    result: dict[str, Any] = {
        "triangles": len(scene.faces),
        "views": views,
        "size": size,
        "covered": round(float((face >= 0).float().mean()), 3),
        "ours_ms": timed(scene.step, device, options.steps),
        "verbs_ms": verbs(scene, max(options.steps // 3, 3)),
        "finite_difference": finite_difference(scene, scene.draw),
    }
    title = f"{triangles} triangles, {views} views, {size} px"
    if device.type == "cuda" and not options.no_kernels:
        result["kernels_us"] = kernels(scene.step, f"ours, {title}")
    if options.nvdiffrast:
        try:
            theirs = Theirs(scene)
            theirs.step()
        except Exception as error:  # noqa: BLE001 our rows are worth having without theirs
            result["nvdiffrast"] = missing(error)
            return result
        result["nvdiffrast_ms"] = timed(theirs.step, device, options.steps, graph=False)
        result["agreement"] = agreement(scene, theirs)
        result["nvdiffrast_finite_difference"] = finite_difference(scene, theirs.draw)
        if not options.no_kernels:
            result["nvdiffrast_kernels_us"] = kernels(theirs.step, f"nvdiffrast, {title}")
        mine = [t for t in (result["ours_ms"]["eager"], result["ours_ms"].get("graph")) if t]
        base = result["nvdiffrast_ms"]["eager"]
        result["speedup"] = [round(base / t, 2) for t in mine if isinstance(t, float)]
    return result


def main() -> None:
    """Run the rows and write the report to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nvdiffrast", action="store_true", help="compare; you installed it")
    parser.add_argument("--nvdiffrast-graph", action="store_true", help="try to record it, last")
    parser.add_argument("--no-kernels", action="store_true", help="without the profiler")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="one small row, to try the script")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the report is all that should appear
    device = torch.device(options.device)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "warp": wp.__version__,
        },
        "rows": [report_of(row, device, options) for row in (SMALL if options.small else ROWS)],
    }
    if options.nvdiffrast_graph:
        # Last, because a recording that fails can leave the device unusable.
        report["nvdiffrast_graph_ms"] = []
        for row in ROWS:
            try:
                step = Theirs(Scene(*row, device)).step
                numbers: Any = timed(step, device, options.steps)
            except Exception as error:  # noqa: BLE001 see above
                numbers = missing(error)
            report["nvdiffrast_graph_ms"].append(numbers)
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
