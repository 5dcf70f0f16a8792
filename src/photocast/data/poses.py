# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What was wrong with the cameras: one change of the lens, one of each pose."""

from dataclasses import dataclass, field, replace
from typing import Any

from photocast.data.camera import Camera

__all__ = ["CameraChange", "LensChange", "PoseReport"]


@dataclass(frozen=True, slots=True)
class LensChange:
    """A correction that all photos of one physical camera share, held-out ones too."""

    focal: float = 1.0
    """Factor of fx and fy."""
    shift_x: float = 0.0
    """Of the principal point, as a share of the photo's width."""
    shift_y: float = 0.0
    """Of the principal point, as a share of the photo's height."""
    aspect: float = 0.0
    """Width over height of the photos it was found on; 0 is any."""

    def apply(self, camera: Camera) -> Camera:
        """The camera with the corrected lens; as it is if its photo has another shape."""
        if self.aspect and abs(camera.width / camera.height / self.aspect - 1) > 0.02:
            return camera
        return replace(
            camera,
            fx=camera.fx * self.focal,
            fy=camera.fy * self.focal,
            cx=camera.cx + self.shift_x * camera.width,
            cy=camera.cy + self.shift_y * camera.height,
        )


@dataclass(frozen=True, slots=True)
class CameraChange:
    """How one training camera was changed, and what that did."""

    shift: float
    """How far the object moved in the photo, lens included, mean over its surface [px]."""
    rotation: float
    """[degree]."""
    position: float
    """Of the optical centre [world unit]."""
    focal: float
    """Focal length after over before."""
    outline_before: float
    """Mean distance between the outlines of model and mask [px]."""
    outline_after: float
    """The same after the change and after the shape was fitted again [px]."""
    mask_offset: float
    """How much wider the mask is than the model on all sides [px]; a property of the mask."""
    mask_shift: float
    """How far the mask's edge was moved outwards, for masks to be equally tight [px]."""
    camera_from_world: tuple[tuple[float, ...], ...]
    """The corrected pose, 4 rows of 4."""


@dataclass(frozen=True, slots=True)
class PoseReport:
    """What the refinement of the cameras found and whether it was kept."""

    kept: str = "nothing"
    """``nothing``, or some of ``masks and lens and poses``."""
    reason: str = "The cameras were taken as given."
    """Why, in a sentence with numbers."""
    lens: LensChange = field(default_factory=LensChange)
    cameras: dict[str, CameraChange] = field(default_factory=dict)
    """By view name; empty if nothing was kept."""
    numbers: dict[str, float] = field(default_factory=dict)
    """What the decision rests on."""

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "PoseReport":
        """Undo ``dataclasses.asdict``."""
        return cls(
            kept=document["kept"],
            reason=document["reason"],
            lens=LensChange(**document["lens"]),
            cameras={name: CameraChange(**c) for name, c in document["cameras"].items()},
            numbers=document["numbers"],
        )
