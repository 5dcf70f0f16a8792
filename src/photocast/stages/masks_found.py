# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a capture keeps its masks: files, alpha, or a plain background; in that order."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from photocast.data import Capture, View
from photocast.data.capture import MaskSource
from photocast.errors import CaptureError
from photocast.formats.images import read_photo
from photocast.stages.mask import has_plain_background

__all__ = ["MIN_VIEWS", "find_masks", "require_masks"]

MIN_VIEWS = 3
"""Photos below which nothing can be reconstructed."""
_PROBES = 8  # photos decoded to find out


def _probes(views: Sequence[View]) -> Iterator[View]:
    for index in sorted({int(i) for i in np.linspace(0, len(views) - 1, _PROBES)}):
        yield views[index]


def find_masks(
    root: Path, views: tuple[View, ...]
) -> tuple[tuple[View, ...], MaskSource, list[str]]:
    """Find out where the masks are.

    Returns:
        The views, with mask files where there are some and without those that lack one; the source;
        and warnings.
    """
    if not views:
        return views, "none", []
    if not any(view.mask_path for view in views):
        views = _with_mask_folder(root, views)
    with_mask = tuple(view for view in views if view.mask_path)
    if len(with_mask) * 2 > len(views) and len(with_mask) >= MIN_VIEWS:
        lacking = [view.name for view in views if not view.mask_path]
        if not lacking:
            return views, "file", []
        return (
            with_mask,
            "file",
            [f"{len(lacking)} photos have no mask and are left out (such as {lacking[0]})."],
        )
    plain = []
    for view in _probes(views):
        rgb, alpha = read_photo(view.image_path)
        if alpha is not None and alpha.min() < 255:
            return views, "alpha", []
        plain.append(has_plain_background(rgb))
    return views, "background" if np.mean(plain) > 0.7 else "none", []


def require_masks(capture: Capture) -> None:
    """Refuse a capture without masks.

    Raises:
        CaptureError: There is nothing to tell the object from the background.
    """
    if capture.mask_source == "none":
        raise CaptureError(
            f"{capture.root.name} has no masks and its background is not plain, so the object "
            "cannot be told from what is behind it. Save the photos as PNG with transparency, or "
            "put one mask image per photo (white = object) into a folder 'masks'.",
            code="capture.no_masks",
        )


def _with_mask_folder(root: Path, views: tuple[View, ...]) -> tuple[View, ...]:
    for folder in sorted(path for path in root.glob("mask*") if path.is_dir()):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        found = {view.name: _mask_of(view, folder, files) for view in views}
        if not any(found.values()) and len(files) == len(views):
            # NeuS writes image/000012.png and mask/012.png: the same number, other digits.
            numbers = {_number(path.stem): path for path in files}
            found = {view.name: numbers.get(_number(view.image_path.stem)) for view in views}
        if any(found.values()):
            return tuple(replace(view, mask_path=found[view.name]) for view in views)
    return views


def _mask_of(view: View, folder: Path, files: Sequence[Path]) -> Path | None:
    wanted = {view.image_path.stem, view.image_path.name, f"{view.image_path.stem}_mask"}
    matches = [path for path in files if path.stem in wanted]
    if len(matches) > 1:  # the same stem in several folders: the one in the photo's own
        parent = view.image_path.parent.name
        matches = [path for path in matches if path.parent.name == parent] or matches
    return matches[0] if matches else None


def _number(stem: str) -> int | None:
    digits = re.findall(r"\d+", stem)
    return int(digits[-1]) if digits else None
