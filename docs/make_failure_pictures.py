# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Spoil the sample capture in several ways, reconstruct it, and write ``docs/images/failure-*``.

    python docs/make_failure_pictures.py                  # all cases
    python docs/make_failure_pictures.py --only five-views

Prints the numbers of ``docs/failure-cases.md`` as JSON: means over the 8 held-out photos, which are
never spoiled. Small settings at 128 px, so the numbers are comparable with each other only. All of
it took 10 minutes of processor time, 28 minutes on a busy machine of 2 cores.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from picture_sheets import BACKDROP, SAMPLE, Tile, load, mask_of, save_sheet, small_setting

from photocast.config import OptimizeConfig, PoseConfig
from photocast.data import Capture, Photo, Scene
from photocast.engines.optimize.engine import Optimize
from photocast.progress import silent
from photocast.stages.evaluate import evaluate_views, mean_scores
from photocast.stages.lit_drawing import render_for_scores
from photocast.stages.pose_samples import moved_edge
from photocast.stages.render import Rendered, draw, drawable, over

_SIZE = 128
_TILE = 190
_SHOWN = (1, 5)
"""Held-out photos on each sheet."""

Photos = tuple[Photo, ...]
Setting = Callable[[OptimizeConfig], OptimizeConfig]


@dataclass(frozen=True)
class Run:
    """One reconstruction on a sheet."""

    title: str
    spoil: Callable[[Photos], Photos]
    setting: Setting


def _as_is(photos: Photos) -> Photos:
    return photos


def _same(setting: OptimizeConfig) -> OptimizeConfig:
    return setting


def _five(photos: Photos) -> Photos:
    return tuple(photos[i] for i in (1, 7, 14, 20, 27))


def _one_side(photos: Photos) -> Photos:
    middle = np.mean([photo.camera.center for photo in photos], axis=0)
    return tuple(p for p in photos if p.camera.center[1] < middle[1])


def _tight(photos: Photos) -> Photos:
    return tuple(replace(photo, mask=moved_edge(photo.mask, -2.0)) for photo in photos)


def _turned(photos: Photos) -> Photos:
    """Each camera 2 degrees around a random axis through the object, so that it looks past it."""
    random = np.random.default_rng(0)
    middle = _middle(photos)
    return tuple(
        replace(photo, camera=replace(photo.camera, camera_from_world=pose))
        for photo in photos
        for pose in [photo.camera.camera_from_world @ _turn_about(middle, random)]
    )


def _middle(photos: Photos) -> np.ndarray[Any, Any]:
    """The point nearest to all viewing axes."""
    left, right = np.zeros((3, 3)), np.zeros(3)
    for photo in photos:
        axis = photo.camera.camera_from_world[2, :3]
        across = np.eye(3) - np.outer(axis, axis)
        left, right = left + across, right + across @ photo.camera.center
    return np.linalg.solve(left, right)


def _turn_about(middle: np.ndarray[Any, Any], random: np.random.Generator) -> Any:
    axis = random.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis) * np.radians(2.0)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(4)
    turn[:3, :3] = np.linalg.qr(np.eye(3) + cross)[0]
    turn[:3, :3] *= np.sign(np.diag(turn[:3, :3]))
    turn[:3, 3] = middle - turn[:3, :3] @ middle
    return turn


def _exposed(photos: Photos) -> Photos:
    """Up to half a stop brighter or darker, and up to a tenth bluer or redder."""
    random = np.random.default_rng(0)
    return tuple(_brightened(photo, random) for photo in photos)


def _brightened(photo: Photo, random: np.random.Generator) -> Photo:
    tint = random.uniform(-0.1, 0.1)
    gain = 2 ** random.uniform(-0.5, 0.5) * np.array([1 + tint, 1.0, 1 - tint])
    code = photo.rgb / 255.0
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4) * gain
    bent = 1.055 * np.clip(linear, 0.0031308, 1) ** (1 / 2.4) - 0.055
    code = np.where(linear <= 0.0031308, 12.92 * linear, bent)
    return replace(photo, rgb=np.rint(code.clip(0, 1) * 255).astype(np.uint8))


