# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What to lower so that a run fits into the GPU memory, and what to do if it does not."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from photocast.config import OptimizeConfig
from photocast.data import Photo
from photocast.engines.memory_need import (
    PER_SAMPLE,
    PER_TEXEL_OF_BASE,
    PhotoArea,
    light_bytes,
    peaks_of,
)
from photocast.errors import PhotocastError

__all__ = ["free_memory", "memory_peaks", "memory_plan", "retried", "smaller_settings"]

Made = TypeVar("Made")

_USABLE = 0.85
"""Of the free memory: allocators waste some."""
_LEAST = {"samples": 1_000_000, "size": 512, "resolution": 96, "batch": 1, "faces": 50_000}


def free_memory(device: str) -> int | None:
    """Bytes that are free on a CUDA device; None for the CPU, which may swap."""
    where = torch.device(device)
    if where.type != "cuda":
        return None
    cached = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
    return int(torch.cuda.mem_get_info(where)[0]) + int(cached)


def memory_peaks(photos: Sequence[Photo], config: OptimizeConfig) -> dict[str, int]:
    """Estimate the most bytes that each part of a run has on the device at once; see ``peaks_of``.

    Args:
        photos: As they will be used.
        config: As it will be used.
    """
    areas = [PhotoArea(p.rgb.shape[1], p.rgb.shape[0], _covered(p)) for p in photos]
    return peaks_of(areas, config)


def _covered(photo: Photo) -> int:
    mask = photo.mask
    return photo.rgb[..., 0].size if mask is None else int(np.count_nonzero(mask))


def memory_plan(
    photos: Sequence[Photo], config: OptimizeConfig, free_bytes: int | None
) -> tuple[OptimizeConfig, list[str]]:
    """Lower settings until every part of a run fits into the free memory, as far as can be told.

    Args:
        photos: As they will be used.
        config: As wanted.
        free_bytes: What there is; None changes nothing.

    Returns:
        The settings, and a sentence for the report if any was lowered.
    """
    if free_bytes is None:
        return config, []
    wanted, room = config, _USABLE * free_bytes
    covered = sum(_covered(photo) for photo in photos)
    while True:
        peaks = memory_peaks(photos, config)
        part = max(peaks, key=lambda name: peaks[name])
        if peaks[part] <= room:
            break
        lowered = _lowered(part, config, covered, peaks[part] / room)
        if lowered == config:
            break
        config = lowered
    told = f"With {free_bytes / 1e9:.1f} GB of GPU memory free, {_changes(wanted, config)}."
    return config, [] if config == wanted else [told]


def _lowered(part: str, config: OptimizeConfig, covered: int, excess: float) -> OptimizeConfig:
    """The settings with the one lowered that costs least quality; the same if none is left."""
    maps, volume = config.appearance, config.volume
    if part == "volume":
        finer = int(volume.resolution / max(excess, 1.05) ** (1 / 3))
        resolution = min(max(finer, _LEAST["resolution"]), volume.resolution)
        return replace(config, volume=replace(volume, resolution=resolution))
    if part == "refine" and config.refine.batch > _LEAST["batch"]:
        return replace(config, refine=replace(config.refine, batch=config.refine.batch // 2))
    if (
        light_bytes(config) > PER_TEXEL_OF_BASE * maps.size**2
        and config.mesh.face_count > _LEAST["faces"]
    ):
        faces = max(_LEAST["faces"], config.mesh.face_count // 2)
        return replace(config, mesh=replace(config.mesh, face_count=faces))
    samples = min(covered, maps.max_samples)
    large = maps.size > _LEAST["size"]
    many = not large or PER_SAMPLE * samples > PER_TEXEL_OF_BASE * maps.size**2 // 2
    if many and samples > _LEAST["samples"]:
        fewer = max(_LEAST["samples"], samples // 2)
        return replace(config, appearance=replace(maps, max_samples=fewer))
    if large:
        return replace(config, appearance=replace(maps, size=maps.size // 2))
    return config


def smaller_settings(config: OptimizeConfig) -> OptimizeConfig:
    """What to try after memory ran out: half of most things."""
    volume, maps = config.volume, config.appearance
    return replace(
        config,
        volume=replace(
            volume,
            resolution=max(16, volume.resolution * 3 // 4),
            rays_per_step=max(1, volume.rays_per_step // 2),
        ),
        appearance=replace(
            maps,
            size=max(16, maps.size // 2),
            samples_per_step=max(64, maps.samples_per_step // 2),
            max_samples=max(1000, maps.max_samples // 2),
        ),
        refine=replace(config.refine, batch=max(1, config.refine.batch // 2)),
    )


def retried(
    work: Callable[[OptimizeConfig], Made], config: OptimizeConfig, notes: list[str]
) -> tuple[Made, OptimizeConfig]:
    """Do some work; if GPU memory runs out, do it once more with smaller settings.

    Args:
        work: From settings to a result.
        config: Settings for the first try.
        notes: Gets a sentence for the report about a second try.

    Returns:
        The result, and the settings that led to it.

    Raises:
        PhotocastError: Memory ran out again.
    """
    try:
        return work(config), config
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
    # Out here the error is gone, and with it the frames that kept tensors alive.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    smaller = smaller_settings(config)
    notes.append(f"GPU memory ran out; in the second try {_changes(config, smaller)}.")
    try:
        return work(smaller), smaller
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        raise PhotocastError(
            f"GPU memory ran out twice, the second time although {_changes(config, smaller)}. "
            "Use a lower --preset or --max-size, end other programs on the GPU, or use "
            "--device cpu.",
            code="memory.exhausted",
        ) from error


def _out_of_memory(error: RuntimeError) -> bool:
    # Warp has no class of its own for this.
    return isinstance(error, torch.OutOfMemoryError) or "Failed to allocate" in str(error)


def _changes(before: OptimizeConfig, after: OptimizeConfig) -> str:
    values = {
        "volume.resolution": (before.volume.resolution, after.volume.resolution),
        "volume.rays_per_step": (before.volume.rays_per_step, after.volume.rays_per_step),
        "mesh.face_count": (before.mesh.face_count, after.mesh.face_count),
        "appearance.size": (before.appearance.size, after.appearance.size),
        "appearance.samples_per_step": (
            before.appearance.samples_per_step,
            after.appearance.samples_per_step,
        ),
        "appearance.max_samples": (before.appearance.max_samples, after.appearance.max_samples),
        "refine.batch": (before.refine.batch, after.refine.batch),
    }
    told = [
        f"{name} was {new} instead of {old}" for name, (old, new) in values.items() if old != new
    ]
    return ", ".join(told) or "nothing could be lowered"
