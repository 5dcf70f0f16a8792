# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a capture holds and what is suspicious about it, before any heavy work."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Capture, Check, Photo, Report
from photocast.errors import CameraError
from photocast.geometry.frames import look_at_point
from photocast.progress import Progress, silent
from photocast.stages.consistency import check_agreement, object_box
from photocast.stages.ingest import decode_photos

__all__ = ["Inspection", "inspect_capture"]

_SIZE = 512  # photos are decoded to this size [px]
_FEW_VIEWS = 12
_LITTLE = 0.01  # an object that covers less of the photos than this is too small in them


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """A capture, its facts, and what is needed to draw it."""

    capture: Capture
    report: Report
    photos: tuple[Photo, ...]
    """All training photos, reduced."""
    box: NDArray[np.float64] | None
    """Object bounds (2, 3): from the masks, else what the capture implies."""


def inspect_capture(capture: Capture, *, progress: Progress = silent) -> Inspection:
    """Decode a capture at a reduced size and measure it.

    Raises:
        UnsuitableInput: Files that cannot be decoded.
    """
    photos = decode_photos(
        capture.views, mask_source=capture.mask_source, max_size=_SIZE, progress=progress
    )
    checks = [*_photo_checks(capture), *_camera_checks(capture), *_depth_checks(photos)]
    warnings = list(capture.warnings)
    box = capture.box
    if capture.mask_source != "none":
        found, mask_warnings, mask_box = _mask_checks(photos)
        checks += found
        warnings += mask_warnings
        box = mask_box if mask_box is not None else box
    if box is not None:
        size = " x ".join(f"{side:.4g}" for side in box[1] - box[0])
        middle = _place(box.mean(axis=0), float((box[1] - box[0]).max()))
        checks.append(Check("object.box", size, capture.unit, note=f"around ({middle})"))
    return Inspection(capture, Report(tuple(checks), tuple(warnings)), photos, box)


def _photo_checks(capture: Capture) -> list[Check]:
    sizes = sorted({f"{c.width}x{c.height}" for c in _cameras(capture)})
    count = len(capture.views)
    return [
        Check("capture.layout", capture.layout),
        Check("capture.views", count, limit=f">= {_FEW_VIEWS}", passed=count >= _FEW_VIEWS),
        Check("capture.test_views", len(capture.test_views)),
        Check("photos.size", ", ".join(sizes[:3]) + (", ..." if len(sizes) > 3 else ""), "px"),
    ]


def _cameras(capture: Capture) -> list[Camera]:
    return [view.camera for view in capture.views if view.camera is not None]


def _camera_checks(capture: Capture) -> list[Check]:
    cameras = _cameras(capture)
    centers = np.stack([camera.center for camera in cameras])
    focals = np.array([camera.fx for camera in cameras])
    fovs = np.degrees([2 * np.arctan(c.width / 2 / c.fx) for c in cameras])
    lenses = sorted({c.distortion.model if c.distortion else "pinhole" for c in cameras})
    point = look_at_point(centers, np.stack([camera.forward for camera in cameras]))
    checks = [
        Check("cameras.lens", ", ".join(lenses)),
        Check("cameras.focal", _range(focals), "px"),
        Check("cameras.field_of_view", _range(fovs), "deg", note="horizontal"),
        Check("cameras.up", ", ".join(f"{x:.3g}" for x in capture.up)),
    ]
    if point is None:
        note = "the viewing axes do not meet: this is no capture around an object"
        return [*checks, Check("cameras.distance", None, passed=False, note=note)]
    away = centers - point
    distances = np.linalg.norm(away, axis=1)
    directions = away / np.maximum(distances, 1e-12)[:, None]
    heights = np.degrees(np.arcsin(np.clip(directions @ capture.up, -1, 1)))
    middle = _place(point, float(distances.max()))
    gap = _widest_gap(directions, capture.up)
    return [
        *checks,
        Check("cameras.distance", _range(distances), capture.unit, note=f"to ({middle})"),
        Check("cameras.elevation", _range(heights), "deg"),
        Check("cameras.widest_gap", round(gap, 1), "deg", "<= 120", gap <= 120, "seen from above"),
    ]


def _widest_gap(directions: NDArray[np.float64], up: NDArray[np.float64]) -> float:
    # The widest angle around the up axis without a camera.
    first = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    first /= np.linalg.norm(first)
    angles = np.sort(np.degrees(np.arctan2(directions @ np.cross(up, first), directions @ first)))
    return float(np.diff(np.append(angles, angles[0] + 360)).max())


def _place(point: NDArray[np.float64], extent: float) -> str:
    # To a ten-thousandth of the extent, so rounding noise shows as 0.
    digits = max(0, 4 - int(np.floor(np.log10(max(extent, 1e-12)))))
    return ", ".join(f"{x + 0.0:.4g}" for x in np.round(point, digits) + 0.0)


def _range(values: NDArray[np.float64]) -> str:
    low, high = float(values.min()), float(values.max())
    same = high - low <= 1e-3 * abs(high)
    return f"{high:.4g}" if same else f"{low:.4g} .. {high:.4g}"


def _depth_checks(photos: Sequence[Photo]) -> list[Check]:
    maps = [photo.depth[photo.depth > 0] for photo in photos if photo.depth is not None]
    known = [depth for depth in maps if depth.size]
    checks = [Check("depth.maps", len(maps))]
    if known:
        ends = np.array([[depth.min(), depth.max()] for depth in known])
        checks.append(Check("depth.range", _range(np.array([ends.min(), ends.max()])), "world"))
    elif maps:
        checks.append(Check("depth.range", None, passed=False, note="all depth is unknown"))
    return checks


def _mask_checks(
    photos: Sequence[Photo],
) -> tuple[list[Check], list[str], NDArray[np.float64] | None]:
    coverage = np.array([photo.mask.mean() / 255 for photo in photos if photo.mask is not None])
    typical = float(np.median(coverage))
    agreement = check_agreement(photos)
    score = agreement.score
    checks = [
        Check(
            "masks.coverage",
            round(typical, 4),
            limit=f">= {_LITTLE}",
            passed=typical >= _LITTLE,
            note=f"{coverage.min():.3f} .. {coverage.max():.3f}",
        ),
        Check("masks.agreement", round(score, 4), limit=">= 0.9", passed=score >= 0.9),
    ]
    warnings = []
    if agreement.suggestion:
        warnings.append(
            f"Masks and cameras disagree (agreement {score:.2f}); with {agreement.suggestion} it "
            f"would be {agreement.suggestion_score:.2f}."
        )
    elif agreement.bad_views:
        names = ", ".join(agreement.bad_views[:5])
        warnings.append(
            f"{len(agreement.bad_views)} masks contradict the others ({names}); check these photos."
        )
    try:
        return checks, warnings, object_box(photos)
    except CameraError as error:
        return checks, [*warnings, str(error)], None
