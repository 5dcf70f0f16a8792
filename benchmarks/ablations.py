# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What each ingredient of ``optimize`` buys: one run with everything, then one without each.

    python benchmarks/ablations.py ../shared/data/lego_400 --device cuda
    python benchmarks/ablations.py examples/sample --max-size 96 --preset draft --only carve refine

Prints JSON; a small table goes to standard error as it grows. Photos are decoded once. A shape that
an ingredient does not touch is taken from the first run, and its seconds are counted as there.
An ingredient that the setting leaves off already is turned on instead, and its name ends in ``+``.
``again`` changes nothing: how much two runs differ anyway.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from photocast.config import PRESETS, OptimizeConfig, optimize_preset
from photocast.data import Capture, Photo
from photocast.engines.optimize.engine import Optimize
from photocast.ops.occlusion import OPEN
from photocast.ops.shade import LobeStack
from photocast.ops.warm_up import warm_up
from photocast.stages import appearance, lit, refine, transport
from photocast.stages.evaluate import evaluate_views, mean_scores
from photocast.stages.ingest import decode_photos, hold_out_every, read_capture
from photocast.stages.lit_drawing import render_for_scores
from photocast.stages.preview import spread

_MAX_SIZE = {"draft": 512, "standard": 1024, "high": 2048}
_ROUGH = 0  # channels of AppearanceFit.gloss
_METALLIC, _BEND = slice(1, 2), slice(2, 4)

Photos = tuple[Photo, ...]
Settings = Mapping[str, Any]
"""Dotted path of a field of ``OptimizeConfig``: its value, or a function of its present value."""


@dataclass(frozen=True)
class Ingredient:
    """One thing to turn off."""

    what: str
    off: Settings = field(default_factory=dict)
    on: Settings = field(default_factory=dict)
    """Used where the setting is off already."""
    patches: Callable[[], Sequence[Any]] = tuple
    """Replacements while the run and its scores last, for what no setting turns off."""
    photos: Callable[[Photos], Photos] = tuple
    fresh: bool = False
    """Compute the shape anew although nothing of it changes."""


def _double(value: float) -> float:
    return 2 * value


