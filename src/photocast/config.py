# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every setting, one frozen dataclass per stage.

The sentence under a field is its help. Changes use ``dataclasses.replace``; every seed is a field.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from photocast.errors import ConfigError

__all__ = [
    "AppearanceConfig",
    "CarveConfig",
    "DepthConfig",
    "GenerateConfig",
    "InitConfig",
    "MeshConfig",
    "OptimizeConfig",
    "PoseConfig",
    "ReconstructConfig",
    "RefineConfig",
    "SampleConfig",
    "SampleLight",
    "UnwrapConfig",
    "VolumeConfig",
    "generate_preset",
    "optimize_preset",
]

InitUse = Literal["refine", "material"]
SampleLight = Literal["studio", "sky", "sunset"]
POSE_MODES = ("auto", "off", "on")


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
    shiny: bool = True
    """Let colours depend on the view while the shape is found, so that highlights dent it less."""
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
        for name in ("sharpness", "smooth"):
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
    min_chart: int = 12
    """Charts smaller than a square of this side join a neighbour where possible [px]."""

    def __post_init__(self) -> None:
        limits = {"size": (16, 16384), "padding": (0, 64), "min_chart": (0, 1024)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"unwrap.{name} = {value}: must be {low} to {high}.")
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
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    unwrap: UnwrapConfig = field(default_factory=UnwrapConfig)
    """Its size is replaced by the texture's."""
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    """Its size is the largest; photos may call for a smaller one."""
    device: str = "cpu"
    """Torch device."""


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
    low_memory: bool = False
    """Keep a network on the device only while it is at work."""
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
        if self.guidance not in ("added", "mixed"):
            raise ConfigError(f"generate.guidance = {self.guidance!r}: must be added or mixed.")
        if not 0 <= self.guided[0] <= self.guided[1] <= 1:
            raise ConfigError(f"generate.guided = {self.guided}: must rise within 0 to 1.")


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
    weights: str = ""
    """Folder of weights, for engines that need any."""
    reference: str = ""
    """Photo that an engine without cameras places the others by; empty takes the first."""
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
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"device = {self.device!r}: must be auto, cpu or cuda.")


PRESETS = ("draft", "standard", "high")
MIN_SECONDS = 5.0
"""Less than this is no use to anybody."""


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


def generate_preset(name: str) -> GenerateConfig:
    """The settings behind a preset of the ``generate`` engine; one of ``PRESETS``."""
    return {
        "draft": GenerateConfig(
            structure_steps=12, detail_steps=8, face_count=60_000, texture=1024
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
            steps=(400, 500),
            carve=replace(config.volume.carve, steps=250),
        ),
        mesh=replace(config.mesh, face_count=80_000),
        refine=replace(config.refine, epochs=4, supersample=1),
        appearance=replace(
            config.appearance, epochs=(1.5, 2.0, 4.0), min_steps=30, samples_per_step=65_536
        ),
    )
