# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Light from far away in a file: latitude-longitude maps as OpenEXR or Radiance HDR.

Values are linear radiance, RGB. Maps in memory are laid out as ``Light.environment`` is
(``photocast``); a file may be laid out in any convention, and only the caller knows in which.
docs/conventions.md derives them.
Source: OpenEXR technical introduction; Ward, Real Pixels, Graphics Gems II (Radiance HDR).
"""

import re
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from photocast.data import Light
from photocast.errors import LightError, PhotocastError, UserError
from photocast.geometry.latlong import MITSUBA, PHOTOCAST, VIEWER, LatLong, resampled
from photocast.geometry.upright import upright_matrix

__all__ = [
    "CONVENTIONS",
    "Convention",
    "environment_exr",
    "read_environment",
    "read_light",
    "read_radiance",
]

Convention = Literal["photocast", "viewer", "mitsuba"]
"""How a file's rows and columns look at the world."""

CONVENTIONS: tuple[Convention, ...] = get_args(Convention)

_LAYOUTS: dict[Convention, LatLong] = {
    "photocast": PHOTOCAST,
    "viewer": VIEWER,
    "mitsuba": MITSUBA,
}
_MAX_WIDTH = 16384
_SMALL = 64  # rows; up to it, texels that must be looked up between others are made finer


def read_environment(
    path: Path,
    *,
    convention: Convention = "photocast",
    up: NDArray[np.floating[Any]] | None = None,
) -> NDArray[np.float32]:
    """Read a map of light.

    Args:
        path: ``.exr`` or ``.hdr``.
        convention: Of the file.
        up: If given, the file's frame is that of a GLB, whose root turns this direction of the
            capture's world to +Y. Without it, the file's axes are those of the world.

    Returns:
        (h, w, 3), laid out as ``Light.environment``, in the capture's world. A small file's map
        comes with more texels where they had to be looked up between others.

    Raises:
        LightError: The file is missing, damaged, or no map of RGB light.
    """
    stored = read_radiance(path)
    turn = None if up is None else upright_matrix(up).T
    return resampled(
        stored,
        _layout(convention),
        PHOTOCAST,
        target_from_source=turn,
        refinement=1 if len(stored) > _SMALL else 2,
    )


def read_light(path: Path, up: NDArray[np.floating[Any]]) -> Light:
    """Read the ``environment.exr`` of a result whose capture has this up direction."""
    return Light(read_environment(path, convention="viewer", up=up))


def environment_exr(
    environment: NDArray[np.float32],
    *,
    convention: Convention = "viewer",
    up: NDArray[np.floating[Any]] | None = None,
) -> bytes:
    """Encode a light as OpenEXR, 32-bit floats.

    Args:
        environment: (h, w, 3), laid out as ``Light.environment``.
        convention: Of the file.
        up: Turns the light with the root of the GLB, which brings this direction to +Y; without
            it, the axes stay those of the world.
    """
    turn = None if up is None else upright_matrix(up)
    target = _layout(convention)
    radiance = resampled(
        environment,
        PHOTOCAST,
        target,
        target_from_source=turn,
        refinement=1 if len(environment) > _SMALL else 4,  # fitted lights are small
    )
    return _exr_bytes(radiance)


def read_radiance(path: Path) -> NDArray[np.float32]:
    """Read the texels of a map as they lie in the file, (h, w, 3).

    Raises:
        LightError: The file is missing, damaged, or no map of RGB light.
    """
    readers = {".exr": _read_exr, ".hdr": _read_hdr}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise LightError(
            f"{path}: light files end in .exr or .hdr, not {suffix or 'nothing'!r}.",
            code="light.unknown_format",
        )
    if not path.is_file():
        raise LightError(f"{path} is not there. Check the path.", code="light.missing")
    radiance = readers[suffix](path)
    _check(path, radiance)
    return radiance


def _layout(convention: Convention) -> LatLong:
    if convention not in _LAYOUTS:
        raise UserError(
            f"There is no light convention {convention!r}; there are {', '.join(CONVENTIONS)}.",
            code="light.convention",
        )
    return _LAYOUTS[convention]


def _check(path: Path, radiance: NDArray[np.float32]) -> None:
    height, width = radiance.shape[:2]
    if height < 2 or width < 2 or width > _MAX_WIDTH:
        raise LightError(
            f"{path} has {width}x{height} texels; 2x2 to {_MAX_WIDTH} wide is read.",
            code="light.size",
        )
    if abs(width / height - 2) > 0.1:
        raise LightError(
            f"{path} has {width}x{height} texels. A latitude-longitude map is twice as wide as "
            "high; convert other panoramas, such as cube maps, first.",
            code="light.size",
        )
    if not np.isfinite(radiance).all() or radiance.min() < 0:
        raise LightError(
            f"{path} has texels that are negative, infinite or not a number. "
            "Radiance is 0 or more; export the map again.",
            code="light.values",
        )


def _read_exr(path: Path) -> NDArray[np.float32]:
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise _damaged(path, error) from error
    names = ("R", "G", "B") if "R" in channels else ("Y", "Y", "Y")
    if missing := sorted(set(names) - set(channels)):
        raise LightError(
            f"{path} has the channels {', '.join(sorted(channels)) or 'none'}; "
            f"{', '.join(missing)} is missing. Export it as RGB.",
            code="light.channels",
        )
    if len({channels[name].shape for name in names}) != 1:
        raise LightError(
            f"{path} has channels of different sizes. Export it as RGB.", code="light.channels"
        )
    return np.stack([channels[name] for name in names], axis=-1).astype(np.float32)


def _read_hdr(path: Path) -> NDArray[np.float32]:
    import cv2

    data = path.read_bytes()
    head = data[: data.find(b"\n\n") + 1][:65536]
    if not data.startswith((b"#?RADIANCE", b"#?RGBE")) or b"FORMAT=32-bit_rle_xyze" in head:
        raise LightError(
            f"{path} is not a Radiance picture in RGBE. Export it again.", code="light.damaged"
        )
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _damaged(path, error) from error
    if decoded is None:
        raise _damaged(path, "its scan lines cannot be decoded")
    # Each EXPOSURE line says by what the stored values were multiplied.
    exposure = float(np.prod([float(m) for m in re.findall(rb"^EXPOSURE=\s*(\S+)", head, re.M)]))
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.float32) / np.float32(exposure)


def _damaged(path: Path, reason: object) -> LightError:
    said = str(reason).strip().splitlines()
    return LightError(
        f"{path} is damaged or cut short ({said[0] if said else 'no reason given'}). "
        "Copy or export it again.",
        code="light.damaged",
    )


def _exr_bytes(radiance: NDArray[np.float32]) -> bytes:
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with tempfile.TemporaryDirectory(prefix="photocast-") as folder:
        path = Path(folder) / "environment.exr"  # the oldest release we allow writes to paths only
        try:
            with OpenEXR.File(header, {"RGB": np.ascontiguousarray(radiance)}) as file:
                file.write(str(path))
            return path.read_bytes()
        except (RuntimeError, OSError) as error:
            raise PhotocastError(
                f"environment.exr cannot be encoded ({error}). Check free space.",
                code="light.unwritable",
            ) from error
