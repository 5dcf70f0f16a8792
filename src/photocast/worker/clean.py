# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos without what they tell of people and places: position, owner, thumbnails, and all else.

    python -m photocast.worker.clean SOURCE TARGET

Pixels are not encoded anew, and the same file gives the same bytes.
"""

import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from photocast.errors import CaptureError, UserError
from photocast.formats.images import open_photo
from photocast.worker.answer import answer
from photocast.worker.kept_facts import KeptFacts, kept_facts
from photocast.worker.strip import StripError, strip_jpeg, strip_png, strip_tiff, strip_webp

__all__ = ["CLEAN_SUFFIXES", "MAX_PHOTO_BYTES", "clean_photo"]

MAX_PHOTO_BYTES = 256 << 20
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
    """Clean one file; print what is kept, or what went wrong."""
    source, target = map(Path, words)
    return answer(lambda: {"kept": asdict(clean_photo(source, target))})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
