# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a reconstruction costs besides its optimisation, step by step; prints JSON.

    python benchmarks/overheads.py ../shared/data/lego_400
    python benchmarks/overheads.py CAPTURE --faces 60000 --texture 2048 --only unwrap --only glb

Every step gives ``[wall seconds, processor seconds]``. The surface is made up: a noisy shape of the
wanted number of triangles that fills the object's box. So nothing has to be optimised first, and
two machines or two versions can be compared.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom

from photocast.config import MeshConfig, UnwrapConfig
from photocast.data import Material, Mesh, Scene

IMPORT = "import photocast.cli.app, photocast.pipeline, photocast.engines.optimize"


class Steps:
    """Runs named steps and keeps their seconds."""

    def __init__(self, only: list[str]) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._only = only

    def run(self, name: str, work: Callable[[], Any], *, needed: bool = True) -> Any:
        """Time ``work``; a step that nobody asked for runs only if others need what it makes."""
        wanted = not self._only or any(part in name for part in self._only)
        if not wanted and not needed:
            return None
        wall, busy = time.perf_counter(), time.process_time()
        result = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if wanted:
            numbers = (time.perf_counter() - wall, time.process_time() - busy)
            self.seconds[name] = [round(number, 3) for number in numbers]
        return result


def field(side: int, noise: float = 0.15) -> torch.Tensor:
    """Signed distance [voxel] to two balls and a rod with a rough surface, (side, side, side)."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    balls = np.minimum(
        np.sqrt((x - 0.2) ** 2 + y**2 + z**2) - 0.55,
        np.sqrt((x + 0.4) ** 2 + (1.4 * y) ** 2 + z**2) - 0.5,
    )
    rod = np.maximum(np.hypot(x, y) - 0.12, np.abs(z) - 0.9)
    random = gaussian_filter(np.random.default_rng(0).standard_normal(x.shape), 1.2)
    distance = np.minimum(balls, rod) * side / 2 + noise * random / random.std()
    return torch.from_numpy(distance.astype(np.float32))


def picture(size: int) -> np.ndarray:
    """Linear colours with soft regions and sensor noise, (size, size, 3): as hard to pack."""
    random = np.random.default_rng(1)
    soft = zoom(random.random((size // 32, size // 32, 3)), (32, 32, 1), order=1)
    noisy = soft + 0.02 * random.standard_normal(soft.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


def reading(steps: Steps, folder: Path, max_size: int, device: torch.device) -> SimpleNamespace:
    """Everything before the first optimiser step."""
    from photocast.stages.consistency import object_box, require_agreement
    from photocast.stages.hull import tighten
    from photocast.stages.ingest import decode_photos, read_capture
    from photocast.stages.mesh_cache import photo_digest
    from photocast.stages.run_record import describe_run

    capture = steps.run("read_capture", lambda: read_capture(folder))
    source = capture.mask_source
    photos = steps.run(
        "decode", lambda: decode_photos(capture.views, mask_source=source, max_size=max_size)
    )
    tests = steps.run(
        "decode_tests",
        lambda: decode_photos(
            capture.test_views, mask_source=source, max_size=max_size, context=photos
        ),
    )
    steps.run("photo_digest", lambda: photo_digest(photos), needed=False)
    files = [view.image_path for view in capture.views]
    steps.run(
        "describe_run", lambda: describe_run(options={}, seconds={}, inputs=files), needed=False
    )
    steps.run("agreement", lambda: require_agreement(photos), needed=False)
    box = steps.run("object_box", lambda: object_box(photos))
    steps.run("tighten", lambda: tighten(photos, box, device=device), needed=False)
    return SimpleNamespace(capture=capture, photos=photos, tests=tests or photos, box=box)


def meshing(steps: Steps, side: int, faces: int, device: torch.device) -> Mesh:
    """From a grid to a mesh with UVs."""
    from photocast.data.grid_frame import GridFrame
    from photocast.stages.isosurface import extract_mesh

    distance = field(side).to(device)
    frame = GridFrame(origin=np.zeros(3), voxel=1.0, size=(side, side, side))
    values = torch.cat([torch.zeros(side, side, side, 3, device=device), distance[..., None]], -1)
    volume: Any = SimpleNamespace(values=values, frame=frame)
    return steps.run("extract_mesh", lambda: extract_mesh(volume, MeshConfig(face_count=faces)))


def exporting(
    steps: Steps, mesh: Mesh, found: SimpleNamespace, size: int, device: torch.device
) -> None:
    """From a finished mesh to the files."""
    from photocast.formats.glb_write import write_glb
    from photocast.stages.evaluate import evaluate_views
    from photocast.stages.preview import preview_png
    from photocast.stages.render import draw, drawable
    from photocast.stages.turntable import turntable_frames, webp
    from photocast.stages.unwrap import unwrap
    from photocast.stages.validate import check_mesh

    mesh = steps.run("unwrap", lambda: unwrap(mesh, UnwrapConfig(size=size)))
    image = picture(size)
    scale = (found.box[1] - found.box[0]) / np.ptp(mesh.vertices, axis=0)
    vertices = (mesh.vertices - mesh.vertices.min(axis=0)) * scale + found.box[0]
    material = Material(
        base_color=image, roughness=image[..., 0], metallic=image[..., 1], normal=image * 2 - 1
    )
    mesh = replace(mesh, vertices=vertices.astype(np.float32), material=material)
    steps.run("check_mesh", lambda: check_mesh(mesh), needed=False)
    steps.run("glb", lambda: write_glb(mesh), needed=False)
    item = steps.run("drawable", lambda: drawable(mesh, device))

    def render(camera: Any) -> Any:
        drawn = draw(item, camera)
        return drawn.rgb, drawn.alpha

    steps.run("draw_first", lambda: render(found.tests[0].camera))
    steps.run("score", lambda: evaluate_views(render, found.tests), needed=False)
    scene = Scene(mesh=mesh, cameras={}, up=found.capture.up)
    steps.run("preview", lambda: preview_png(scene, found.tests, device=device), needed=False)
    frames = steps.run("turntable_draw", lambda: turntable_frames(scene, device=device))
    steps.run("turntable_encode", lambda: webp(frames), needed=False)


def starting(steps: Steps) -> None:
    """Imports in a fresh process."""
    command = [sys.executable, "-c", IMPORT]
    steps.run("import", lambda: subprocess.run(command, check=True), needed=False)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--faces", type=int, default=60_000, help="triangles of the mesh")
    parser.add_argument("--grid", type=int, default=192, help="grid vertices along a side")
    parser.add_argument("--texture", type=int, default=2048, help="side of the maps [px]")
    parser.add_argument("--max-size", type=int, default=1024, help="longest side of a photo [px]")
    parser.add_argument("--only", action="append", default=[], help="steps with this in their name")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    steps = Steps(arguments.only)
    starting(steps)
    found = reading(steps, arguments.capture, arguments.max_size, device)
    mesh = meshing(steps, arguments.grid, arguments.faces, device)
    exporting(steps, mesh, found, arguments.texture, device)
    print(  # noqa: T201
        json.dumps(
            {
                "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
                "cores": len(os.sched_getaffinity(0)),
                "photos": len(found.photos),
                "tests": len(found.tests),
                "faces": len(mesh.faces),
                "texture": arguments.texture,
                "seconds": steps.seconds,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
