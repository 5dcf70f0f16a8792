# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast evaluate``: how close a result comes to unseen photos and to the true surface."""

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.cli.device import Device, chosen_device
from photocast.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from photocast.data import Camera, Capture, Mesh, Photo, View
    from photocast.stages.evaluate import Evaluation, Render

__all__ = ["evaluate"]


class Split(str, Enum):
    """Which photos to compare with."""

    test = "test"
    train = "train"


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
    device: Annotated[Device, typer.Option(help="Where to draw.")] = Device.auto,
    seed: Annotated[int, typer.Option(min=0, help="Of the points on the surfaces.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Scores as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Score a result on photos it was not made from, and against the true surface.

    Example: `photocast evaluate result/ --capture rocket/`

    Photos: PSNR and SSIM over white, over black and inside the mask, and how well the outlines
    agree. Surface: distances both ways, as shares of the diagonal of the true mesh's box.
    """
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.formats.meshes import load_mesh
    from photocast.stages.evaluate import evaluate as score
    from photocast.stages.ingest import decode_photos, hold_out_every, read_capture

    mesh = load_mesh(_mesh_file(result))
    found = read_capture(capture)
    found = hold_out_every(found, holdout)
    truth = ground_truth or _own_truth(capture)
    place = chosen_device(device)
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        photos = decode_photos(
            _views(found, split),
            mask_source=found.mask_source,
            progress=progress,
            context=found.views if split is Split.test else (),
        )
        scores = score(
            _with_found_cameras(photos, result, split),
            _renderer(mesh, str(place)),
            meshes=None if truth is None else (mesh, load_mesh(truth)),
            seed=seed,
            device=place,
            progress=progress,
        )
    typer.echo(_as_json(scores) if as_json else _table(scores))


def _mesh_file(result: Path) -> Path:
    if not result.is_dir():
        return result
    names = ("mesh.glb", "mesh.obj", "mesh.ply")  # textured ones first
    for name in names:
        if (result / name).is_file():
            return result / name
    raise UserError(
        f"{result} has none of {', '.join(names)}. Name a result folder, or a mesh file.",
        code="evaluate.no_mesh",
    )


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


def _renderer(mesh: "Mesh", device: str) -> "Render":
    from photocast.stages.render import draw, drawable

    uploaded = drawable(mesh, device)

    def render(camera: "Camera") -> "tuple[NDArray[np.uint8], NDArray[np.uint8]]":
        picture = draw(uploaded, camera, supersample=2)
        return picture.rgb, picture.alpha

    return render


def _as_json(scores: "Evaluation") -> str:
    return json.dumps({"ok": True, **asdict(scores)})


def _table(scores: "Evaluation") -> str:
    mean = scores.mean
    rows = [
        ("PSNR over white", mean.psnr_white, "dB"),
        ("PSNR over black", mean.psnr_black, "dB"),
        ("PSNR inside the mask", mean.psnr_inside, "dB"),
        ("SSIM over white", mean.ssim_white, ""),
        ("SSIM over black", mean.ssim_black, ""),
        ("SSIM inside the mask", mean.ssim_inside, ""),
        ("mask overlap (IoU)", mean.mask_iou, ""),
    ]
    lines = [f"{len(scores.views)} photos, mean scores:"]
    if surface := scores.mesh:
        rows += [
            ("accuracy", 100 * surface.accuracy, "% of the box diagonal"),
            ("completeness", 100 * surface.completeness, "%"),
            ("Chamfer", 100 * surface.chamfer, "%"),
            ("F-score at 0.5 %", surface.f_score_half_percent, ""),
            ("F-score at 1 %", surface.f_score_one_percent, ""),
            ("normals agree", surface.normal_consistency, ""),
        ]
    for label, value, unit in rows:
        if value is not None:
            digits = 2 if unit == "dB" else 4
            lines.append(f"  {label:<22}{value:9.{digits}f} {unit}".rstrip())
    return "\n".join(lines)
