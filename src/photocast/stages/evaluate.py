# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How well a result explains photos it has not seen, and how close its surface is to the truth.

Pictures are compared as stored in sRGB, 0..1, laid over white and over black in sRGB; scores are
computed per view, then averaged.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Camera, Mesh, Photo
from photocast.errors import CaptureError
from photocast.progress import Progress, silent
from photocast.stages.mesh_distance import MeshScores, mesh_distances
from photocast.stages.metrics import mask_iou, mean_similarity, psnr, similarity, ssim
from photocast.threads import cpu_threads

__all__ = ["Evaluation", "Render", "ViewScores", "evaluate", "evaluate_views", "mean_scores"]

Render = Callable[[Camera], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
"""From a camera to straight sRGB (h, w, 3) and coverage 0..255 (h, w)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewScores:
    """One view, or the mean of many. ``None`` where the photo has no mask to compare with."""

    name: str
    psnr_white: float | None
    """Both laid over white [dB]."""
    psnr_black: float | None
    """Both laid over black [dB]."""
    psnr_inside: float
    """Over black, only where the photo's mask (or, without one, the picture) covers [dB]."""
    ssim_white: float | None
    ssim_black: float | None
    ssim_inside: float
    mask_iou: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Everything that was measured."""

    views: tuple[ViewScores, ...]
    mean: ViewScores
    mesh: MeshScores | None = None


def evaluate(
    photos: Sequence[Photo],
    render: Render,
    *,
    meshes: tuple[Mesh, Mesh] | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score pictures against photos and, where the truth is known, a mesh against it.

    Args:
        photos: Not used for the reconstruction.
        render: Draws the result.
        meshes: The made mesh and the true one, in the same frame.
        seed: Of the points drawn from the meshes.
        device: Where to measure; the CPU if absent.
        progress: Told after each view.

    Raises:
        CaptureError: No photos.
    """
    views = evaluate_views(render, photos, device=device, progress=progress)
    scores = None if meshes is None else mesh_distances(*meshes, seed=seed, device=device)
    return Evaluation(views=views, mean=mean_scores(views), mesh=scores)


def evaluate_views(
    render: Render,
    photos: Sequence[Photo],
    *,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> tuple[ViewScores, ...]:
    """Score each photo's picture, in their order, on the CPU if no device is given."""
    if not photos:
        raise CaptureError("There are no photos to compare with.", code="evaluate.no_photos")
    scores: list[ViewScores] = []
    running: deque[Future[ViewScores]] = deque()

    def finish_one() -> None:
        scores.append(running.popleft().result())
        inside = scores[-1].psnr_inside
        progress("evaluate", len(scores), len(photos), psnr_inside=inside)

    # This thread draws; others compare, with at most a few pictures waiting.
    threads = min(cpu_threads(), 8)
    with ThreadPoolExecutor(threads, thread_name_prefix="photocast-score") as pool:
        try:
            for photo in photos:
                running.append(pool.submit(_score, photo, *render(photo.camera), device))
                if len(running) > threads:
                    finish_one()
            while running:
                finish_one()
        finally:
            for future in running:
                future.cancel()
    return tuple(scores)


def mean_scores(views: Sequence[ViewScores]) -> ViewScores:
    """Average each score over the views that have it."""
    means: dict[str, float | None] = {}
    for field in fields(ViewScores):
        if field.name == "name":
            continue
        found = [value for view in views if (value := getattr(view, field.name)) is not None]
        means[field.name] = sum(found) / len(found) if found else None
    return ViewScores(name="mean", **means)  # type: ignore[arg-type]


def _score(
    photo: Photo,
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    device: torch.device | None = None,
) -> ViewScores:
    mask = alpha if photo.mask is None else photo.mask
    inside = mask >= 128
    if not inside.any():
        inside = np.ones_like(inside)  # nothing to see: the whole picture is to be empty
    # Without a mask the background is unknown, so only what the picture covers is compared.
    photo_rgb, photo_mask, got_rgb, got_alpha = (
        _doubles(array, device) for array in (photo.rgb, mask, rgb, alpha)
    )
    where = inside if _on_cpu(device) else torch.from_numpy(inside).to(device)
    wanted = {level: _over(photo_rgb, photo_mask, level) for level in (0.0, 1.0)}
    got = {level: _over(got_rgb, got_alpha, level) for level in (0.0, 1.0)}
    masked = photo.mask is not None
    alike = similarity(got[0.0], wanted[0.0])
    return ViewScores(
        name=photo.name,
        psnr_white=psnr(got[1.0], wanted[1.0]) if masked else None,
        psnr_black=psnr(got[0.0], wanted[0.0]) if masked else None,
        psnr_inside=psnr(got[0.0], wanted[0.0], mask=where),
        ssim_white=ssim(got[1.0], wanted[1.0]) if masked else None,
        ssim_black=mean_similarity(alike) if masked else None,
        ssim_inside=mean_similarity(alike, mask=where),
        mask_iou=None if photo.mask is None else mask_iou(alpha, photo.mask),
    )


def _on_cpu(device: torch.device | None) -> bool:
    return device is None or device.type == "cpu"


def _doubles(array: NDArray[np.uint8], device: torch.device | None) -> Any:
    # Arrays on the CPU: several threads compare at once, and torch would start threads in each.
    if _on_cpu(device):
        return array.astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(array)).to(device).double()


def _over(rgb: Any, alpha: Any, background: float) -> Any:
    share = alpha[..., None] / 255
    return rgb / 255 * share + background * (1 - share)
