# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the user photographed: files and cameras, nothing decoded until asked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from photocast.data.camera import Camera

__all__ = ["Capture", "MaskSource", "Photo", "Picture", "View"]

MaskSource = Literal["alpha", "file", "background", "none"]


@dataclass(frozen=True, slots=True)
class View:
    """One photo: where its files lie and where it was taken from."""

    name: str
    """Unique within the capture; the file's stem, with folders where stems repeat."""
    image_path: Path
    camera: Camera | None
    """``None`` until posed."""
    mask_path: Path | None = None
    """Mask file of the same view, where the capture has one."""
    depth_path: Path | None = None
    depth_scale: float | None = None
    """World units per stored depth unit; ``None``: 0.001 for integers, 1 for floating point."""
    confidence_path: Path | None = None
    """How sure the sensor is of its depth, where the capture says so."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A folder of photos, understood but not decoded."""

    root: Path
    layout: str
    """Which camera file was read, such as ``blender``, ``llff``, ``colmap-text``."""
    views: tuple[View, ...]
    """For reconstruction; in name order."""
    test_views: tuple[View, ...] = ()
    """Held out for evaluation; no engine may read them."""
    mask_source: MaskSource = "none"
    up: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 1.0, 0.0]))
    """The world's up direction, unit length."""
    unit: Literal["metre", "arbitrary"] = "arbitrary"
    box: NDArray[np.float64] | None = None
    """Object bounds (2, 3) in the world, where the capture names or implies them."""
    warnings: tuple[str, ...] = ()
    """Suspicious things that do not stop a reconstruction, a sentence each."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded photo of which nobody knows where it was taken from."""

    name: str
    rgb: NDArray[np.uint8]
    """sRGB, (h, w, 3), as stored."""
    mask: NDArray[np.uint8]
    """Coverage 0..255, (h, w)."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded, undistorted photo with its exact camera."""

    name: str
    camera: Camera
    """Without distortion, for exactly this size."""
    rgb: NDArray[np.uint8]
    """sRGB, (h, w, 3), straight (not multiplied by alpha)."""
    mask: NDArray[np.uint8] | None
    """Coverage 0..255, (h, w); ``None`` if the capture has no masks."""
    depth: NDArray[np.float32] | None = None
    """Distance along the viewing axis in world units, 0 where unknown; (h, w) of any size, over the
    photo's whole field: its camera is ``camera.resized(w, h)``."""
    depth_confidence: NDArray[np.uint8] | None = None
    """Trust in ``depth``, 0..255, of the same size; ``None`` trusts all alike."""
