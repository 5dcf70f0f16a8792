# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a capture keeps its depth maps, if the camera file names none."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from photocast.data import View
from photocast.formats.depth_maps import DEPTH_SUFFIXES, is_depth

__all__ = ["find_depth"]

_DEPTH = ("depth", "depths")
_CONFIDENCE = ("confidence", "depth_confidence")


def find_depth(root: Path, views: Sequence[View]) -> tuple[View, ...]:
    """Add the files of the folders ``depth`` and ``confidence``, by the photos' stems.

    What a camera file names itself is kept. A photo without a depth map is used all the same, and
    so is one whose file there is only a picture of depth.
    """
    depth, sure = _folder(root, _DEPTH), _folder(root, _CONFIDENCE)
    named = any(view.depth_path for view in views)
    found = []
    for view in views:
        path = view.depth_path
        if not named and (other := _of(view, depth)) and is_depth(other):
            path = other
        confidence = view.confidence_path or (_of(view, sure) if path else None)
        found.append(replace(view, depth_path=path, confidence_path=confidence))
    return tuple(found)


def _folder(root: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """Files by stem, in the order of preference of their formats."""
    found: dict[str, list[Path]] = {}
    for name in names:
        for path in sorted((root / name).rglob("*")) if (root / name).is_dir() else []:
            if path.suffix.lower() in DEPTH_SUFFIXES and path.is_file():
                found.setdefault(path.stem, []).append(path)
    for paths in found.values():
        paths.sort(key=lambda path: DEPTH_SUFFIXES.index(path.suffix.lower()))
    return found


def _of(view: View, folder: dict[str, list[Path]]) -> Path | None:
    stem, parent = view.image_path.stem, view.image_path.parent.name
    for name in (stem, view.image_path.name, f"{stem}_depth", f"{stem}_confidence"):
        paths = folder.get(name, [])
        same = [path for path in paths if path.parent.name == parent]
        if paths:  # the same stem in several folders: the one in the photo's own
            return (same or paths)[0]
    return None
