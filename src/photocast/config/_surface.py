# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From a mesh to a finished one: UVs, material, light, and vertices moved meanwhile."""

from dataclasses import dataclass
from typing import Literal

from photocast.errors import ConfigError

__all__ = ["ATLASES", "REFINE_LONGEST", "AppearanceConfig", "RefineConfig", "UnwrapConfig"]

ATLASES = ("own", "xatlas")
"""Whose charts a UV map may have."""
REFINE_LONGEST = 1024
"""Photos are compared at no more than this size while vertices move [px]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefineConfig:
    """How vertices are moved by the rasterised difference to the photos."""

    epochs: int = 12
    """Times that every photo is visited; 0 leaves the mesh as it is."""
    batch: int = 8
    """Photos per step."""
    supersample: int = 1
    """Samples per pixel along each axis, at most: pictures stay within 1024 px."""
    rate_base: float = 0.01
    """Optimiser step for the base colour meanwhile [square root of linear]."""
    rate_gloss: float = 0.01
    """Optimiser step for roughness, metallic and the normal map meanwhile."""
    rate: float = 0.1
    """Step in median edge lengths."""
    stiffness: float = 3.0
    """How far a gradient spreads over the surface (lambda of Large Steps)."""
    smooth: float = 0.1
    """Weight of the surface's roughness against the photos."""
    seed: int = 0
    """Order of the photos."""

    def __post_init__(self) -> None:
        least = {"epochs": 0, "batch": 1, "supersample": 1, "rate": 0, "stiffness": 0, "smooth": 0}
        for name, low in least.items():
            if (value := getattr(self, name)) < low:
                raise ConfigError(f"refine.{name} = {value}: must be at least {low}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class UnwrapConfig:
    """How a surface is cut and laid flat for a texture."""

    size: int = 1024
    """Side of the square texture the gaps are meant for [px]."""
    padding: int = 4
    """Least gap between two charts [px]."""
    atlas: Literal["own", "xatlas"] = "own"
    """Whose charts: our own, or those of xatlas, if it is installed."""
    min_chart: int = 12
    """Charts smaller than a square of this side join a neighbour where possible [px]."""

    def __post_init__(self) -> None:
        limits = {"size": (16, 16384), "padding": (0, 64), "min_chart": (0, 1024)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"unwrap.{name} = {value}: must be {low} to {high}.")
        if self.atlas not in ATLASES:
            raise ConfigError(f"unwrap.atlas = {self.atlas!r}: must be own or xatlas.")
        if 4 * self.padding > self.size:
            raise ConfigError(
                f"unwrap.padding = {self.padding}: must be at most a quarter of the size "
                f"({self.size} px)."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class AppearanceConfig:
    """How material and light are found on a given shape."""

    size: int = 2048
    """Side of the square base colour map, at most [px]; photos may call for a smaller one."""
    gloss_share: int = 4
    """Roughness, metallic and normal maps are this many times smaller."""
    levels: int = 4
    """Smaller levels of the maps that distant pixels may use."""
    coarse: tuple[int, ...] = (8, 2)
    """Coarse to fine: the maps start this many times smaller."""
    epochs: tuple[float, ...] = (3.0, 4.0, 10.0)
    """How often every pixel is visited, on average, at each size of the maps, coarse first."""
    samples_per_step: int = 262_144
    """Pixels compared in one step, at most."""
    min_steps: int = 60
    """Fewest steps at each size."""
    light_steps: int = 60
    """Steps at first in which the light alone is found, on an object of one colour."""
    rate_base: float = 0.03
    """Optimiser step for the base colour [square root of linear]."""
    rate_gloss: float = 0.02
    """Optimiser step for roughness, metallic and the normal map."""
    rate_light: float = 0.03
    """Optimiser step for the environment [natural logarithm]."""
    rate_exposure: float = 0.005
    """Optimiser step for exposure and white balance of each photo [natural logarithm]."""
    cool: float = 0.1
    """Step sizes at the end, relative to the start."""
    gray_light: float = 0.02
    """Pull of the light's colour towards grey."""
    plain: float = 0.2
    """Pull of metallic towards 0 and of the normal map towards flat."""
    exposure: Literal["auto", "on", "off"] = "auto"
    """Fit exposure, white balance and vignetting, in which real photos differ; auto: unless photos
    come with transparency, as rendered ones do."""
    robust: float = 0.1
    """Charbonnier scale [sRGB, 0..1]: smaller residuals count as least squares."""
    min_cosine: float = 0.15
    """Leave out pixels that see the surface flatter than this cosine."""
    cosine_power: float = 1.0
    """How much frontal views count more: trust is the cosine to this power."""
    edge: int = 1
    """This many pixels along outlines mix two things and count less [px]."""
    edge_weight: float = 0.3
    """How much those count."""
    max_samples: int = 12_000_000
    """Pixels to keep of all photos together; beyond it every second, third, ... is used."""
    seed: int = 0
    """Order of the pixels."""

    def __post_init__(self) -> None:
        limits = {
            "size": (16, 16384),
            "gloss_share": (1, 16),
            "levels": (1, 14),
            "samples_per_step": (64, 2**24),
            "min_steps": (0, 10**6),
            "light_steps": (0, 10**6),
            "min_cosine": (0.0, 0.99),
            "cosine_power": (0.0, 16.0),
            "edge": (0, 16),
            "max_samples": (1000, 10**9),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"appearance.{name} = {value}: must be {low} to {high}.")
        if self.exposure not in ("auto", "on", "off"):
            raise ConfigError(f"appearance.exposure = {self.exposure!r}: must be auto, on or off.")
        if len(self.epochs) != len(self.coarse) + 1:
            raise ConfigError(
                f"appearance.epochs = {self.epochs}: needs {len(self.coarse) + 1} numbers, one for "
                "each coarse size and one for the full size."
            )
