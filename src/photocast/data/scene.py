# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine returns: everything needed to draw the object from any camera."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data.camera import Camera
from photocast.data.mesh import Mesh
from photocast.data.poses import PoseReport

__all__ = ["Light", "Scene"]


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Light from far away, by direction; docs/conventions.md gives the mapping."""

    environment: NDArray[np.float32] = field(
        default_factory=lambda: np.ones((2, 4, 3), dtype=np.float32)
    )
    """Latitude-longitude map in the capture's world, linear radiance, (h, w, 3). Row 0 looks along
    world +Z; column 0 starts at +X and columns run towards +Y."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A mesh with its light and the cameras it was made from, all in the capture's world."""

    mesh: Mesh
    cameras: dict[str, Camera]
    """By view name."""
    light: Light = field(default_factory=Light)
    up: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 1.0, 0.0]))
    warnings: tuple[str, ...] = ()
    """What the engine wants the user to know, for the report."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the engine wants to be on record, plain values for ``run.json``."""
    poses: PoseReport = field(default_factory=PoseReport)
    """How ``cameras`` differ from those of the capture."""
