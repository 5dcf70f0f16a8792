# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Tell before any heavy work whether a capture can be reconstructed, and what will be wrong.

    python -m photocast.worker.preflight FOLDER --options '{"preset": "draft"}'

The folder has photos in ``images``, and where there are any, masks in ``masks``, depth maps in
``depth``, their confidence in ``confidence``, and camera files beside these folders.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from photocast.children import answer
from photocast.config import ReconstructConfig
from photocast.data import Capture
from photocast.engines.base import WITHOUT_CAMERAS, engine_names
from photocast.engines.choose import posed_capture
from photocast.errors import CaptureError, ConfigError, UnsuitableInput
from photocast.formats.camera_file import list_photos, pick_photo_folder
from photocast.stages.ingest import read_capture
from photocast.stages.mask import check_masks
from photocast.stages.masks_found import MIN_VIEWS, require_masks
from photocast.stages.pictures import find_pictures
from photocast.worker.estimate import estimates
from photocast.worker.photo_look import HOPELESS_SHARPNESS, PhotoLook, compared, look_at

__all__ = ["MAX_PHOTOS", "preflight"]

MAX_PHOTOS = 2000
_FOLDERS = ("images", "image", "rgb", "photos", "train", ".")
_NAMED = 8
_OPTIONS = {field.name for field in fields(ReconstructConfig)} - {"init", "weights"}


