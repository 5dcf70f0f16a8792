# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One run, and the presets behind it."""

from dataclasses import dataclass, field, replace
from typing import Literal

from photocast.config._engines import GenerateConfig, InitConfig, OptimizeConfig, PlaceConfig
from photocast.config._shape import POSE_MODES, CarveConfig, MeshConfig, PoseConfig, VolumeConfig
from photocast.config._surface import ATLASES, AppearanceConfig, RefineConfig
from photocast.errors import ConfigError

__all__ = [
    "MAX_SIZES",
    "MIN_SECONDS",
    "PRESETS",
    "ReconstructConfig",
    "engine_to_ask",
    "generate_preset",
    "optimize_preset",
]

PRESETS = ("draft", "standard", "high")
MAX_SIZES = {"draft": 512, "standard": 1024, "high": 2048}
"""Longest side of a photo, by preset [px]."""
MIN_SECONDS = 5.0
"""Less than this is no use to anybody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructConfig:
    """One run from a capture to a result folder."""

    engine: str = "optimize"
    """How to reconstruct; auto chooses by what the capture has."""
    preset: str = "standard"
    """How much time to spend: draft, standard or high."""
    formats: tuple[str, ...] = ("glb",)
    """Mesh files to write: glb, gltf, obj, ply, stl, 3mf, usdz."""
    holdout_every: int | None = None
    """Keep every Nth photo for testing; 0 uses all; None keeps the capture's own split."""
    max_size: int | None = None
    """Longest side of a photo [px]; None decides by preset."""
    init: InitConfig = field(default_factory=InitConfig)
    """A mesh to start from."""
    max_seconds: float | None = None
    """When to be done: later steps are left out [s]; None takes all the time it needs."""
    poses: str = "auto"
    """Correct cameras that are slightly off: auto (where it helps), on or off."""
    atlas: Literal["own", "xatlas"] = "own"
    """Whose charts the UV map has: our own, or those of xatlas, if it is installed."""
    weights: str = ""
    """Folder of weights, for engines that need any."""
    reference: str = ""
    """Photo that an engine without cameras places the others by; empty takes the first."""
    refine: bool = False
    """Refine what an engine without cameras made by the photos that could be placed around it."""
    compensate: bool = False
    """Let the photos that could be placed around it correct what ``generate`` makes."""
    low_memory: bool = False
    """Keep networks on the device only while they are at work, for engines that have any."""
    device: str = "auto"
    """auto, cpu or cuda."""
    seed: int = 0
    """Same seed, same result on the CPU."""

    def __post_init__(self) -> None:
        if self.max_seconds is not None and not self.max_seconds >= MIN_SECONDS:
            raise ConfigError(
                f"max_seconds = {self.max_seconds:g}: must be at least {MIN_SECONDS:g} s. The "
                "smallest capture takes about that long without a single step of fitting."
            )
        if self.preset not in PRESETS:
            raise ConfigError(f"preset = {self.preset!r}: must be one of {', '.join(PRESETS)}.")
        if self.holdout_every is not None and (self.holdout_every < 0 or self.holdout_every == 1):
            raise ConfigError(
                f"holdout_every = {self.holdout_every}: must be 0 (use all photos) or at least 2."
            )
        if self.max_size is not None and self.max_size < 64:
            raise ConfigError(f"max_size = {self.max_size}: must be at least 64 px.")
        if self.poses not in POSE_MODES:
            raise ConfigError(f"poses = {self.poses!r}: must be one of {', '.join(POSE_MODES)}.")
        if self.atlas not in ATLASES:
            raise ConfigError(f"atlas = {self.atlas!r}: must be one of {', '.join(ATLASES)}.")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"device = {self.device!r}: must be auto, cpu or cuda.")


def optimize_preset(
    name: str, *, device: str = "cpu", seed: int = 0, poses: str = "auto"
) -> OptimizeConfig:
    """The settings behind a preset.

    Args:
        name: One of ``PRESETS``.
        device: Torch device.
        seed: For every random choice.
        poses: One of ``POSE_MODES``.
    """
    volume = {
        "draft": VolumeConfig(
            resolution=128,
            pixels_per_voxel=1.3,
            steps=(200, 300),
            carve=CarveConfig(steps=250),
            seed=seed,
        ),
        "standard": VolumeConfig(seed=seed),
        "high": VolumeConfig(resolution=384, steps=(1000, 3000), epochs=24.0, seed=seed),
    }[name]
    volume = replace(volume, carve=replace(volume.carve, seed=seed))
    faces = {"draft": 60_000, "standard": 200_000, "high": 500_000}[name]
    refine = {
        "draft": RefineConfig(epochs=3, seed=seed),
        "standard": RefineConfig(epochs=40, supersample=2, seed=seed),
        "high": RefineConfig(epochs=80, supersample=2, seed=seed),
    }[name]
    texture = {"draft": 1024, "standard": 2048, "high": 4096}[name]
    chosen = OptimizeConfig(
        appearance=_appearance_preset(name, texture, seed),
        poses=PoseConfig(mode=poses),
        volume=volume,
        mesh=MeshConfig(face_count=faces),
        refine=refine,
        device=device,
    )
    return _lighter(chosen) if device == "cpu" and name == "standard" else chosen


def engine_to_ask(engine: str, *, weights: bool) -> str:
    """The engine that a job names; without weights ``auto`` has nothing to choose between."""
    return "optimize" if engine == "auto" and not weights else engine


def generate_preset(name: str) -> GenerateConfig:
    """The settings behind a preset of the ``generate`` engine; one of ``PRESETS``."""
    return {
        "draft": GenerateConfig(
            structure_steps=12,
            detail_steps=8,
            face_count=60_000,
            texture=1024,
            place=PlaceConfig(rotations=300, finalists=3),
        ),
        "standard": GenerateConfig(),
        "high": GenerateConfig(
            structure_steps=50, detail_steps=25, face_count=500_000, texture=4096
        ),
    }[name]


def _appearance_preset(name: str, size: int, seed: int) -> AppearanceConfig:
    if name == "draft":
        return AppearanceConfig(size=size, coarse=(4,), epochs=(2.0, 4.0), min_steps=40, seed=seed)
    return AppearanceConfig(size=size, seed=seed)


def _lighter(config: OptimizeConfig) -> OptimizeConfig:
    """The standard preset for a processor alone: about a third of the steps."""
    return replace(
        config,
        volume=replace(
            config.volume,
            resolution=192,
            pixels_per_voxel=1.3,
            steps=(220, 300),
            smooth_plain=(0.03, 0.02),
            carve=replace(config.volume.carve, steps=200),
        ),
        mesh=replace(config.mesh, face_count=80_000),
        refine=replace(config.refine, epochs=4, supersample=1),
        appearance=replace(
            config.appearance, epochs=(1.5, 1.5, 2.0), min_steps=30, samples_per_step=65_536
        ),
    )
