# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every setting, one frozen dataclass per stage.

The sentence under a field is its help. Changes use ``dataclasses.replace``; every seed is a field.
"""

from photocast.config._engines import (
    CompensationConfig,
    GenerateConfig,
    InitConfig,
    InitUse,
    OptimizeConfig,
    PlaceConfig,
)
from photocast.config._run import (
    MAX_SIZES,
    MIN_SECONDS,
    PRESETS,
    ReconstructConfig,
    engine_to_ask,
    generate_preset,
    optimize_preset,
)
from photocast.config._sample import SampleConfig, SampleLight
from photocast.config._shape import (
    POSE_MODES,
    CarveConfig,
    DepthConfig,
    MeshConfig,
    PoseConfig,
    VolumeConfig,
)
from photocast.config._surface import REFINE_LONGEST, AppearanceConfig, RefineConfig, UnwrapConfig

__all__ = [
    "MAX_SIZES",
    "MIN_SECONDS",
    "POSE_MODES",
    "PRESETS",
    "REFINE_LONGEST",
    "AppearanceConfig",
    "CarveConfig",
    "CompensationConfig",
    "DepthConfig",
    "GenerateConfig",
    "InitConfig",
    "InitUse",
    "MeshConfig",
    "OptimizeConfig",
    "PlaceConfig",
    "PoseConfig",
    "ReconstructConfig",
    "RefineConfig",
    "SampleConfig",
    "SampleLight",
    "UnwrapConfig",
    "VolumeConfig",
    "engine_to_ask",
    "generate_preset",
    "optimize_preset",
]
