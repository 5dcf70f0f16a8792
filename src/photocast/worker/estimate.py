# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How long a run may take and how much GPU memory, told before it starts.

Seconds = start + slope × megapixels of all photos at the preset's size. The two numbers fit the
times that the README tells for ``standard`` on two processor cores and on one data-centre GPU, and
those of ``draft`` on the GPU, each capture within a factor of two; the others follow from the
presets' steps and were not measured, which ``measured`` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from photocast.config import MAX_SIZES, ReconstructConfig, optimize_preset
from photocast.engines.memory_need import PhotoArea, peaks_of
from photocast.threads import cpu_threads

__all__ = ["Estimate", "estimates", "reduced_area"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a run of ``optimize``."""

    device: str
    seconds: float
    low: float
    high: float
    measured: bool
    """Whether this preset was timed on such a device at all."""
    gpu_bytes: int | None
    """At the most demanding moment, if settings need not be lowered; ``None`` for the CPU."""


_CORES = 2  # of the machine that was timed
_TIMES = {
    ("cpu", "draft"): (90.0, 1.0, False),
    ("cpu", "standard"): (130.0, 1.5, True),
    ("cpu", "high"): (2000.0, 20.0, False),
    ("cuda", "draft"): (4.0, 0.1, True),
    ("cuda", "standard"): (14.0, 0.25, True),
    ("cuda", "high"): (45.0, 0.5, False),
}


def reduced_area(width: int, height: int, coverage: float | None, most: int) -> PhotoArea:
    """The size that a photo will have in a run.

    Args:
        width: As stored [px].
        height: As stored [px].
        coverage: Share of the photo that shows the object; all of it if unknown.
        most: Longer side in the run [px].
    """
    factor = min(1.0, most / max(width, height))
    width, height = round(width * factor), round(height * factor)
    return PhotoArea(width, height, round(width * height * (1.0 if coverage is None else coverage)))


def estimates(
    photos: Sequence[tuple[int, int, float | None]], config: ReconstructConfig
) -> list[Estimate]:
    """Estimate for the device wanted, or for each.

    Args:
        photos: Width, height and coverage of each.
        config: As it will be used.
    """
    most = config.max_size or MAX_SIZES[config.preset]
    areas = [reduced_area(*photo, most) for photo in photos]
    if not areas:
        return []
    devices = ("cpu", "cuda") if config.device == "auto" else (config.device,)
    return [_estimate(device, areas, config.preset) for device in devices]


def _estimate(device: str, areas: Sequence[PhotoArea], preset: str) -> Estimate:
    start, slope, measured = _TIMES[device, preset]
    megapixels = sum(area.width * area.height for area in areas) / 1e6
    seconds, spread = start + slope * megapixels, 2.0 if measured else 3.0
    faster = min(1.0, _CORES / cpu_threads()) if device == "cpu" else 1.0
    peaks = peaks_of(areas, optimize_preset(preset, device=device))
    return Estimate(
        device,
        seconds=round(seconds, 1),
        low=round(seconds / spread * faster, 1),
        high=round(seconds * spread, 1),
        measured=measured,
        gpu_bytes=max(peaks.values()) if device == "cuda" else None,
    )
