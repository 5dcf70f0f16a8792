# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What each engine is told."""

from dataclasses import dataclass, field
from typing import Literal

from photocast.config._shape import MeshConfig, PoseConfig, VolumeConfig
from photocast.config._surface import ATLASES, AppearanceConfig, RefineConfig, UnwrapConfig
from photocast.errors import ConfigError

__all__ = [
    "CompensationConfig",
    "GenerateConfig",
    "InitConfig",
    "InitUse",
    "OptimizeConfig",
    "PlaceConfig",
]

InitUse = Literal["refine", "material"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InitConfig:
    """How a reconstruction starts from a mesh."""

    mesh: str = ""
    """The file; without one, the shape is found from the photos."""
    use: InitUse = "refine"
    """``refine`` moves its vertices; ``material`` leaves its geometry as it is."""
    align: bool = False
    """Turn, scale and move the mesh where that makes it fit the masks."""
    min_iou: float = 0.9
    """The mesh fits if its outlines and the masks overlap this well, median over the views."""
    views: int = 24
    """Photos to compare with, at most, evenly chosen."""
    size: int = 192
    """Side of the pictures compared [px]."""
    face_count: int = 500_000
    """Larger meshes are reduced to this many triangles before they are refined."""

    def __post_init__(self) -> None:
        if self.use not in ("refine", "material"):
            raise ConfigError(f"init.use = {self.use!r}: must be refine or material.")
        if not self.mesh and (self.align or self.use == "material"):
            raise ConfigError("init.use = material and init.align need a mesh: init.mesh.")
        limits = {
            "min_iou": (0.0, 1.0),
            "views": (1, 10_000),
            "size": (32, 1024),
            "face_count": (100, 20_000_000),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"init.{name} = {value}: must be from {low} to {high}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizeConfig:
    """The ``optimize`` engine."""

    init: InitConfig = field(default_factory=InitConfig)
    poses: PoseConfig = field(default_factory=PoseConfig)
    rim: int = 2
    """Pixels along outlines mix object and background; so many of them take their colour from
    further inside [px]. Photos that come with transparency keep theirs."""
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    unwrap: UnwrapConfig = field(default_factory=UnwrapConfig)
    """Its size is replaced by the texture's."""
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    """Its size is the largest; photos may call for a smaller one."""
    device: str = "cpu"
    """Torch device."""

    def __post_init__(self) -> None:
        if not 0 <= self.rim <= 64:
            raise ConfigError(f"rim = {self.rim}: must be from 0 to 64.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceConfig:
    """How photos are placed around a generated object."""

    rotations: int = 600
    """Ways round of the object that are tried."""
    views: int = 6
    """Photos that decide between them, at most, evenly chosen."""
    finalists: int = 4
    """Ways round that are fitted before one is chosen."""
    least_confidence: float = 0.5
    """Photos that are placed with less are left out."""

    def __post_init__(self) -> None:
        limits = {
            "rotations": (1, 100_000),
            "views": (1, 1000),
            "finalists": (1, 1000),
            "least_confidence": (0.0, 1.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"place.{name} = {value}: must be from {low} to {high}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class CompensationConfig:
    """How photos that are placed around a generated object correct what is on its voxels."""

    enabled: bool = False
    """Sample the second flow again and let the photos correct it."""
    start: float = 0.5
    """Steps at this time (1 is noise, 0 the object) and after it are corrected."""
    rate: float = 0.1
    """Adam's step along the velocity."""
    betas: tuple[float, float] = (0.5, 0.9)
    """Adam's memories."""
    iterations: int = 5
    """Adam steps per step of sampling."""
    worst: float = 0.8
    """Views that differ by more (L1 + 1 - SSIM) are left out: their place is likely wrong."""
    stay: float = 0.2
    """Weight of the mean change of the velocity."""
    least_overlap: float = 0.85
    """Photos take part where the outlines of object and mask overlap this well (intersection over
    union) and ``place.least_confidence`` is reached; two of them are needed."""
    size: int = 259
    """Side of the squares that are compared [px]."""

    def __post_init__(self) -> None:
        limits = {
            "start": (0.0, 1.0),
            "rate": (0.0, 10.0),
            "iterations": (1, 1000),
            "worst": (0.0, 100.0),
            "stay": (0.0, 1000.0),
            "least_overlap": (0.0, 1.0),
            "size": (16, 2048),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"compensation.{name} = {value}: must be from {low} to {high}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"compensation.betas = {self.betas}: must be from 0 to below 1.")


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateConfig:
    """The ``generate`` engine."""

    weights: str = ""
    """Folder of weights."""
    reference: str = ""
    """Name of the photo relative to which the others are placed; empty takes the first."""
    guidance: Literal["added", "mixed"] = "added"
    """What a strength means: (1 + w) conditional - w unconditional, or w and 1 - w."""
    structure_steps: int = 30
    """Steps that find the occupied voxels."""
    structure_strength: float = 7.5
    """Guidance of these steps."""
    detail_steps: int = 12
    """Steps that find what is on the voxels."""
    detail_strength: float = 3.0
    """Guidance of these steps."""
    guided: tuple[float, float] = (0.5, 1.0)
    """Times from 1 (noise) to 0 at which steps are guided, ends included."""
    rescale_t: float = 3.0
    """Above 1, more steps near the noise."""
    max_voxels: int = 80_000
    """More occupied voxels than this are refused, since memory grows with them."""
    face_count: int = 200_000
    """At most this many triangles."""
    texture: int = 2048
    """Side of the square base colour map [px]."""
    atlas: Literal["own", "xatlas"] = "own"
    """Whose charts: our own, or those of xatlas, if it is installed."""
    place: PlaceConfig = field(default_factory=PlaceConfig)
    """How photos are placed around the object."""
    compensation: CompensationConfig = field(default_factory=CompensationConfig)
    """How the placed photos correct it."""
    low_memory: bool = False
    """Keep a network on the device only while it is at work."""
    sparse_conv: Literal["own", "spconv"] = "own"
    """Who convolves on voxels: we, or spconv on CUDA, if you have installed it."""
    device: str = "cpu"
    """Torch device."""
    seed: int = 0
    """Decides what is made up; equal seeds give equal objects on the same device."""

    def __post_init__(self) -> None:
        limits = {
            "structure_steps": (1, 1000),
            "detail_steps": (1, 1000),
            "rescale_t": (0.1, 100.0),
            "max_voxels": (1, 262_144),
            "face_count": (100, 20_000_000),
            "texture": (16, 16384),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"generate.{name} = {value}: must be from {low} to {high}.")
        if self.atlas not in ATLASES:
            raise ConfigError(f"generate.atlas = {self.atlas!r}: must be own or xatlas.")
        if self.sparse_conv not in ("own", "spconv"):
            raise ConfigError(
                f"generate.sparse_conv = {self.sparse_conv!r}: must be own or spconv."
            )
        if self.guidance not in ("added", "mixed"):
            raise ConfigError(f"generate.guidance = {self.guidance!r}: must be added or mixed.")
        if not 0 <= self.guided[0] <= self.guided[1] <= 1:
            raise ConfigError(f"generate.guided = {self.guided}: must rise within 0 to 1.")
