# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every error a user can meet.

    PhotocastError            exit code 1   a failure that is ours, or the machine's
    ├── UserError             exit code 2   the command or the options are wrong
    │   └── ConfigError                     (also a ValueError)
    ├── UnsuitableInput       exit code 3   the capture or the mesh cannot be used
    │   ├── CaptureError                    files, photos, masks, depth
    │   ├── CameraError                     poses and intrinsics
    │   ├── MeshError                       a mesh file
    │   ├── LightError                      an environment map
    │   └── WeightsError                    weights of a network
    ├── StorageError                        files of jobs cannot be kept or brought
    └── Cancelled             exit code 130 the user stopped the run

Each carries a stable ``code`` such as ``capture.no_photos``; the sentence says what happened, with
numbers and file names, and then what to do.
"""

__all__ = [
    "CameraError",
    "Cancelled",
    "CaptureError",
    "ConfigError",
    "LightError",
    "MeshError",
    "PhotocastError",
    "StorageError",
    "UnsuitableInput",
    "UserError",
    "WeightsError",
]


class PhotocastError(Exception):
    """A failure with a sentence for the user."""

    exit_code = 1

    def __init__(self, message: str, *, code: str = "internal") -> None:
        super().__init__(message)
        self.code = code


class UserError(PhotocastError):
    """The command or its options are wrong."""

    exit_code = 2


class ConfigError(UserError, ValueError):
    """A setting is outside its limits."""

    def __init__(self, message: str, *, code: str = "config.invalid") -> None:
        super().__init__(message, code=code)


class UnsuitableInput(PhotocastError):
    """The input cannot be used as it is."""

    exit_code = 3


class CaptureError(UnsuitableInput):
    """Photos, masks or depth maps cannot be used."""


class CameraError(UnsuitableInput):
    """Poses or intrinsics cannot be used."""


class MeshError(UnsuitableInput):
    """A mesh file cannot be used."""

    def __init__(self, message: str, *, code: str = "internal", count: int | None = None) -> None:
        super().__init__(message, code=code)
        self.count = count
        """How many numbers or entries are wrong, where that is known."""


class LightError(UnsuitableInput):
    """An environment map cannot be used."""


class WeightsError(UnsuitableInput):
    """Weights of a network are absent, damaged, or of another network."""


class StorageError(PhotocastError):
    """The storage of files is full, away, or does not have what it should."""


class Cancelled(PhotocastError):
    """The user stopped the run; finished stages are kept."""

    exit_code = 130

    def __init__(self, message: str = "Cancelled; finished stages are kept.") -> None:
        super().__init__(message, code="cancelled")
