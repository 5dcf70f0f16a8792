# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Refine a generated object with the engine ``optimize``, and keep the better of the two."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photocast.config import InitConfig, ReconstructConfig, optimize_preset
from photocast.data import Capture, Photo, Scene, View
from photocast.engines.base import load_engine
from photocast.errors import UnsuitableInput
from photocast.progress import Progress
from photocast.stages.evaluate import ViewScores, evaluate_views, mean_scores
from photocast.stages.lit_drawing import render_for_scores

__all__ = ["LEAST_PHOTOS", "refined"]

LEAST_PHOTOS = 3
"""From fewer a shape cannot be refined."""
_LEAST_OVERLAP = 0.6  # of outlines and masks: the photos were accepted before
_ROOM = 0.05
_SHRUNK = 0.005  # outlines may overlap less by this, which is noise


def refined(
    scene: Scene,
    photos: Sequence[Photo],
    capture: Capture,
    mesh_file: Path,
    config: ReconstructConfig,
    progress: Progress,
    *,
    device: torch.device,
    cache: Path,
) -> Scene:
    """Let ``optimize`` start from a generated mesh; the warnings and facts say what came of it.

    Args:
        scene: What was generated.
        photos: With their cameras around the object.
        capture: Where they are from.
        mesh_file: The generated mesh.
        config: Preset and seed.
        progress: Told about every stage.
        device: Where to compute.
        cache: For finished stages.
    """
    if len(photos) < LEAST_PHOTOS:
        return _told(
            scene,
            {"kept": False},
            f"The mesh was not refined: {len(photos)} photos are placed around it, and "
            f"{LEAST_PHOTOS} are needed.",
        )
    settings = optimize_preset(config.preset, device=str(device), seed=config.seed, poses="off")
    start = InitConfig(mesh=str(mesh_file), min_iou=_LEAST_OVERLAP)
    try:
        made = load_engine("optimize").run(
            photos,
            _posed(capture, photos, scene),
            replace(settings, init=start),
            cache,
            progress,
        )
    except UnsuitableInput as error:
        return _told(scene, {"kept": False}, f"The mesh was not refined: {error}")
    return _better(scene, made, photos, device, progress)


def _posed(capture: Capture, photos: Sequence[Photo], scene: Scene) -> Capture:
    """The capture with the cameras that were found, and the box around the mesh."""
    files = {view.name: view for view in capture.views}
    views: tuple[View, ...] = tuple(replace(files[p.name], camera=p.camera) for p in photos)
    low, high = scene.mesh.bounds.astype(np.float64)
    room = _ROOM * float((high - low).max())
    return replace(capture, views=views, box=np.stack([low - room, high + room]))


def _better(
    before: Scene, after: Scene, photos: Sequence[Photo], device: torch.device, progress: Progress
) -> Scene:
    """The refined scene if the photos say so."""
    old, new = (
        mean_scores(
            evaluate_views(
                render_for_scores(scene, device), photos, device=device, progress=progress
            )
        )
        for scene in (before, after)
    )
    kept = _white(new) > _white(old) and _overlap(new) > _overlap(old) - _SHRUNK
    numbers = (
        f"PSNR over white {_white(old):.2f} dB before and {_white(new):.2f} dB after, overlap of "
        f"outlines {_overlap(old):.4f} and {_overlap(new):.4f}, over {len(photos)} photos that it "
        "was refined with"
    )
    facts: dict[str, Any] = {
        "kept": kept,
        "psnr_before": round(_white(old), 3),
        "psnr_after": round(_white(new), 3),
        "iou_before": round(_overlap(old), 4),
        "iou_after": round(_overlap(new), 4),
    }
    if not kept:
        return _told(
            before, facts, f"The mesh was refined and became worse, so it is as it was: {numbers}."
        )
    scene = replace(
        after,
        up=before.up,
        warnings=(*before.warnings, *after.warnings),
        facts=before.facts,
    )
    return _told(
        scene,
        after.facts | facts,
        f"The mesh was refined: {numbers}. What no photo shows takes the colours around it.",
    )


def _told(scene: Scene, facts: dict[str, Any], sentence: str) -> Scene:
    return replace(
        scene,
        warnings=(*scene.warnings, sentence),
        facts=scene.facts | {"refinement": facts},
    )


def _white(scores: ViewScores) -> float:
    assert scores.psnr_white is not None
    return scores.psnr_white


def _overlap(scores: ViewScores) -> float:
    assert scores.mask_iou is not None
    return scores.mask_iou