def _poses(mode: str) -> Setting:
    return lambda setting: replace(setting, poses=PoseConfig(mode=mode))


def _exposure(mode: Any) -> Setting:
    return lambda setting: replace(setting, appearance=replace(setting.appearance, exposure=mode))


def _coarse(setting: OptimizeConfig) -> OptimizeConfig:
    volume = replace(setting.volume, resolution=24, levels=1, steps=(160,))
    return replace(setting, volume=volume)


CASES: dict[str, tuple[Run, ...]] = {
    "five-views": (Run("5 photos", _five, _same),),
    "one-side": (Run("one side only", _one_side, _same),),
    "tight-masks": (Run("masks 2 px tight", _tight, _same),),
    "turned-cameras": (
        Run("cameras 2° off, poses off", _turned, _same),
        Run("cameras 2° off, poses auto", _turned, _poses("auto")),
    ),
    "exposure": (
        Run("exposures differ, fit off", _exposed, _exposure("off")),
        Run("exposures differ, fit on", _exposed, _exposure("on")),
    ),
    "thin-parts": (Run("grid of 24", _as_is, _coarse),),
}
"""The runs of each sheet; the first column is the photo, the second the unspoiled capture."""


@dataclass(frozen=True)
class Outcome:
    """A result, drawn and scored."""

    tiles: list[Tile]
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    capture: Capture
    photos: Photos
    tests: Photos
    device: str


def outcome(run: Run, bench: Bench) -> Outcome:
    """Reconstruct and compare with what was held out."""
    start = time.perf_counter()
    used = run.spoil(bench.photos)
    setting = run.setting(small_setting(bench.device))
    with tempfile.TemporaryDirectory() as cache:
        scene = Optimize().run(used, bench.capture, setting, Path(cache), silent)
    seconds = time.perf_counter() - start
    mean = mean_scores(evaluate_views(render_for_scores(scene, bench.device), bench.tests))
    numbers = {
        "photos": len(used),
        "psnr_white": round(mean.psnr_white or 0, 2),
        "psnr_inside": round(mean.psnr_inside, 2),
        "mask_iou": round(mean.mask_iou or 0, 3),
        "cameras": scene.poses.kept,
        "seconds": round(seconds),
    }
    sys.stderr.write(f"{run.title}: {json.dumps(numbers)}\n")
    return Outcome([_drawn(scene, bench.tests[i]) for i in _SHOWN], numbers)


def _drawn(scene: Scene, photo: Photo) -> Tile:
    item = drawable(scene.mesh, light=scene.light)
    picture: Rendered = draw(item, photo.camera, supersample=2)
    return picture.over(BACKDROP)


def make(names: Sequence[str], device: str) -> dict[str, Any]:
    """Write the sheets of some cases; their numbers."""
    bench = Bench(*load(SAMPLE, _SIZE), device)
    shown = [bench.tests[i] for i in _SHOWN]
    truth = [over(photo.rgb, mask_of(photo), BACKDROP) for photo in shown]
    good = outcome(Run("unspoiled", _as_is, _same), bench)
    numbers: dict[str, Any] = {"unspoiled": good.numbers}
    for name in names:
        runs = CASES[name]
        found = [outcome(run, bench) for run in runs]
        columns = [truth, good.tiles, *(each.tiles for each in found)]
        titles = ["held-out photo", "unspoiled", *(run.title for run in runs)]
        save_sheet(f"failure-{name}", titles, list(zip(*columns, strict=True)), _TILE)
        for run, each in zip(runs, found, strict=True):
            numbers[f"{name}: {run.title}"] = each.numbers
    return numbers


def main() -> None:
    """Make the sheets named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    numbers = make(options.only, options.device)
    sys.stdout.write(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
