# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From photos without cameras to a result folder."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photocast.config import GenerateConfig, InitConfig, ReconstructConfig, generate_preset
from photocast.data import Check, Photo, Report, Scene
from photocast.engines.generate import Generate
from photocast.engines.refined import refined
from photocast.errors import ConfigError
from photocast.formats.gaussian_ply import write_gaussian_ply
from photocast.nets.gaussian_decoder import PLY_FIELDS
from photocast.progress import Progress
from photocast.stages.evaluate import evaluate_views
from photocast.stages.export import draw_pictures, export_mesh, export_report, place_files
from photocast.stages.lit_drawing import rendering_of
from photocast.stages.photo_coverage import photo_coverage
from photocast.stages.photo_scores import score_checks
from photocast.stages.pictures import decode_pictures, find_pictures
from photocast.stages.render import Drawable, drawable
from photocast.stages.run_record import StageClock, describe_run
from photocast.stages.validate import check_file, check_file_size

__all__ = ["GAUSSIANS_FILE", "reconstruct_unposed"]

GAUSSIANS_FILE = "gaussians.ply"


def reconstruct_unposed(
    folder: Path,
    out: Path,
    config: ReconstructConfig,
    device: torch.device,
    progress: Progress,
    *,
    notes: tuple[str, ...] = (),
) -> tuple[Scene, Report]:
    """Generate an object and write the result folder.

    Args:
        folder: Photos with masks; cameras are not looked at.
        out: Result folder.
        config: Preset, formats, weights, reference, seed.
        device: Where to compute.
        progress: Told about every stage.
        notes: What the report should say first.

    Raises:
        ConfigError: An option needs cameras.
        UnsuitableInput: The photos or the weights cannot be used.
        PhotocastError: Something failed on the way.
    """
    settings = _settings(config, device)
    clock = StageClock(progress)
    capture = find_pictures(folder)
    pictures = decode_pictures(capture, clock)
    made = Generate().run(pictures, settings, clock)
    scene, photos = made.scene, made.photos
    sizes = export_mesh(scene, out, formats=config.formats, progress=clock)
    if config.refine:
        scene = refined(
            scene,
            photos,
            capture,
            out / "mesh.glb",
            config,
            clock,
            device=device,
            cache=out / ".stages",
        )
        sizes = export_mesh(scene, out, formats=config.formats, progress=clock)
    rows = made.gaussians.ply().cpu().numpy().astype(np.float32)
    gaussians = write_gaussian_ply(rows, PLY_FIELDS)
    place_files(out, {GAUSSIANS_FILE: gaussians})
    clock.lap("save")
    seconds_to_mesh = clock.total
    checked = check_file(out / "mesh.glb", "result", up=scene.up)
    item = drawable(scene.mesh, device, light=scene.light)
    scores, views = _scores(item, photos, clock)
    cameras = [
        Check("cameras.source", "found by the engine"),
        Check("cameras.count", len(photos)),
        Check("cameras.registered_share", len(photos) / len(pictures)),
    ]
    checked = checked.joined(
        [*sizes, check_file_size(GAUSSIANS_FILE, len(gaussians)), *cameras, *scores],
        "no photo could be placed around the object" if not photos else "",
    )
    shown = draw_pictures(scene, photos, device=device, progress=clock, item=item)
    clock.lap("preview")
    run = describe_run(
        options={**asdict(config), "settings": asdict(settings)},
        seconds=clock.seconds,
        inputs=[p for view in capture.views for p in (view.image_path, view.mask_path) if p],
        root=capture.root,
    )
    run |= {
        "seconds_to_mesh": round(seconds_to_mesh, 3),
        "seconds_total": round(clock.total, 3),
        "engine": scene.facts,
        "views": views,
    }
    warnings = (*notes, *capture.warnings, *scene.warnings)
    report = replace(checked.report, warnings=warnings, run=run)
    export_report(report, out, shown, compared=bool(photos), layers=checked.layers)
    return scene, report


def _scores(
    item: Drawable, photos: Sequence[Photo], progress: Progress
) -> tuple[list[Check], list[dict[str, Any]]]:
    """How well the result explains the photos that were placed, as checks and view by view."""
    if not photos:
        return [], []
    render = rendering_of(item)
    views = evaluate_views(render, photos, device=item.faces.device, progress=progress)
    checks = score_checks(views, len(photos), "photos that gave their colours")
    checks += photo_coverage(item, photos)
    return checks, [{**asdict(view), "held_out": False} for view in views]


def _settings(config: ReconstructConfig, device: torch.device) -> GenerateConfig:
    """Settings of the engine; what needs cameras is refused rather than ignored."""
    given = {
        "--holdout": config.holdout_every is not None,
        "--max-size": config.max_size is not None,
        "--max-seconds": config.max_seconds is not None,
        "--init": config.init != InitConfig(),
        "--poses": config.poses != "auto",
    }
    if refused := [option for option, used in given.items() if used]:
        raise ConfigError(
            f"The engine {config.engine} does not know {', '.join(refused)}. Leave that out."
        )
    settings = generate_preset(config.preset)
    return replace(
        settings,
        compensation=replace(settings.compensation, enabled=config.compensate),
        weights=config.weights,
        reference=config.reference,
        atlas=config.atlas,
        low_memory=config.low_memory,
        device=str(device),
        seed=config.seed,
    )
