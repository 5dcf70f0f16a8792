# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast evaluate``: how close a result comes to unseen photos and to the true surface."""

import json
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.cli.device import Device, chosen_device
from photocast.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from photocast.data import Camera, Capture, Photo, Scene, View
    from photocast.progress import Progress
    from photocast.stages.evaluate import Evaluation
    from photocast.stages.material_scores import AlbedoScores, RelitScores

__all__ = ["evaluate"]


class Split(str, Enum):
    """Which photos to compare with."""

    test = "test"
    train = "train"


class LightConvention(str, Enum):
    """How the rows and columns of a light file look at the world."""

    photocast = "photocast"
    viewer = "viewer"
    mitsuba = "mitsuba"


@dataclass(frozen=True)
class _OtherLight:
    """Photos that show the object under another light, and that light."""

    photos: Path
    light: Path
    convention: LightConvention


@dataclass(frozen=True)
class _Scores:
    """All that was measured."""

    result: "Evaluation"
    albedo: "AlbedoScores | None"
    relit: "RelitScores | None"


def evaluate(
    result: Annotated[
        Path, typer.Argument(metavar="OUT_OR_MESH", help="A result folder, or a mesh file.")
    ],
    capture: Annotated[Path, typer.Option(help="The capture, with its held-out photos.")],
    split: Annotated[Split, typer.Option(help="Which photos to compare with.")] = Split.test,
    holdout: Annotated[
        int,
        typer.Option(min=0, help="As given to reconstruct, if the capture has no test photos."),
    ] = 0,
    ground_truth: Annotated[
        Path | None,
        typer.Option(
            help="The true mesh, in the capture's frame.",
            show_default="ground_truth.ply of the capture, if it is there",
        ),
    ] = None,
    albedo: Annotated[
        Path | None,
        typer.Option(help="A mesh with the true base colour, to compare.", show_default=False),
    ] = None,
    relit: Annotated[
        Path | None,
        typer.Option(help="Camera file of photos under another light.", show_default=False),
    ] = None,
    light: Annotated[
        Path | None,
        typer.Option(help="That light, .exr or .hdr: a latitude-longitude map."),
    ] = None,
    light_convention: Annotated[
        LightConvention, typer.Option(help="How the map looks at the world.")
    ] = LightConvention.photocast,
    device: Annotated[Device, typer.Option(help="Where to draw.")] = Device.auto,
    seed: Annotated[int, typer.Option(min=0, help="Of the points on the surfaces.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Scores as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Score a result on photos it was not made from, and against the true surface.

    Example: `photocast evaluate result/ --capture rocket/`

    Photos: PSNR and SSIM over white, over black and inside the mask, and how well the outlines
    agree. Surface: distances both ways, as shares of the diagonal of the true mesh's box.

    Material: base colour against the truth, and pictures under another light against photos.
    """
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.formats.meshes import load_mesh
    from photocast.formats.result_folder import load_result
    from photocast.stages.evaluate import evaluate as score
    from photocast.stages.ingest import decode_photos, hold_out_every, read_capture
    from photocast.stages.lit_drawing import render_for_scores

    _check_relit(relit, light)
    scene = load_result(result)
    found = read_capture(capture)
    found = hold_out_every(found, holdout)
    truth = ground_truth or _own_truth(capture)
    place = chosen_device(device)
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        source = found.mask_source
        voters: tuple[Photo, ...] = ()
        if split is Split.test and source == "background":
            voters = decode_photos(found.views, mask_source=source, progress=progress)
        photos = decode_photos(
            _views(found, split), mask_source=source, progress=progress, context=voters
        )
        scores = score(
            _with_found_cameras(photos, result, split),
            render_for_scores(scene, place),
            meshes=None if truth is None else (scene.mesh, load_mesh(truth)),
            seed=seed,
            device=place,
            progress=progress,
        )
        cameras = [photo.camera for photo in photos]
        color = (
            None if albedo is None else _albedo_scores(scene, albedo, cameras, str(place), progress)
        )
        anew = None
        if relit is not None and light is not None:
            other = _OtherLight(relit, light, light_convention)
            anew = _relit_scores(scene, other, color, str(place), progress)
    every = _Scores(scores, color, anew)
    typer.echo(_as_json(every) if as_json else _table(every))


def _with_found_cameras(
    photos: "Sequence[Photo]", result: Path, split: Split
) -> "tuple[Photo, ...]":
    """Photos as the result sees them: its correction of the lens, and the poses of its own photos.

    Poses of test photos stay as the capture gives them.
    """
    from dataclasses import replace

    from photocast.formats.cameras_json import load_cameras

    path = (result if result.is_dir() else result.parent) / "cameras.json"
    if not path.is_file():
        return tuple(photos)
    beside = load_cameras(path)

    def camera(photo: "Photo") -> "Camera":
        found = beside.cameras.get(photo.name) if split is Split.train else None
        if found is None:
            return beside.lens.apply(photo.camera)
        return found.resized(photo.camera.width, photo.camera.height)

    return tuple(replace(photo, camera=camera(photo)) for photo in photos)


def _own_truth(capture: Path) -> Path | None:
    path = capture / "ground_truth.ply"
    return path if path.is_file() else None


def _views(capture: "Capture", split: Split) -> "tuple[View, ...]":
    views = capture.test_views if split is Split.test else capture.views
    if not views:
        raise UserError(
            f"{capture.root} has no photos set aside for testing. Say --holdout N as you did for "
            "reconstruct, or compare with the photos used: --split train.",
            code="evaluate.no_test_photos",
        )
    return views


def _check_relit(relit: Path | None, light: Path | None) -> None:
    if (relit is None) != (light is None):
        raise UserError(
            "--relit names photos under another light and --light is that light; "
            f"--{'relit' if relit is None else 'light'} is missing.",
            code="evaluate.relit",
        )


def _relit_scores(
    scene: "Scene",
    other: _OtherLight,
    albedo: "AlbedoScores | None",
    device: str,
    progress: "Progress",
) -> "RelitScores":
    from photocast.data import Light
    from photocast.formats.environment import read_environment
    from photocast.stages.lit_drawing import render_for_scores
    from photocast.stages.material_scores import (
        read_relit_photos,
        score_relit,
        with_scaled_base_color,
    )

    environment = read_environment(
        other.light,
        convention=other.convention.value,
        up=scene.up if other.convention is LightConvention.viewer else None,
    )
    relit = replace(scene, light=Light(environment))
    scaled = None
    if albedo is not None:
        mesh = with_scaled_base_color(scene.mesh, albedo.albedo_scale)
        scaled = render_for_scores(replace(relit, mesh=mesh), device)
    photos = read_relit_photos(other.photos, progress=progress)
    return score_relit(photos, render_for_scores(relit, device), scaled, progress=progress)


def _albedo_scores(
    scene: "Scene", truth: Path, cameras: "Sequence[Camera]", device: str, progress: "Progress"
) -> "AlbedoScores":
    from photocast.data import Scene
    from photocast.formats.meshes import load_mesh
    from photocast.stages.lit_drawing import render_for_scores
    from photocast.stages.material_scores import score_albedo

    true = Scene(mesh=load_mesh(truth), cameras={})
    return score_albedo(
        render_for_scores(scene, device, style="base_color"),
        render_for_scores(true, device, style="base_color"),
        cameras,
        progress=progress,
    )


def _as_json(scores: _Scores) -> str:
    parts = {
        name: part and asdict(part)
        for name, part in (("albedo", scores.albedo), ("relit", scores.relit))
    }
    return json.dumps({"ok": True, **asdict(scores.result), **parts})


def _table(scores: _Scores) -> str:
    mean = scores.result.mean
    rows = [
        ("PSNR over white", mean.psnr_white, "dB"),
        ("PSNR over black", mean.psnr_black, "dB"),
        ("PSNR inside the mask", mean.psnr_inside, "dB"),
        ("SSIM over white", mean.ssim_white, ""),
        ("SSIM over black", mean.ssim_black, ""),
        ("SSIM inside the mask", mean.ssim_inside, ""),
        ("mask overlap (IoU)", mean.mask_iou, ""),
    ]
    lines = [f"{len(scores.result.views)} photos, mean scores:"]
    if surface := scores.result.mesh:
        rows += [
            ("accuracy", 100 * surface.accuracy, "% of the box diagonal"),
            ("completeness", 100 * surface.completeness, "%"),
            ("Chamfer", 100 * surface.chamfer, "%"),
            ("F-score at 0.5 %", surface.f_score_half_percent, ""),
            ("F-score at 1 %", surface.f_score_one_percent, ""),
            ("normals agree", surface.normal_consistency, ""),
        ]
    if relit := scores.relit:
        rows += [
            ("relit, over white", relit.relit_psnr_white, "dB"),
            ("relit, inside the mask", relit.relit_psnr_inside, "dB"),
            ("relit, colour scaled", relit.relit_psnr_white_scaled, "dB over white"),
        ]
    if albedo := scores.albedo:
        rows += [
            ("base colour", albedo.albedo_psnr, "dB"),
            ("base colour, linear", albedo.albedo_psnr_linear, "dB"),
        ]
    for label, value, unit in rows:
        if value is not None:
            digits = 2 if unit.startswith("dB") else 4
            lines.append(f"  {label:<22}{value:9.{digits}f} {unit}".rstrip())
    return "\n".join(lines)
