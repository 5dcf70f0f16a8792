# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Which engine suits a folder of photos, and why."""

from pathlib import Path

from photocast.data import Capture
from photocast.errors import CaptureError
from photocast.stages.ingest import read_capture

__all__ = ["choose_engine", "posed_capture"]

_WITHOUT_CAMERAS = ("capture.no_cameras", "capture.too_few_photos")


def posed_capture(folder: Path) -> Capture | CaptureError:
    """Read a capture, or say why only an engine without cameras suits it.

    Raises:
        UnsuitableInput: The folder cannot be used, whatever the engine.
    """
    try:
        return read_capture(folder)
    except CaptureError as error:
        if error.code not in _WITHOUT_CAMERAS:
            raise
        return error


def choose_engine(folder: Path) -> tuple[str, str]:
    """Name an engine, with a sentence that says why.

    Raises:
        UnsuitableInput: The folder cannot be used, whatever the engine.
    """
    capture = posed_capture(folder)
    if isinstance(capture, CaptureError):
        return "generate", f"The engine generate was chosen: {capture}"
    return "optimize", (
        f"The engine optimize was chosen: {len(capture.views)} photos have cameras "
        f"({capture.layout})."
    )
