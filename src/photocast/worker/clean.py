# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos without what they tell of people and places: position, owner, thumbnails, and all else.

    python -m photocast.worker.clean SOURCE TARGET

Of a folder, every photo and mask is cleaned and every other file comes along as it is.
Pixels are not encoded anew, and the same file gives the same bytes.
"""

import shutil
import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from photocast.children import answer
from photocast.errors import CaptureError, UserError
from photocast.formats.images import open_photo
from photocast.worker.kept_facts import KeptFacts, kept_facts
from photocast.worker.strip import StripError, strip_jpeg, strip_png, strip_tiff, strip_webp

__all__ = ["CLEAN_SUFFIXES", "MAX_PHOTO_BYTES", "clean_folder", "clean_photo"]

MAX_PHOTO_BYTES = 256 << 20
_CLEANED = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".mpo"}
CLEAN_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif"}
"""Formats that are taken, as Pillow names them, and the ending that a file of each should have."""


def clean_photo(source: Path, target: Path) -> KeptFacts:
    """Copy a photo without its metadata.

    Args:
        source: JPEG, PNG, WebP or TIFF, whatever its name says.
        target: Is written; its ending stays the caller's choice.

    Returns:
        What is kept beside the pixels.

    Raises:
        CaptureError: Of no such format, damaged, or too large.
        UserError: The target cannot be written.
    """
    size = source.stat().st_size if source.is_file() else 0
    if size > MAX_PHOTO_BYTES:
        raise CaptureError(
            f"{source.name} has {size:,} bytes; at most {MAX_PHOTO_BYTES:,} are read. Save it with "
            "compression.",
            code="capture.image_too_large",
        )
    with open_photo(source) as image:
        facts = kept_facts(image)
        cleaned = _stripped(source, image, facts)
    try:
        target.write_bytes(cleaned)
    except OSError as error:
        raise UserError(
            f"{target.name} cannot be written ({error.strerror}).", code="output.unwritable"
        ) from error
    return facts


def clean_folder(source: Path, target: Path) -> int:
    """Copy a capture without the metadata of its photos; how many were cleaned.

    Args:
        source: Files and folders.
        target: Is made.

    Raises:
        CaptureError: A photo is no photo; it is named by its path in the capture.
        UserError: The target cannot be written.
    """
    count = 0
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        name = path.relative_to(source)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() not in _CLEANED:
            shutil.copyfile(path, target / name)
            continue
        try:
            clean_photo(path, target / name)
        except CaptureError as error:
            text = str(error).removeprefix(path.name)
            raise CaptureError(f"{name.as_posix()}{text}", code=error.code) from error
        count += 1
    return count


def _stripped(source: Path, image: Image.Image, facts: KeptFacts) -> bytes:
    data, kind = source.read_bytes(), image.format
    try:
        if kind in ("JPEG", "MPO"):
            return strip_jpeg(data, facts)
        if kind == "PNG":
            return strip_png(data, facts)
        if kind == "WEBP":
            return strip_webp(data, facts, size=image.size, alpha=image.mode == "RGBA")
        if kind == "TIFF":
            return strip_tiff(data, facts)
    except (StripError, struct.error, ValueError, LookupError) as error:
        raise CaptureError(
            f"{source.name} does not keep to its format ({error}). Open it in a photo editor and "
            "save it again.",
            code="capture.image_unreadable",
        ) from error
    raise CaptureError(
        f"{source.name} is a {kind} file. Save it as JPEG, PNG, WebP or TIFF.",
        code="capture.image_format",
    )


def main(words: Sequence[str]) -> int:
    """Clean a file or a folder; print what is kept, or what went wrong."""
    source, target = map(Path, words)
    if source.is_dir():
        return answer(lambda: {"cleaned": clean_folder(source, target)})
    return answer(lambda: {"kept": asdict(clean_photo(source, target))})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
