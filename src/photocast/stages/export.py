# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a result folder: mesh, light and cameras first, then pictures and report.

Every file is written under a hidden name beside its place and renamed when all are complete: a
crash leaves no half file. Other files in the folder are not touched.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch

from photocast.data import Check, Photo, Report, Scene
from photocast.errors import ConfigError, PhotocastError, UserError
from photocast.formats.cameras_json import cameras_json
from photocast.formats.environment import environment_exr
from photocast.formats.meshes import SAVED_SUFFIXES, mesh_files
from photocast.formats.result_folder import LIGHT_FILE
from photocast.formats.usdz_write import require_usd
from photocast.progress import Progress, silent
from photocast.stages.preview import preview_png
from photocast.stages.render import Drawable, drawable
from photocast.stages.report import report_json, run_json
from photocast.stages.report_page import ReportImage, report_page
from photocast.stages.turntable import turntable_frames, webp
from photocast.stages.validate import check_file_size

__all__ = [
    "LAYERS_FILE",
    "draw_pictures",
    "export",
    "export_mesh",
    "export_report",
    "mesh_formats",
    "place_files",
]

LAYERS_FILE = "faces.pcfl"
"""Marks and numbers of every face, in a result folder; see ``face_layers``."""

_JUDGEMENTS = (
    "report.json",
    "report.html",
    "run.json",
    "preview.png",
    "turntable.webp",
    LAYERS_FILE,
)


def export(
    scene: Scene,
    report: Report,
    out: Path,
    *,
    formats: Sequence[str] = ("glb",),
    photos: Sequence[Photo] = (),
    device: str | torch.device = "cpu",
    progress: Progress = silent,
) -> Report:
    """Write everything a user gets.

    Args:
        scene: The result.
        report: Its checks so far, and the run.
        out: Folder; made if absent.
        formats: Mesh formats besides ``mesh.glb``, which is always written.
        photos: For the preview; held-out ones if there are any.
        device: Where to draw the pictures.
        progress: Called after each picture and file.

    Returns:
        The report with the file sizes added, as written.

    Raises:
        UserError: ``out`` is a file, or a format is unknown.
        PhotocastError: The folder cannot be written.
    """
    sizes = export_mesh(scene, out, formats=formats, progress=progress)
    pictures = draw_pictures(scene, photos, device=device, progress=progress)
    report = replace(report, checks=(*report.checks, *sizes))
    export_report(report, out, pictures, compared=bool(photos))
    return report


def export_mesh(
    scene: Scene, out: Path, *, formats: Sequence[str] = ("glb",), progress: Progress = silent
) -> tuple[Check, ...]:
    """Write mesh and cameras, so that they can be used while they are still being judged.

    The report and pictures of an earlier run are removed: they tell of another mesh.

    Args:
        scene: The result.
        out: Folder; made if absent.
        formats: Mesh formats besides ``mesh.glb``, which is always written.
        progress: Called after each mesh file.

    Returns:
        The files' sizes.

    Raises:
        UserError: ``out`` is a file, or a format is unknown.
        PhotocastError: The folder cannot be written.
    """
    files: dict[str, bytes] = {}
    names = mesh_formats(formats)
    for done, suffix in enumerate(names, 1):
        files |= mesh_files(scene.mesh, suffix, up=scene.up)
        progress("save", done, len(names))
    sizes = tuple(check_file_size(name, len(data)) for name, data in files.items())
    files["cameras.json"] = cameras_json(scene.cameras, scene.up, scene.poses.lens)
    if not scene.mesh.material.unlit:
        files[LIGHT_FILE] = environment_exr(scene.light.environment, up=scene.up)
    place_files(out, files, stale=_JUDGEMENTS)
    return sizes


