# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What noisy depth adds to few photos: the same run without and with it; prints JSON.

    python benchmarks/depth.py --data ../shared/data
    python benchmarks/depth.py --preset standard --device cuda

Twelve photos of ``spot``; depth is drawn from the true mesh, spoiled as a sensor does
(``depth_noise.py``) and given to the engine. Chamfer is a share of the true mesh's diagonal.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from depth_noise import SENSORS, sense

from photocast.config import OptimizeConfig, optimize_preset
from photocast.data import Capture, Mesh, Photo
from photocast.engines.base import load_engine
from photocast.formats.meshes import load_mesh
from photocast.stages.ingest import decode_photos, read_capture
from photocast.stages.mesh_distance import mesh_distances
from photocast.stages.render import draw, drawable

ROOT = Path(__file__).resolve().parents[1]


def chosen_views(capture: Capture, count: int) -> Capture:
    """``count`` views spread over the capture."""
    index = np.linspace(0, len(capture.views), count, endpoint=False).astype(int)
    views = tuple(replace(capture.views[i], depth_path=None) for i in index)
    return replace(capture, views=views, test_views=())


def with_depth(
    photos: Sequence[Photo], truth: Mesh, options: argparse.Namespace, device: torch.device
) -> list[Photo]:
    """The photos with what the sensor would have seen of the true mesh."""
    rng = np.random.default_rng(options.seed)
    item = drawable(truth, device)
    found = []
    for photo in photos:
        camera = photo.camera.resized(options.depth_size, options.depth_size)
        depth = draw(item, camera, supersample=1).depth
        seen = sense(depth, options.sensor, camera.fx, rng, bias=options.bias)
        found.append(replace(photo, depth=seen))
    return found


def settings_of(options: argparse.Namespace, device: torch.device) -> OptimizeConfig:
    """The preset, smaller where asked for, with the cameras taken as given."""
    preset = optimize_preset(options.preset, device=str(device), seed=options.seed)
    volume = preset.volume
    if options.resolution:
        volume = replace(volume, resolution=options.resolution)
    if options.steps:
        volume = replace(volume, steps=(options.steps,) * volume.levels)
    volume = replace(volume, depth=replace(volume.depth, fit_scale=options.fit_scale))
    return replace(preset, volume=volume, poses=replace(preset.poses, mode="off"))


def score(
    photos: Sequence[Photo], capture: Capture, truth: Mesh, settings: OptimizeConfig
) -> dict[str, float]:
    """Run the engine and compare its mesh."""
    told: dict[str, float] = {}
    begun: dict[str, float] = {}

    def listen(stage: str, done: int, total: int, **numbers: float) -> None:
        begun.setdefault(stage, time.perf_counter())
        if stage == "depth":
            told.update({f"residual_{name}": value for name, value in numbers.items()})

    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        engine = load_engine("optimize")
        scene = engine.run(photos, capture, settings, Path(cache), listen)
        seconds = time.perf_counter() - start
    scores = mesh_distances(scene.mesh, truth)
    return {
        "chamfer_percent": round(100 * scores.chamfer, 4),
        "accuracy_percent": round(100 * scores.accuracy, 4),
        "completeness_percent": round(100 * scores.completeness, 4),
        "f_score_half_percent": round(scores.f_score_half_percent, 4),
        "seconds": round(seconds, 1),
        **{name: round(value, 4) for name, value in told.items()},
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both runs and their ratio."""
    device = torch.device(options.device)
    folder = options.data / "spot"
    capture = chosen_views(read_capture(folder), options.views)
    photos = decode_photos(
        capture.views, mask_source=capture.mask_source, max_size=options.photo_size
    )
    truth = load_mesh(folder / "ground_truth.ply")
    settings = settings_of(options, device)
    sensed = with_depth(photos, truth, options, device)
    blind = score(photos, capture, truth, settings)
    helped = score(sensed, capture, truth, settings)
    return {
        "views": len(photos),
        "sensor": options.sensor,
        "bias": options.bias,
        "depth_size": options.depth_size,
        "photo_size": list(photos[0].rgb.shape[:2]),
        "preset": options.preset,
        "resolution": settings.volume.resolution,
        "steps": list(settings.volume.steps),
        "device": str(device),
        "rgb": blind,
        "rgb_and_depth": helped,
        "ratio": round(helped["chamfer_percent"] / blind["chamfer_percent"], 4),
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("PHOTOCAST_DATA", ROOT / ".." / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the captures")
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--sensor", choices=list(SENSORS), default="kinect")
    parser.add_argument("--bias", type=float, default=0.01, help="share of too long distances")
    parser.add_argument("--depth-size", type=int, default=1024, help="side of the maps [px]")
    parser.add_argument("--photo-size", type=int, default=512, help="side of the photos [px]")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--resolution", type=int, help="instead of the preset's")
    parser.add_argument("--steps", type=int, help="per level, instead of the preset's")
    parser.add_argument("--fit-scale", choices=["none", "scale", "scale_shift"], default="scale")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    sys.stdout.write(json.dumps(measure(parser.parse_args()), indent=2) + "\n")


if __name__ == "__main__":
    main()
