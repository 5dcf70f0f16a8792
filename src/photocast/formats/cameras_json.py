# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``cameras.json``: the cameras beside a result, in the frame of its mesh.

    {"format": "photocast-cameras", "version": 1,
     "up": [x, y, z],
     "lens": {"focal": factor, "shift_x": share, "shift_y": share, "aspect": ratio},
     "views": [{"name": "...", "width": px, "height": px, "fx": px, "fy": px, "cx": px, "cy": px,
                "camera_from_world": [4 rows of 4]}]}

Pinhole without distortion. Camera: +X right, +Y down, +Z forward. Pixels are continuous: the first
centre is (0.5, 0.5), so the image centre is (width / 2, height / 2). Numbers survive exactly.
``lens`` is what was corrected of the capture's lens, and holds for its other photos as well; it is
left out if nothing was. ``views`` have it already.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, LensChange
from photocast.errors import CameraError

__all__ = ["CameraFile", "cameras_json", "load_cameras"]

_FORMAT, _VERSION = "photocast-cameras", 1
_NUMBERS = ("fx", "fy", "cx", "cy")


@dataclass(frozen=True, slots=True, eq=False)
class CameraFile:
    """What ``cameras.json`` holds."""

    cameras: dict[str, Camera]
    """By view name."""
    up: NDArray[np.float64]
    """The world's up direction, unit length."""
    lens: LensChange = field(default_factory=LensChange)
    """How the lens of the capture was corrected."""


def cameras_json(
    cameras: Mapping[str, Camera], up: NDArray[np.floating[Any]], lens: LensChange | None = None
) -> bytes:
    """Encode cameras without their distortion: photos beside a result are undistorted."""
    views = [_encoded(name, camera) for name, camera in cameras.items()]
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "up": [float(x) for x in up],
        **({} if lens is None or lens == LensChange() else {"lens": asdict(lens)}),
        "views": views,
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def load_cameras(path: Path) -> CameraFile:
    """Read the cameras beside a result.

    Raises:
        CameraError: The file is missing, damaged, or of another version.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise CameraError(
            f"{path} cannot be read ({error.strerror}). It is written beside each result.",
            code="camera.missing",
        ) from error
    except (ValueError, RecursionError) as error:
        raise CameraError(f"{path} is not JSON ({error}).", code="camera.damaged") from error
    try:
        found = (document["format"], document["version"])
        if found != (_FORMAT, _VERSION):
            raise CameraError(
                f"it is {found[0]!r} version {found[1]!r}; {_FORMAT!r} version {_VERSION} is read.",
                code="camera.version",
            )
        cameras = {view["name"]: _decoded(view) for view in document["views"]}
        up = np.asarray(document["up"], dtype=np.float64).reshape(3)
        lens = _decoded_lens(document.get("lens", {}))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise CameraError(
            f"{path} lacks or misspells {error}. Reconstruct again to rewrite it.",
            code="camera.damaged",
        ) from error
    except CameraError as error:
        raise CameraError(f"{path}: {error}", code=error.code) from error
    return CameraFile(cameras, up, lens)


def _encoded(name: str, camera: Camera) -> dict[str, Any]:
    return {
        "name": name,
        "width": camera.width,
        "height": camera.height,
        **{key: float(getattr(camera, key)) for key in _NUMBERS},
        "camera_from_world": camera.camera_from_world.tolist(),
    }


def _decoded(view: dict[str, Any]) -> Camera:
    fx, fy, cx, cy = (float(view[key]) for key in _NUMBERS)
    pose = np.asarray(view["camera_from_world"], dtype=np.float64)
    return Camera(int(view["width"]), int(view["height"]), fx, fy, cx, cy, pose)


def _decoded_lens(found: dict[str, Any]) -> LensChange:
    lens = LensChange(**{key: float(value) for key, value in found.items()})
    if not (np.isfinite(list(asdict(lens).values())).all() and lens.focal > 0):
        raise CameraError(f"its lens change is {found}.", code="camera.damaged")
    return lens
