# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast reconstruct``: photos in, a result folder out."""

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.cli.device import Device

if TYPE_CHECKING:
    from photocast.pipeline import Result

__all__ = ["reconstruct"]


class InitUse(str, Enum):
    """What is done with a mesh to start from."""

    refine = "refine"
    material = "material"


class Preset(str, Enum):
    """How much time to spend."""

    draft = "draft"
    standard = "standard"
    high = "high"


class Poses(str, Enum):
    """Whether cameras are corrected."""

    auto = "auto"
    off = "off"
    on = "on"


class Atlas(str, Enum):
    """Whose charts the UV map has."""

    own = "own"
    xatlas = "xatlas"


def reconstruct(
    capture: Annotated[
        Path,
        typer.Argument(
            metavar="CAPTURE", help="Folder of photos, with cameras and masks if you have them."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the result.", show_default="out/NAME OF CAPTURE"),
    ] = None,
    engine: Annotated[str, typer.Option(help="How to reconstruct.")] = "optimize",
    preset: Annotated[Preset, typer.Option(help="How much time to spend.")] = Preset.standard,
    formats: Annotated[
        str,
        typer.Option(help="Mesh files, with commas between: glb, gltf, obj, ply, stl, 3mf, usdz."),
    ] = "glb",
    holdout: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Keep every Nth photo for testing; 0 uses all.",
            show_default="the capture's own test photos, or none",
        ),
    ] = None,
    max_size: Annotated[
        int | None,
        typer.Option(min=64, help="Longest side of a photo [px].", show_default="by preset"),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(help="Be done after this time, at some cost in quality [s]."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Start from this mesh: a scan, or another result.")
    ] = None,
    init_use: Annotated[
        InitUse, typer.Option(help="Refine that mesh, or keep its geometry.")
    ] = InitUse.refine,
    init_align: Annotated[
        bool, typer.Option("--init-align", help="Turn, scale and move it to fit the masks.")
    ] = False,
    poses: Annotated[
        Poses, typer.Option(help="Correct cameras that are slightly off; auto: where it helps.")
    ] = Poses.auto,
    atlas: Annotated[
        Atlas, typer.Option(help="Whose charts the UV map has; xatlas if it is installed.")
    ] = Atlas.own,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Folder of weights, for the engine generate.",
            show_default="PHOTOCAST_WEIGHTS, or ~/.cache/photocast/weights",
        ),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(help="Photo by which generate places the others.", show_default="the first"),
    ] = "",
    refine: Annotated[
        bool,
        typer.Option("--refine", help="Refine what generate made with the engine optimize."),
    ] = False,
    compensate: Annotated[
        bool,
        typer.Option("--compensate", help="Let placed photos correct what generate makes."),
    ] = False,
    low_memory: Annotated[
        bool,
        typer.Option("--low-memory", help="Keep networks on the device only while they work."),
    ] = False,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same result.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Turn a folder of photos into a textured mesh.

    Example: `photocast reconstruct photos/ --out result/ --preset draft`

    The result folder holds mesh.glb, cameras.json, preview.png, turntable.webp, report.html,
    report.json and run.json. Run it again and finished stages are reused.
    """
    from photocast import pipeline
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.cli.weights import weights_folder
    from photocast.config import InitConfig, ReconstructConfig

    config = ReconstructConfig(
        engine=engine,
        preset=preset.value,
        formats=tuple(part.strip().lower() for part in formats.split(",") if part.strip()),
        holdout_every=holdout,
        max_size=max_size,
        max_seconds=max_seconds,
        init=InitConfig(mesh=str(init or ""), use=init_use.value, align=init_align),
        poses=poses.value,
        atlas=atlas.value,
        weights=str(weights_folder(weights)) if engine in ("generate", "auto") else "",
        reference=reference,
        refine=refine,
        compensate=compensate,
        low_memory=low_memory,
        device=device.value,
        seed=seed,
    )
    target = out if out is not None else Path("out") / capture.resolve().name
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        result = pipeline.reconstruct(capture, target, config, progress)
    typer.echo(_as_json(result) if as_json else _summary(result))


def _as_json(result: "Result") -> str:
    from photocast.stages.report import report_json

    files = sorted(path.name for path in result.out.iterdir() if path.is_file())
    report = json.loads(report_json(result.report))
    return json.dumps({"ok": True, "out": str(result.out), "files": files, "report": report})


def _summary(result: "Result") -> str:
    from photocast.stages.report_page import value_text

    mesh, report = result.scene.mesh, result.report
    judged = [check for check in report.checks if check.passed is not None]
    failed = [check for check in judged if check.passed is False]
    lines = [
        f"{result.out / 'mesh.glb'}: {len(mesh.faces):,} triangles, "
        f"{len(judged) - len(failed)} of {len(judged)} checks passed."
    ]
    lines += [f"  failed: {c.name} is {value_text(c)}, should be {c.limit}" for c in failed]
    lines += [f"  note: {warning}" for warning in report.warnings]
    lines.append(f"Look at {result.out / 'report.html'}")
    return "\n".join(lines)
