# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How much GPU memory a run of ``optimize`` needs, from sizes and settings alone.

Bytes per item are counts of what the stages keep at their peak. Those of appearance and refine were
measured as allocations of PyTorch on the CPU, with a little on top; those of the volume are bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from photocast.config import REFINE_LONGEST, OptimizeConfig

__all__ = ["PER_SAMPLE", "PER_TEXEL_OF_BASE", "PhotoArea", "light_bytes", "peaks_of"]

_PER_VERTEX = 140
"""Grid: values, two moments, gradient, the finer copy, and what focusing needs."""
_PER_PIXEL_IN_BANK = 4 + 3 * 8
_PER_PIXEL_OF_HULL = 4
PER_SAMPLE = 140
"""Samples twice while they are gathered, or once with the lookup that finds their trust."""
_PER_KEPT_SAMPLE = 43
_PER_SAMPLE_IN_STEP = 200
PER_TEXEL_OF_BASE, _PER_TEXEL_OF_GLOSS = 130, 125
"""Map, two moments, gradient; pyramid and its gradient."""
_PER_PIXEL_LOOKED_AT = 80
_PER_WAY = 12
"""Of light at a vertex: what a ray hits, whether that is the sky, and a product of the two."""
_WAYS = 16 * 32
_PER_PIXEL_REFINED = 260


@dataclass(frozen=True, slots=True)
class PhotoArea:
    """What matters of a photo here [px]."""

    width: int
    height: int
    covered: int
    """Pixels that show the object; all where there is no mask."""


def peaks_of(photos: Sequence[PhotoArea], config: OptimizeConfig) -> dict[str, int]:
    """Estimate the most bytes that each part of a run has on the device at once.

    Args:
        photos: As they will be used.
        config: As it will be used.

    Returns:
        For ``volume``, ``appearance`` and ``refine``.
    """
    sizes = [photo.width * photo.height for photo in photos]
    covered = sum(photo.covered for photo in photos)
    return {
        "volume": _volume(sum(sizes), covered, len(photos), config),
        "appearance": _appearance(covered, max(sizes), config),
        "refine": _refine(photos, covered, config),
    }


def _volume(pixels: int, covered: int, count: int, config: OptimizeConfig) -> int:
    volume = config.volume
    side = max(1.0, (covered / max(count, 1)) ** 0.5)  # of the object in a photo [px]
    shrunk = min(1.0, volume.resolution / side, 1 / volume.pixels_per_voxel) ** 2
    grid = _PER_VERTEX * volume.resolution**3
    return int(grid + max(_PER_PIXEL_OF_HULL * pixels, _PER_PIXEL_IN_BANK * shrunk * pixels))


def _maps(config: OptimizeConfig) -> int:
    texels = config.appearance.size**2
    gloss = texels // config.appearance.gloss_share**2
    return PER_TEXEL_OF_BASE * texels + _PER_TEXEL_OF_GLOSS * gloss + light_bytes(config)


def light_bytes(config: OptimizeConfig) -> int:
    """For the light at every vertex."""
    return config.mesh.face_count // 2 * _WAYS * _PER_WAY


def _appearance(covered: int, largest: int, config: OptimizeConfig) -> int:
    maps = config.appearance
    kept = min(covered, maps.max_samples)
    step = _PER_SAMPLE_IN_STEP * min(kept, maps.samples_per_step)
    return _maps(config) + PER_SAMPLE * kept + max(step, _PER_PIXEL_LOOKED_AT * largest)


def _refine(photos: Sequence[PhotoArea], covered: int, config: OptimizeConfig) -> int:
    if not config.refine.epochs:
        return 0
    cut = max(_reduced_pixels(photo) for photo in photos)
    kept = _PER_KEPT_SAMPLE * min(covered, config.appearance.max_samples)
    batch = min(config.refine.batch, len(photos))
    drawn = min(cut * config.refine.supersample**2, REFINE_LONGEST**2)
    return _maps(config) + kept + 4 * cut * len(photos) + _PER_PIXEL_REFINED * drawn * batch


def _reduced_pixels(photo: PhotoArea) -> int:
    height, width = photo.height, photo.width
    return int(height * width * min(1.0, REFINE_LONGEST / max(height, width)) ** 2)
