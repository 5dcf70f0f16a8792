# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which engine suits a folder of photos, and why."""

from pathlib import Path

from photocast.errors import CaptureError
from photocast.stages.ingest import read_capture

__all__ = ["choose_engine"]

_WITHOUT_CAMERAS = ("capture.no_cameras", "capture.too_few_photos")


def choose_engine(folder: Path) -> tuple[str, str]:
    """Name an engine, with a sentence that says why.

    Raises:
        UnsuitableInput: The folder cannot be used, whatever the engine.
    """
    try:
        capture = read_capture(folder)
    except CaptureError as error:
        if error.code not in _WITHOUT_CAMERAS:
            raise
        return "generate", f"The engine generate was chosen: {error}"
    return "optimize", (
        f"The engine optimize was chosen: {len(capture.views)} photos have cameras "
        f"({capture.layout})."
    )
