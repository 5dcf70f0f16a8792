# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How the sample capture is photographed."""

from dataclasses import dataclass
from typing import Literal

from photocast.errors import ConfigError

__all__ = ["SampleConfig", "SampleLight"]

SampleLight = Literal["studio", "sky", "sunset"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleConfig:
    """How the sample capture is photographed."""

    view_count: int = 32
    """Photos for reconstruction."""
    test_view_count: int = 8
    """Photos held out for evaluation; 0 writes no test split."""
    size: int = 256
    """Width and height of a photo [px]."""
    sample_count: int = 32
    """Camera rays per pixel; a power of two. More is smoother and slower."""
    bounce_count: int = 1
    """Reflections between parts of the object."""
    depth: bool = False
    """Also write depth maps, 16-bit millimetres along the viewing axis."""
    light: SampleLight = "studio"
    """Which built-in light."""
    seed: int = 0
    """Turns the cameras and draws the rays; equal seeds give equal files."""

    def __post_init__(self) -> None:
        limits = {
            "view_count": (1, 10_000),
            "test_view_count": (0, 10_000),
            "size": (16, 8192),
            "sample_count": (1, 4096),
            "bounce_count": (0, 8),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"sample.{name} = {value}: must be from {low} to {high}.")
        if self.sample_count & (self.sample_count - 1):
            raise ConfigError(
                f"sample.sample_count = {self.sample_count}: must be a power of two, such as 32."
            )
        lights = SampleLight.__args__  # type: ignore[attr-defined]
        if self.light not in lights:
            raise ConfigError(f"sample.light = {self.light!r}: must be one of {', '.join(lights)}.")
