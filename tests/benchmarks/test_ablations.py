# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every ingredient that the ablations turn off is there to be turned off."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from photocast.config import PRESETS, OptimizeConfig, optimize_preset
from photocast.ops.shade import LOBES
from photocast.stages import appearance, transport
from photocast.stages.lit import layout_of
from photocast.stages.transport import Transport


def _script(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"photocast_script_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ablations = _script("ablations")


def _value(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ablations.INGREDIENTS)
def test_turning_an_ingredient_off_changes_exactly_the_settings_it_names(name, preset):
    config = optimize_preset(preset)
    chosen = ablations.INGREDIENTS[name]
    _, changed = ablations.without(config, name)
    assert isinstance(changed, OptimizeConfig)
    named = {*chosen.off, *chosen.on}
    back = {path: _value(config, path) for path in named}
    assert ablations.with_settings(changed, back) == config
    assert (changed == config) == (not named)


@pytest.mark.parametrize("name", ablations.INGREDIENTS)
def test_an_ingredient_without_settings_does_something_else(name):
    chosen = ablations.INGREDIENTS[name]
    acts = chosen.off or chosen.patches() or chosen.photos is not tuple
    assert bool(acts) == (name != "again")


def test_an_unknown_setting_is_refused_with_its_name():
    with pytest.raises(KeyError, match="CarveConfig has no field stepz"):
        ablations.with_settings(OptimizeConfig(), {"volume.carve.stepz": 0})


def test_what_is_off_already_is_turned_on_and_called_so():
    off = ablations.with_settings(OptimizeConfig(), {"appearance.exposure": "off"})
    title, changed = ablations.without(off, "exposure")
    assert (title, changed.appearance.exposure) == ("exposure+", "on")


def test_half_the_resolution_is_half_whatever_limits_it():
    _, changed = ablations.without(OptimizeConfig(), "resolution")
    before = OptimizeConfig().volume
    assert changed.volume.resolution * 2 == before.resolution
    assert changed.volume.pixels_per_voxel == 2 * before.pixels_per_voxel


def test_with_an_open_sky_a_hollow_is_as_bright_as_a_hill(textured_sphere):
    # From inside of a sphere that is turned inside out nothing but the sphere is seen.
    vertices, normals, layout = layout_of(textured_sphere, torch.device("cpu"))
    sky = torch.ones(*LOBES[0][1], 3)
    brightness = []
    for patches in ((), ablations.INGREDIENTS["shadows"].patches()):
        with ablations.patched(patches):
            light = Transport(vertices, -normals, layout).incident(sky).light
        brightness.append(float(light[:, 0].abs().max()))
    assert brightness[0] < 0.05 * brightness[1]


def test_a_held_map_is_held_and_let_go_again(textured_sphere):
    hold = appearance.AppearanceFit.hold_maps
    fit = appearance.AppearanceFit.__new__(appearance.AppearanceFit)
    fit._config = OptimizeConfig().appearance
    fit.base, fit.gloss = torch.full((4, 4, 3), 0.5), torch.full((4, 4, 4), 0.5)
    fit.light, fit.gain = torch.zeros(32, 64, 3), torch.zeros(2, 3)
    fit.vignette = torch.zeros(())
    for name, channels in (("roughness", [0]), ("metallic", [1]), ("normal-map", [2, 3])):
        fit.gloss[:] = 0.5
        with ablations.patched(ablations.INGREDIENTS[name].patches()):
            fit.hold_maps(0.0)
        wanted = 0.6 if name == "roughness" else 0.0
        held = [c for c in range(4) if bool((fit.gloss[..., c] == wanted).all())]
        assert held == channels
    assert appearance.AppearanceFit.hold_maps is hold


def test_patches_are_taken_back():
    before = transport.first_hits, Transport.bounce, Transport.incident, appearance.filter_lobes
    for chosen in ablations.INGREDIENTS.values():
        with ablations.patched(chosen.patches()):
            pass
    after = transport.first_hits, Transport.bounce, Transport.incident, appearance.filter_lobes
    assert before == after


def test_depth_is_an_ingredient_only_where_there_is_any():
    assert "depth" not in ablations.names_for([], None)
    assert ablations.names_for([], ["depth"]) == ["depth"]


def test_the_table_tells_what_is_lost():
    base = {"name": "all", "what": "everything", "psnr_white": 30.0, "psnr_inside": 25.0}
    base["seconds"] = 15.0
    row = base | {"name": "carve", "what": "soft density", "psnr_white": 28.5, "seconds": 12.0}
    assert ablations.line(row, base).split() == [
        "carve", "-1.50", "dB", "+0.00", "dB", "-3.00", "s", "soft", "density",
    ]  # fmt: skip
    assert "30.00 dB   25.00 dB" in ablations.line(base, base)
