# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From photos without cameras to a result folder."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from photocast.config import GenerateConfig, InitConfig, ReconstructConfig, generate_preset
from photocast.data import Report, Scene
from photocast.engines.generate import Generate
from photocast.errors import ConfigError
from photocast.formats.gaussian_ply import write_gaussian_ply
from photocast.nets.gaussian_decoder import PLY_FIELDS
from photocast.progress import Progress
from photocast.stages.export import draw_pictures, export_mesh, export_report, place_files
from photocast.stages.pictures import decode_pictures, find_pictures
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
    scene = made.scene
    sizes = export_mesh(scene, out, formats=config.formats, progress=clock)
    rows = made.gaussians.ply().cpu().numpy().astype(np.float32)
    gaussians = write_gaussian_ply(rows, PLY_FIELDS)
    place_files(out, {GAUSSIANS_FILE: gaussians})
    clock.lap("save")
    seconds_to_mesh = clock.total
    checked = check_file(out / "mesh.glb", "result", up=scene.up)
    checked = checked.joined(
        [*sizes, check_file_size(GAUSSIANS_FILE, len(gaussians))],
        "this engine works without cameras, so there is no photo to compare with",
    )
    shown = draw_pictures(scene, device=device, progress=clock)
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
    }
    warnings = (*notes, *capture.warnings, *scene.warnings)
    report = replace(checked.report, warnings=warnings, run=run)
    export_report(report, out, shown, compared=False, layers=checked.layers)
    return scene, report


def _settings(config: ReconstructConfig, device: torch.device) -> GenerateConfig:
    """Settings of the engine; what needs cameras is refused rather than ignored."""
    given = {
        "--holdout": config.holdout_every is not None,
        "--atlas": config.atlas != "own",
        "--max-size": config.max_size is not None,
        "--max-seconds": config.max_seconds is not None,
        "--init": config.init != InitConfig(),
        "--poses": config.poses != "auto",
    }
    if refused := [option for option, used in given.items() if used]:
        raise ConfigError(
            f"The engine {config.engine} does not know {', '.join(refused)}. Leave that out."
        )
    return replace(
        generate_preset(config.preset),
        weights=config.weights,
        reference=config.reference,
        low_memory=config.low_memory,
        device=str(device),
        seed=config.seed,
    )