def _half(value: int) -> int:
    return max(16, value // 2)


def _all_full_size(coarse: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * len(coarse)


def _without_depth(photos: Photos) -> Photos:
    return tuple(replace(photo, depth=None, depth_confidence=None) for photo in photos)


def _held(channels: Any, value: float) -> Callable[[], Sequence[Any]]:
    """Hold some channels of the gloss map at a value, whatever the gradient says."""
    hold = appearance.AppearanceFit.hold_maps

    def held(self: appearance.AppearanceFit, cool: float) -> None:
        hold(self, cool)
        self.gloss[..., channels] = value

    return lambda: [patch.object(appearance.AppearanceFit, "hold_maps", held)]


def _no_specular() -> Sequence[Any]:
    """No light along mirror directions, from the environment or from the object."""
    filter_lobes, incident = appearance.filter_lobes, transport.Transport.incident

    def dark(environment: torch.Tensor) -> LobeStack:
        return LobeStack(0 * filter_lobes(environment).texels)

    def without_glow(self: transport.Transport, environment: torch.Tensor) -> Any:
        found = incident(self, environment)
        return replace(found, glow=torch.zeros_like(found.glow))

    users = [patch.object(module, "filter_lobes", dark) for module in (appearance, refine, lit)]
    return [*users, patch.object(transport.Transport, "incident", without_glow)]


def _open_sky() -> Sequence[Any]:
    """Nothing of the object stands before the sky, so nothing is bounced either."""
    first_hits = transport.first_hits

    def none_hit(*operands: Any, **options: Any) -> torch.Tensor:
        hits = first_hits(*operands, **options)
        return hits.clamp(max=OPEN)  # below the surface is less than that, and stays

    return [patch.object(transport, "first_hits", none_hit)]


def _no_bounce() -> Sequence[Any]:
    return [patch.object(transport.Transport, "bounce", lambda *operands: None)]


INGREDIENTS: dict[str, Ingredient] = {
    "again": Ingredient("nothing is turned off", fresh=True),
    "carve": Ingredient("soft density before the distances", off={"volume.carve.steps": 0}),
    "shiny": Ingredient(
        "colour that depends on the view, in the grid",
        off={"volume.shiny": "off", "volume.carve.shiny": False},
        on={"volume.shiny": "on", "volume.carve.shiny": True},
    ),
    "grid-levels": Ingredient(
        "coarse to fine in the grid",
        off={"volume.levels": 1, "volume.steps": lambda steps: (sum(steps),)},
    ),
    "resolution": Ingredient(
        "half of the grid's vertices along each side",
        off={"volume.resolution": _half, "volume.pixels_per_voxel": _double},
    ),
    "poses": Ingredient("camera refinement", off={"poses.mode": "off"}, on={"poses.mode": "auto"}),
    "depth": Ingredient("measured depth", photos=_without_depth),
    "refine": Ingredient("vertices moved by the rasteriser", off={"refine.epochs": 0}),
    "shadows": Ingredient("shadows and bounces", patches=_open_sky),
    "bounces": Ingredient("light from the object to itself", patches=_no_bounce),
    "specular": Ingredient("mirror light", patches=_no_specular),
    "roughness": Ingredient("roughness map; 0.6 everywhere", patches=_held(_ROUGH, 0.6)),
    "metallic": Ingredient("metallic map; 0 everywhere", patches=_held(_METALLIC, 0.0)),
    "normal-map": Ingredient("normal map; flat", patches=_held(_BEND, 0.0)),
    "gloss": Ingredient(
        "these three maps",
        off={"appearance.rate_gloss": 0.0, "refine.rate_gloss": 0.0},
    ),
    "exposure": Ingredient(
        "exposure and white balance per photo",
        off={"appearance.exposure": "off"},
        on={"appearance.exposure": "on"},
    ),
    "map-levels": Ingredient(
        "coarse to fine in the maps", off={"appearance.coarse": _all_full_size}
    ),
    "rim": Ingredient("outlines coloured from further inside", off={"rim": 0}),
    "edges": Ingredient("pixels along outlines", off={"appearance.edge_weight": 0.0}),
}


def with_settings(config: Any, settings: Settings) -> Any:
    """Replace fields of nested dataclasses by their dotted paths.

    Raises:
        KeyError: There is no such field.
    """
    groups: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        first, _, rest = path.partition(".")
        groups.setdefault(first, {})[rest] = value
    names = {f.name for f in fields(config)}
    if unknown := groups.keys() - names:
        raise KeyError(f"{type(config).__name__} has no field {', '.join(sorted(unknown))}")
    return replace(
        config, **{name: _changed(getattr(config, name), groups[name]) for name in groups}
    )


def _changed(old: Any, inner: dict[str, Any]) -> Any:
    if is_dataclass(old):
        return with_settings(old, inner)
    (value,) = inner.values()
    return value(old) if callable(value) else value


def without(config: OptimizeConfig, name: str) -> tuple[str, OptimizeConfig]:
    """The setting with an ingredient turned off, or on if it is off, and what to call that."""
    chosen = INGREDIENTS[name]
    changed = with_settings(config, chosen.off)
    if changed != config or not chosen.on:
        return name, changed
    return f"{name}+", with_settings(config, chosen.on)


@contextmanager
def patched(patches: Sequence[Any]) -> Iterator[None]:
    """All of some replacements, for a while."""
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield


class Clock:
    """Seconds until the shape is there, and after; looks at the stages that report."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.shape_until: float | None = None
        self.shape_made = False

    def __call__(self, stage: str, done: int, total: int, **numbers: float) -> None:
        """A progress callback."""
        self.shape_made |= stage == "volume"
        if stage == "unwrap" and self.shape_until is None:
            self.shape_until = time.perf_counter()


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    capture: Capture
    photos: Photos
    tests: Photos
    config: OptimizeConfig
    folder: Path

    def run(self, name: str | None, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Reconstruct and score with everything, or without one ingredient."""
        chosen = Ingredient("everything") if name is None else INGREDIENTS[name]
        title, config = ("all", self.config) if name is None else without(self.config, name)
        cache = self.folder / title
        if base is not None and not chosen.fresh:
            shutil.copytree(self.folder / "all", cache)
        clock = Clock()
        with patched(chosen.patches()):
            scene = Optimize().run(chosen.photos(self.photos), self.capture, config, cache, clock)
            end = time.perf_counter()
            views = evaluate_views(
                render_for_scores(scene, config.device),
                self.tests,
                device=torch.device(config.device),
            )
        mean = mean_scores(views)
        shape = (clock.shape_until or end) - clock.start
        row = {
            "name": title,
            "what": chosen.what,
            "psnr_white": mean.psnr_white,
            "psnr_inside": mean.psnr_inside,
            "mask_iou": mean.mask_iou,
            "shape_from_first_run": not clock.shape_made,
            "seconds_shape": shape if base is None or clock.shape_made else base["seconds_shape"],
            "seconds_after": end - clock.start - shape,
            "faces": len(scene.mesh.faces),
        }
        row["seconds"] = row["seconds_shape"] + row["seconds_after"]
        return {key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()}


def line(row: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """A row of the table: what is lost without the ingredient."""

    def against(key: str) -> str:
        if row[key] is None or base[key] is None:
            return "      –"
        return f"{row[key]:7.2f}" if row is base else f"{row[key] - base[key]:+7.2f}"

    scores = f"{against('psnr_white')} dB {against('psnr_inside')} dB"
    return f"{row['name']:12} {scores} {against('seconds')} s   {row['what']}"


def bench(options: argparse.Namespace, folder: Path) -> Bench:
    """Read and decode what the command line names."""
    capture = read_capture(options.capture)
    if not capture.test_views:
        capture = hold_out_every(capture, options.holdout)
    if options.views:
        capture = replace(capture, views=tuple(spread(capture.views, options.views)))
    size = options.max_size or _MAX_SIZE[options.preset]
    source = capture.mask_source
    photos = decode_photos(capture.views, mask_source=source, max_size=size)
    tests = decode_photos(capture.test_views, mask_source=source, max_size=size, context=photos)
    config = optimize_preset(options.preset, device=options.device, seed=options.seed)
    exposure = "off" if capture.mask_source == "alpha" else "on"  # what 'auto' means here
    config = with_settings(config, {"appearance.exposure": exposure})
    return Bench(replace(capture, test_views=()), photos, tests, config, folder)


def names_for(photos: Sequence[Photo], wanted: Sequence[str] | None) -> list[str]:
    """The ingredients to turn off; depth only where there is any."""
    if wanted:
        return list(wanted)
    deep = any(photo.depth is not None for photo in photos)
    return [name for name in INGREDIENTS if deep or name != "depth"]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All rows, the first with everything."""
    warm_up(torch.device(options.device))
    with tempfile.TemporaryDirectory(prefix="photocast-ablations-") as folder:
        shared = bench(options, Path(folder))
        base = shared.run(None)
        rows = [base]
        _tell(line(base, base))
        for name in names_for(shared.photos, options.only):
            rows.append(shared.run(name, base))
            _tell(line(rows[-1], base))
    return {
        "capture": options.capture.name,
        "preset": options.preset,
        "max_size": options.max_size,
        "device": options.device,
        "photos": len(shared.photos),
        "held_out": len(shared.tests),
        "rows": rows,
    }


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("capture", type=Path)
    made.add_argument("--preset", choices=PRESETS, default="standard")
    made.add_argument("--max-size", type=int, help="longer side of a photo [px]")
    made.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    made.add_argument("--only", nargs="+", choices=INGREDIENTS, metavar="NAME")
    made.add_argument("--views", type=int, help="use this many of the photos")
    made.add_argument("--holdout", type=int, default=8, help="where there are no test photos")
    made.add_argument("--seed", type=int, default=0)
    return made


def main() -> None:
    """Measure what the command line names."""
    sys.stdout.write(json.dumps(measure(parser().parse_args()), indent=1) + "\n")


if __name__ == "__main__":
    main()
