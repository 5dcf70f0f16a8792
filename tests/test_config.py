# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings outside their limits are refused when they are made, by name and number."""

import ast
import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from photocast import config
from photocast.config import (
    PRESETS,
    AppearanceConfig,
    CarveConfig,
    DepthConfig,
    MeshConfig,
    OptimizeConfig,
    ReconstructConfig,
    RefineConfig,
    VolumeConfig,
    optimize_preset,
)
from photocast.errors import ConfigError

BAD = [
    (ReconstructConfig, {"preset": "best"}, "draft, standard, high"),
    (ReconstructConfig, {"device": "tpu"}, "auto, cpu or cuda"),
    (ReconstructConfig, {"holdout_every": 1}, "at least 2"),
    (ReconstructConfig, {"holdout_every": -3}, "-3"),
    (ReconstructConfig, {"max_size": 63}, "64"),
    (VolumeConfig, {"resolution": 8}, "16 to 1024"),
    (VolumeConfig, {"steps": (100,)}, "2 positive numbers"),
    (VolumeConfig, {"steps": (100, 0)}, "2 positive numbers"),
    (VolumeConfig, {"levels": 0, "steps": ()}, "levels"),
    (VolumeConfig, {"rays_per_step": 0}, "rays_per_step"),
    (VolumeConfig, {"mask_outliers": 4}, "mask_outliers"),
    (VolumeConfig, {"sharpness": (0.0, 4.0)}, "sharpness"),
    (CarveConfig, {"steps": -1}, "0 to 1000000"),
    (CarveConfig, {"stride": 0.0}, "0.05"),
    (CarveConfig, {"arrives": 1.5}, "1.0"),
    (DepthConfig, {"weight": (0.1, 0.0)}, "positive"),
    (DepthConfig, {"edge": -1}, "0 to 64"),
    (DepthConfig, {"robust": 0.0}, "0.001"),
    (DepthConfig, {"min_support": 0.0}, "1e-06"),
    (DepthConfig, {"min_cosine": 0.5}, "0.45"),
    (DepthConfig, {"fit_scale": "shift"}, "none, scale or scale_shift"),
    (MeshConfig, {"face_count": 99}, "100"),
    (RefineConfig, {"epochs": -1}, "epochs"),
    (RefineConfig, {"batch": 0}, "batch"),
    (RefineConfig, {"stiffness": -1.0}, "stiffness"),
    (AppearanceConfig, {"size": 8}, "16 to 16384"),
    (AppearanceConfig, {"min_cosine": 1.5}, "0.0 to 0.99"),
    (AppearanceConfig, {"levels": 0}, "1 to 14"),
    (AppearanceConfig, {"samples_per_step": 63}, "64"),
    (AppearanceConfig, {"epochs": (1.0, 2.0)}, "3 numbers"),
]


@pytest.mark.parametrize(("kind", "setting", "said"), BAD)
def test_a_setting_outside_its_limits_is_refused_with_the_limit(kind, setting, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        kind(**setting)
    assert caught.value.code == "config.invalid"
    assert caught.value.exit_code == 2
    assert next(iter(setting)) in str(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_carries_the_seed_and_the_device_everywhere(name):
    settings = optimize_preset(name, device="cuda", seed=7)
    assert settings.device == "cuda"

    def seeds(value):
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            if dataclasses.is_dataclass(inner):
                yield from seeds(inner)
            elif field.name == "seed":
                yield inner

    assert set(seeds(settings)) == {7}


def test_each_preset_spends_more_than_the_one_before():
    cost = [
        (s.volume.resolution, s.mesh.face_count, s.refine.epochs, s.appearance.size)
        for s in map(optimize_preset, PRESETS)
    ]
    for less, more in itertools.pairwise(cost):
        assert all(a < b for a, b in zip(less, more, strict=True))


def test_every_setting_has_a_sentence_of_help():
    folder = Path(config.__file__).parent
    tree = ast.parse(
        "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("_*.py")))
    )
    bare = []
    for node in (n for n in tree.body if isinstance(n, ast.ClassDef)):
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and not told:
                bare.append(f"{node.name}.{field.target.id}")
    # those that are a stage's whole configuration are told by its class
    stages = {f"OptimizeConfig.{field.name}" for field in dataclasses.fields(OptimizeConfig)}
    assert set(bare) <= stages
