# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From posed photos to a first mesh."""

from dataclasses import dataclass, field
from typing import Literal

from photocast.errors import ConfigError

__all__ = ["POSE_MODES", "CarveConfig", "DepthConfig", "MeshConfig", "PoseConfig", "VolumeConfig"]

POSE_MODES = ("auto", "off", "on")


@dataclass(frozen=True, kw_only=True, slots=True)
class CarveConfig:
    """How hollows that outlines cannot show are dug out of the visual hull."""

    steps: int = 600
    """Optimiser steps; 0 starts from the bare hull."""
    least_photos: int = 16
    """With fewer photos the hull is left as it is: too few see into the same hollow."""
    clear: float = 2.0
    """Contrast of the photos over what is left unexplained, both squared, from which the result is
    believed; else the hull is left as it is."""
    rays_per_step: int = 16384
    """Pixels compared in one step."""
    seen_rays: int = 400_000
    """Pixels whose rays decide what is empty."""
    stride: float = 0.8
    """Distance between samples on a ray [voxel]."""
    thin: float = 3.0
    """Minus the logarithm of the density at the start [1/voxel]."""
    solid: float = 0.0
    """Logarithm of the density from which a place is solid [1/voxel]."""
    arrives: float = 0.3
    """A place is empty if this share of some ray arrives there and meets little."""
    rate_color: float = 0.05
    """Optimiser step for colours [sRGB, 0..1]."""
    shiny: bool = True
    """Let colours depend on the view meanwhile."""
    rate_shine: float = 0.003
    """Optimiser step for colour that depends on the view [sRGB, 0..1]."""
    rate_density: float = 0.15
    """Optimiser step for the logarithm of the density."""
    smooth: float = 0.001
    """Weight of the density's smoothness."""
    epsilon: float = 3e-5
    """Gradients well below this move nothing."""
    cool: float = 0.2
    """Step sizes at the end, relative to the start."""
    seed: int = 0
    """Where samples lie on the rays."""

    def __post_init__(self) -> None:
        limits = {
            "steps": (0, 10**6),
            "rays_per_step": (1, 2**24),
            "seen_rays": (1, 2**31 - 1),
            "stride": (0.05, 2.0),
            "arrives": (0.0, 1.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"carve.{name} = {value}: must be from {low} to {high}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthConfig:
    """How measured depth takes part, where the capture has any."""

    weight: tuple[float, float] = (0.1, 0.01)
    """Weight that ties the field to measured places, at the start and the end of the fit: depth
    leads first, and the photos have the last word."""
    robust: float = 1.0
    """Views that differ from the others by well more than this count for little [voxel]."""
    min_support: float = 0.5
    """Least sum of agreeing views that shows a surface or empty space; one view that looks
    frontally and surely counts 1, at an angle, at an edge or noisily less."""
    edge: int = 2
    """Distrust this many pixels along outlines, where sensors make points in mid-air [px]; 0
    trusts all."""
    min_cosine: float = 0.15
    """Leave out depth that sees the surface flatter than this cosine; 0 trusts all alike."""
    fit_scale: Literal["none", "scale", "scale_shift"] = "scale"
    """Correct each depth map's scale, or scale and shift, where that makes the maps agree."""

    def __post_init__(self) -> None:
        if min(self.weight) <= 0:
            raise ConfigError(f"depth.weight = {self.weight}: must be positive.")
        limits = {
            "robust": (1e-3, 1e9),
            "min_support": (1e-6, 1e3),
            "edge": (0, 64),
            "min_cosine": (0.0, 0.45),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"depth.{name} = {value}: must be from {low} to {high}.")
        if self.fit_scale not in ("none", "scale", "scale_shift"):
            raise ConfigError(
                f"depth.fit_scale = {self.fit_scale!r}: must be none, scale or scale_shift."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeConfig:
    """How a signed-distance grid is fitted to the photos by volume rendering."""

    resolution: int = 256
    """Grid vertices along the object's longest side at the finest level, at most."""
    pixels_per_voxel: float = 1.0
    """A finest cell is at least this many pixels wide, or it would learn the photos' noise."""
    levels: int = 2
    """Coarse to fine: each level halves the voxels of the one before."""
    steps: tuple[int, ...] = (700, 1500)
    """Optimiser steps per level, coarse first, at most."""
    epochs: float = 12.0
    """A level ends once every pixel was seen this often, on average."""
    min_steps: int = 250
    """Fewest steps of a level, however few pixels there are."""
    rays_per_step: int = 16384
    """Pixels compared in one step."""
    sharpness: tuple[float, float] = (1.5, 4.0)
    """How abruptly the surface turns opaque at the start and end of a level [1/voxel]."""
    rate_color: float = 0.04
    """Optimiser step for colours [sRGB, 0..1]."""
    rate_distance: float = 0.1
    """Optimiser step for distances [voxel]."""
    rate_shine: float = 0.003
    """Optimiser step for colour that depends on the view [sRGB, 0..1]."""
    smooth: tuple[float, float] = (0.006, 0.001)
    """Weight of surface smoothness at the start of the first and the end of the last level."""
    smooth_plain: tuple[float, float] = (0.006, 0.001)
    """The same where colour does not change along the surface: noise must not dent plain paint."""
    plain: float = 0.02
    """Change of colour from one voxel to the next that lies between both [sRGB, 0..1]."""
    most_smooth: float = 8.0
    """Smoothness counts up to this many times more where photos say little: plain surfaces,
    highlights, changing exposure."""
    eikonal: float = 0.005
    """Weight that keeps the field a distance field."""
    cool: float = 0.1
    """Step sizes at the end of a level, relative to its start."""
    epsilon: float = 3e-4
    """Gradients well below this move nothing."""
    depth: DepthConfig = field(default_factory=DepthConfig)
    """What measured depth is worth."""
    carve: CarveConfig = field(default_factory=CarveConfig)
    """Before the first level, where photos have no depth."""
    shiny: Literal["auto", "on", "off"] = "auto"
    """Let colours depend on the view while the shape is found, so that highlights dent it less;
    auto: if carving, or the first level, explains the photos badly."""
    mask_outliers: int = 0
    """How many masks may be wrong about any one point."""
    seed: int = 0
    """Order of the pixels."""

    def __post_init__(self) -> None:
        if not 16 <= self.resolution <= 1024:
            raise ConfigError(f"volume.resolution = {self.resolution}: must be from 16 to 1024.")
        limits = {"levels": (1, 6), "rays_per_step": (1, 2**24), "mask_outliers": (0, 3)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"volume.{name} = {value}: must be from {low} to {high}.")
        if len(self.steps) != self.levels or min(self.steps, default=0) < 1:
            raise ConfigError(
                f"volume.steps = {self.steps}: needs {self.levels} positive numbers, one per level."
            )
        if self.shiny not in ("auto", "on", "off"):
            raise ConfigError(f"volume.shiny = {self.shiny!r}: must be auto, on or off.")
        for name in ("sharpness", "smooth", "smooth_plain"):
            if min(getattr(self, name)) <= 0:
                raise ConfigError(f"volume.{name} = {getattr(self, name)}: must be positive.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseConfig:
    """How cameras that are slightly off are corrected before the shape is fitted finely."""

    mode: str = "auto"
    """auto: keep a correction that lowers the error on what it was not fitted to; on: keep it in
    any case; off: trust the cameras."""
    rounds: int = 2
    """Times that a coarse shape is fitted and the cameras are corrected by it."""
    iterations: int = 5
    """Gauss-Newton steps per blur of the photos."""
    longest: int = 512
    """Photos are compared at no more than this size [px]."""
    blurs: tuple[float, ...] = (2.5, 1.2)
    """Blur of the photos, coarse to fine [px]."""
    prior_pose: float = 3.0
    """Expected error of a pose, as what it moves in the photo [px]."""
    prior_lens: float = 0.5
    """Expected error of focal length and principal point [px]; small, so that what photos hardly
    tell of a lens stays as it is. What they do tell outweighs it."""
    prior_mask: float = 3.0
    """Expected error of a mask that is too wide or too tight all around [px]."""
    dead_zone: float = 1.0
    """Masks that differ by no more than this in how tight they are stay as they are [px]."""
    least_shift: float = 0.1
    """Corrections that move the object less than this are not worth making [px]."""
    least_gain: float = 0.02
    """Share by which the error on unseen places must fall."""
    resolution: int = 64
    """Grid vertices along the object's longest side of the coarse shape."""
    steps: int = 150
    """Steps to fit the coarse shape."""

    def __post_init__(self) -> None:
        if self.mode not in POSE_MODES:
            raise ConfigError(f"poses = {self.mode!r}: must be one of {', '.join(POSE_MODES)}.")
        limits = {
            "rounds": (1, 10),
            "iterations": (1, 100),
            "longest": (32, 4096),
            "prior_pose": (1e-6, 1e3),
            "prior_lens": (1e-6, 1e3),
            "prior_mask": (1e-6, 1e3),
            "resolution": (16, 512),
            "steps": (1, 100_000),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"poses.{name} = {value}: must be {low:g} to {high:g}.")
        if not self.blurs or min(self.blurs) <= 0:
            raise ConfigError(f"poses.blurs = {self.blurs}: needs one or more positive numbers.")


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshConfig:
    """How the surface becomes triangles."""

    face_count: int = 200_000
    """At most this many triangles."""
    detail: float = 0.5
    """Share of the grid's triangles to keep, where that is fewer."""
    min_part: float = 0.005
    """Parts with less than this share of the largest part's area are dropped."""

    def __post_init__(self) -> None:
        if not 100 <= self.face_count <= 20_000_000:
            raise ConfigError(
                f"mesh.face_count = {self.face_count}: must be from 100 to 20 000 000."
            )
