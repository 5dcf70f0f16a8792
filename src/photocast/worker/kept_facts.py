# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of a photo's metadata."""

import math
import string
import struct
from dataclasses import dataclass
from typing import Any

from PIL import Image

__all__ = ["KeptFacts", "kept_facts"]

_MAKE, _MODEL, _ORIENTATION, _EXIF_FOLDER = 271, 272, 274, 0x8769
_FOCAL, _FOCAL_35 = 37386, 41989
_NAME_LENGTH = 64
_NAME_LETTERS = frozenset(string.ascii_letters + string.digits + " ._,()/+-")
_ODD_EXIF = (
    *(OSError, SyntaxError, ValueError, TypeError, AttributeError),
    *(LookupError, ArithmeticError, struct.error),
)


@dataclass(frozen=True, slots=True)
class KeptFacts:
    """All that a cleaned photo tells besides its pixels; empty where the photo did not say."""

    orientation: int = 1
    make: str = ""
    model: str = ""
    focal_mm: float | None = None
    focal_35mm: int | None = None


def kept_facts(image: Image.Image) -> KeptFacts:
    """Read the facts of an open image; EXIF that cannot be read counts as none."""
    try:
        # Pillow would decode all of a PNG to look for the tag behind the pixels.
        exif = Image.Image.getexif(image) if image.format == "PNG" else image.getexif()
        shot = exif.get_ifd(_EXIF_FOLDER)
        turned = exif.get(_ORIENTATION)
        return KeptFacts(
            turned if isinstance(turned, int) and 1 <= turned <= 8 else 1,
            _name(exif.get(_MAKE)),
            _name(exif.get(_MODEL)),
            _positive(shot.get(_FOCAL), 1e5),
            _whole(_positive(shot.get(_FOCAL_35), 65535)),
        )
    except _ODD_EXIF:
        return KeptFacts()


def _name(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(c for c in text[:_NAME_LENGTH] if c in _NAME_LETTERS).strip()


def _positive(value: Any, most: float) -> float | None:
    number = float(value) if value is not None else math.nan
    return number if 0 < number <= most else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
