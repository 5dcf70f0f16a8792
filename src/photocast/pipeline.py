# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From a capture to a result folder: the whole plot on one page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from photocast.config import ReconstructConfig, optimize_preset
from photocast.data import Capture, Check, Photo, Report, Scene
from photocast.engines.base import load_engine
from photocast.errors import ConfigError, UserError
from photocast.progress import Progress, silent
from photocast.stages.evaluate import evaluate_views
from photocast.stages.export import export, mesh_formats
from photocast.stages.ingest import decode_photos, hold_out_every, read_capture
from photocast.stages.render import draw, drawable
from photocast.stages.run_record import StageClock, describe_run
from photocast.stages.validate import check_mesh

__all__ = ["Result", "reconstruct"]

_MAX_SIZE = {"draft": 512, "standard": 1024, "high": 2048}


@dataclass(frozen=True, slots=True)
class Result:
    """What a run made, and what is known about it."""

    scene: Scene
    report: Report
    out: Path


def reconstruct(
    folder: Path, out: Path, config: ReconstructConfig, progress: Progress = silent
) -> Result:
    """Reconstruct a capture and write the result folder.

    Args:
        folder: The capture.
        out: Result folder; finished stages are kept in ``.stages`` inside it.
        config: Engine, preset, formats, device, seed.
        progress: Told about every stage.

    Raises:
        UserError: The options do not fit.
        UnsuitableInput: The capture cannot be reconstructed, and why.
        PhotocastError: Something failed on the way.
    """
    clock = StageClock(progress)
    mesh_formats(config.formats)  # an unknown format is said now, not after the work
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; a folder is needed.", code="out.file")
    device = _device(config.device)
    capture = read_capture(folder)
    if config.holdout_every:
        capture = hold_out_every(capture, config.holdout_every)
    engine = load_engine(config.engine)
    engine.check(capture)
    settings = optimize_preset(config.preset, device=str(device), seed=config.seed)
    max_size = config.max_size or _MAX_SIZE[config.preset]
    photos = decode_photos(
        capture.views, mask_source=capture.mask_source, max_size=max_size, progress=clock
    )
    # Held-out views stay behind: the engine gets neither their photos nor their file names.
    training = replace(capture, test_views=())
    scene = engine.run(photos, training, settings, out / ".stages", clock)
    tests = decode_photos(capture.test_views, mask_source=capture.mask_source, max_size=max_size)
    scores, views = _agreement(scene, tests, device)
    run = describe_run(
        options={**asdict(config), "settings": asdict(settings)},
        seconds=clock.seconds,
        inputs=[view.image_path for view in capture.views],
        root=capture.root,
    )
    report = Report(
        checks=(*scores, *check_mesh(scene.mesh)),
        warnings=capture.warnings,
        run={**run, "views": views},
    )
    report = export(
        scene,
        report,
        out,
        formats=config.formats,
        photos=tests or photos,
        device=device,
        progress=clock,
    )
    return Result(scene, report, out)