def preflight(folder: Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Look at a capture folder.

    Args:
        folder: See above.
        options: Fields of ``ReconstructConfig``: engine, preset, max_size, device and so on.

    Returns:
        A document for JSON; docs/uploads.md describes it.

    Raises:
        ConfigError: An option is unknown or outside its limits.
        CaptureError: There are no photos, or too many to look at.
    """
    config = _config(options or {})
    listed = _photo_paths(folder)
    capture, engine, refusals = _captured(folder, config.engine)
    views = {view.image_path: view for view in _views(capture)}
    paths = list(views) or listed
    source = capture.mask_source if capture else "none"
    looks = compared(
        [
            look_at(path.relative_to(folder).as_posix(), path, views.get(path), source)
            for path in paths
        ]
    )
    errors = [
        *_grouped(looks, stops=True),
        *_hopeless(looks, engine["name"]),
        *_mask_refusal(looks),
    ]
    told = {error["code"] for error in errors}
    errors += [_entry(str(error), code=error.code) for error in refusals if error.code not in told]
    used = _used(looks, capture)
    return {
        "usable": not errors,
        "photos": [_photo(look) for look in looks],
        "totals": _totals(looks),
        "capture": None if capture is None else _facts(capture),
        "engine": engine,
        "errors": errors,
        "warnings": [
            *_grouped(looks, stops=False),
            *_unused(folder, listed, capture),
            *_capture_warnings(capture),
        ],
        "estimates": [asdict(found) for found in _estimates(used, config, engine["name"])],
    }


def _config(options: Mapping[str, Any]) -> ReconstructConfig:
    if unknown := sorted(set(options) - _OPTIONS):
        raise ConfigError(
            f"The options {', '.join(map(ascii, unknown[:_NAMED]))} are unknown here. Known are "
            f"{', '.join(sorted(_OPTIONS))}."
        )
    try:
        config = ReconstructConfig(**{"engine": "auto", **options})
    except TypeError as error:
        raise ConfigError(f"An option is of the wrong kind ({error}).") from error
    known = ("auto", *engine_names(), *WITHOUT_CAMERAS)
    if config.engine not in known:
        raise ConfigError(
            f"engine = {config.engine!r}: must be one of {', '.join(known)}.",
            code="engine.unknown",
        )
    return config


def _photo_paths(folder: Path) -> list[Path]:
    found = pick_photo_folder(folder, _FOLDERS) if folder.is_dir() else None
    paths = list_photos(found) if found else []
    if not paths:
        raise CaptureError(
            f"{folder.name} has no photos (PNG, JPEG, WebP or TIFF). Send some.",
            code="capture.no_photos",
        )
    if len(paths) > MAX_PHOTOS:
        raise CaptureError(
            f"There are {len(paths):,} photos; at most {MAX_PHOTOS:,} are looked at. Send fewer: "
            "a hundred from all sides say as much.",
            code="capture.too_many_photos",
        )
    return paths


def _captured(
    folder: Path, engine: str
) -> tuple[Capture | None, dict[str, str], list[UnsuitableInput]]:
    """What the folder is as a capture, the engine for it and why, and what stands against it."""
    name, reason = engine, "It was asked for."
    capture = None
    try:
        if engine == "auto":
            found = posed_capture(folder)
            without = isinstance(found, CaptureError)
            name = WITHOUT_CAMERAS[0] if without else "optimize"
            reason = str(found) if without else "Photos have cameras."
            capture = find_pictures(folder) if isinstance(found, CaptureError) else found
        else:
            capture = (find_pictures if engine in WITHOUT_CAMERAS else read_capture)(folder)
        require_masks(capture)
    except UnsuitableInput as error:
        return capture, {"name": name, "reason": reason}, [error]
    return capture, {"name": name, "reason": reason}, []


def _views(capture: Capture | None) -> Sequence[Any]:
    return () if capture is None else (*capture.views, *capture.test_views)


def _grouped(looks: Sequence[PhotoLook], *, stops: bool) -> list[dict[str, Any]]:
    """One entry per kind of problem, with the photos that have it."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for look in looks:
        for problem in look.problems:
            if problem.stops is stops:
                kinds.setdefault(problem.code, []).append((look.name, problem.message))
    return [
        _entry(_gist([message for _, message in found]), [name for name, _ in found], code=code)
        for code, found in kinds.items()
    ]


def _gist(messages: Sequence[str]) -> str:
    more = len(messages) - 1
    return messages[0] if not more else f"{messages[0]} So it is with {more} more."


def _entry(message: str, photos: Sequence[str] = (), *, code: str) -> dict[str, Any]:
    return {"code": code, "message": message, "photos": list(dict.fromkeys(photos))}


def _hopeless(looks: Sequence[PhotoLook], engine: str) -> list[dict[str, Any]]:
    """Too few photos are left without those that are unreadable, blurred, or shown already."""
    needed = 1 if engine in WITHOUT_CAMERAS else MIN_VIEWS
    bad = {
        "unreadable": [look.name for look in looks if not look.ok],
        "the same as others": [look.name for look in looks if look.duplicate_of],
        "blurred all over": [
            look.name
            for look in looks
            if look.sharpness is not None and look.sharpness < HOPELESS_SHARPNESS
        ],
    }
    useless = {name for names in bad.values() for name in names}
    left = len(looks) - len(useless)
    if left >= needed:
        return []
    why = "; ".join(
        f"{len(names)} are {kind} ({', '.join(names[:_NAMED])})"
        for kind, names in bad.items()
        if names
    )
    error = CaptureError(
        f"{left} of {len(looks)} photos are of use, and at least {needed} are needed"
        f"{': ' + why if why else ''}. Send others; thirty or more from all sides are better.",
        code="capture.too_few_photos",
    )
    return [_entry(str(error), sorted(useless), code=error.code)]


def _mask_refusal(looks: Sequence[PhotoLook]) -> list[dict[str, Any]]:
    known = [(look.name, look.coverage) for look in looks if look.coverage is not None]
    if not known:
        return []
    try:
        check_masks([name for name, _ in known], np.array([share for _, share in known]))
    except CaptureError as error:
        return [_entry(str(error), code=error.code)]
    return []


def _used(looks: Sequence[PhotoLook], capture: Capture | None) -> list[PhotoLook]:
    if capture is None:
        return [look for look in looks if look.ok]
    names = {view.image_path.relative_to(capture.root).as_posix() for view in capture.views}
    return [look for look in looks if look.ok and look.name in names]


def _estimates(used: Sequence[PhotoLook], config: ReconstructConfig, engine: str) -> Sequence[Any]:
    if engine in WITHOUT_CAMERAS:
        return ()  # its published weights were not timed
    sizes = [(look.width, look.height, look.coverage) for look in used]
    return estimates([(w, h, share) for w, h, share in sizes if w and h], config)


def _photo(look: PhotoLook) -> dict[str, Any]:
    return {
        "name": look.name,
        "ok": look.ok,
        "bytes": look.file_bytes,
        "width": look.width,
        "height": look.height,
        "megapixels": round(look.pixels / 1e6, 2) if look.pixels else None,
        "orientation": look.orientation,
        "sharpness": _rounded(look.sharpness),
        "dark": _rounded(look.dark),
        "bright": _rounded(look.bright),
        "coverage": _rounded(look.coverage),
        "depth_known": _rounded(look.depth_known),
        "duplicate_of": look.duplicate_of,
        "problems": [asdict(problem) for problem in look.problems],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _totals(looks: Sequence[PhotoLook]) -> dict[str, Any]:
    def having(code: str) -> int:
        return sum(any(p.code == code for p in look.problems) for look in looks)

    return {
        "photos": len(looks),
        "ok": sum(look.ok for look in looks),
        "duplicates": sum(look.duplicate_of is not None for look in looks),
        "blurred": having("photo.blurred"),
        "megapixels": round(sum(look.pixels for look in looks) / 1e6, 2),
        "bytes": sum(look.file_bytes for look in looks),
    }


def _facts(capture: Capture) -> dict[str, Any]:
    views = capture.views
    return {
        "layout": capture.layout,
        "photos": len(views),
        "test_photos": len(capture.test_views),
        "cameras": sum(view.camera is not None for view in views),
        "mask_source": capture.mask_source,
        "masks": sum(view.mask_path is not None for view in views),
        "depth": sum(view.depth_path is not None for view in views),
        "confidence": sum(view.confidence_path is not None for view in views),
        "unit": capture.unit,
    }


def _unused(folder: Path, listed: Sequence[Path], capture: Capture | None) -> list[dict[str, Any]]:
    """Photos that no run would look at, because they have no camera or no mask."""
    if capture is None:
        return []
    known = {
        path
        for view in _views(capture)
        for path in (view.image_path, view.mask_path, view.depth_path, view.confidence_path)
    }
    names = [path.relative_to(folder).as_posix() for path in listed if path not in known]
    if not names:
        return []
    return [
        _entry(
            f"{len(names)} photos have no camera or no mask and are not used, such as {names[0]}.",
            names,
            code="photo.unused",
        )
    ]


def _capture_warnings(capture: Capture | None) -> list[dict[str, Any]]:
    return [_entry(text, code="capture.note") for text in (capture.warnings if capture else ())]


def main(words: Sequence[str]) -> int:
    """Look at one folder; print what was found, or why there is nothing to look at."""
    parser = argparse.ArgumentParser(prog="photocast.worker.preflight")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--options", default="{}")
    given = parser.parse_args(words)
    return answer(lambda: preflight(given.folder, _options(given.options)))


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The options are no JSON ({error}).") from error
    if not isinstance(options, dict):
        raise ConfigError("The options must be a JSON object.")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