def draw_pictures(
    scene: Scene,
    photos: Sequence[Photo] = (),
    *,
    device: str | torch.device = "cpu",
    progress: Progress = silent,
    item: Drawable | None = None,
) -> dict[str, bytes]:
    """Draw what a report shows: ``preview.png`` and ``turntable.webp``, by name.

    Args:
        scene: The result.
        photos: For the preview; held-out ones if there are any.
        device: Where to draw.
        progress: Called after each picture.
        item: The mesh, if it is already uploaded.
    """
    item = item or drawable(scene.mesh, device, light=scene.light)
    frames = turntable_frames(scene, device=device, progress=progress, item=item)
    with ThreadPoolExecutor(1, thread_name_prefix="photocast-webp") as pool:
        turntable = pool.submit(webp, frames)  # encoded while the preview is drawn
        preview = preview_png(scene, photos, device=device, item=item)
        return {"preview.png": preview, "turntable.webp": turntable.result()}


def export_report(
    report: Report,
    out: Path,
    pictures: Mapping[str, bytes],
    *,
    compared: bool,
    layers: bytes | None = None,
    more: Sequence[ReportImage] = (),
    issue_images: Mapping[str, ReportImage] | None = None,
) -> None:
    """Write the pictures and ``report.json``, ``run.json`` and ``report.html``.

    Args:
        report: The checks and the run.
        out: Folder; made if absent.
        pictures: As :func:`draw_pictures` makes them.
        compared: Whether the preview compares with photos.
        layers: Contents of ``faces.pcfl``, if there are any.
        more: Further pictures of the page.
        issue_images: Pictures of the page's issues, by the name of their check.

    Raises:
        UserError: ``out`` is a file.
        PhotocastError: The folder cannot be written.
    """
    images = [*_images(pictures, compared=compared), *more]
    page = report_page(report, title=out.resolve().name, images=images, issue_images=issue_images)
    texts = {} if layers is None else {LAYERS_FILE: layers}
    texts |= {
        "report.json": report_json(report),
        "run.json": run_json(report),
        "report.html": page,
    }
    place_files(out, {**pictures, **texts})


def mesh_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Put ``.glb`` first and drop repetitions.

    Raises:
        ConfigError: A format is unknown.
        UserError: A format needs a package that is not installed.
    """
    suffixes = [f".{name.lower().lstrip('.')}" for name in formats]
    if unknown := [suffix for suffix in suffixes if suffix not in SAVED_SUFFIXES]:
        raise ConfigError(
            f"formats has {unknown[0][1:]!r}; there are "
            f"{', '.join(suffix[1:] for suffix in SAVED_SUFFIXES)}."
        )
    if ".usdz" in suffixes:
        require_usd()
    return tuple(dict.fromkeys([".glb", *suffixes]))


def place_files(out: Path, files: Mapping[str, bytes], *, stale: Sequence[str] = ()) -> None:
    """Write files completely, then rename each over its predecessor.

    Args:
        out: Folder; made if absent.
        files: Contents by name.
        stale: Names to remove once all files are complete, as they would no longer be true.

    Raises:
        UserError: ``out`` is a file.
        PhotocastError: The folder cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UserError(
            f"{out} is a file; a folder is needed. Choose another --out.", code="out.file"
        )
    partial = {name: out / f".{name}.partial" for name in files}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            _write_through(partial[name], data)
        for name in stale:
            (out / name).unlink(missing_ok=True)
        for name, path in partial.items():
            os.replace(path, out / name)
    except OSError as error:
        raise PhotocastError(
            f"{out} cannot be written ({error.strerror}). Check free space and permissions.",
            code="out.write",
        ) from error
    finally:
        for path in partial.values():
            if path.is_file():
                path.unlink()


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a rename must not overtake the contents on power loss


def _images(files: Mapping[str, bytes], *, compared: bool) -> list[ReportImage]:
    what = (
        "photo, render, difference and bare geometry for each of several views"
        if compared
        else "the render, its geometry and its normals from around"
    )
    return [
        ReportImage(
            files["preview.png"],
            "image/png",
            alt=f"A sheet of pictures in columns: {what}.",
            caption=f"Preview: {what}.",
        ),
        ReportImage(
            files["turntable.webp"],
            "image/webp",
            alt="Animation of the object turning once around its vertical axis.",
            caption="Turntable: one turn around the world's up direction.",
            kind="turntable",
        ),
    ]
