# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a photo was taken from and how its lens maps the world to pixels.

Camera frame: +X right, +Y down, +Z forward. Pixels: continuous, first centre at (0.5, 0.5).
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from photocast.errors import CameraError

__all__ = ["Camera", "Distortion"]


@dataclass(frozen=True, slots=True)
class Distortion:
    """Lens distortion in OpenCV's parameter order."""

    model: Literal["opencv", "fisheye"]
    coefficients: tuple[float, ...]
    """``opencv``: k1 k2 p1 p2 [k3 [k4 k5 k6]]; ``fisheye``: k1 k2 k3 k4."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A pinhole camera, with the lens distortion of the file until the photo is undistorted."""

    width: int
    """Image width [px]."""
    height: int
    """Image height [px]."""
    fx: float
    """Focal length along x [px]."""
    fy: float
    """Focal length along y [px]."""
    cx: float
    """Principal point x, continuous pixels: the image centre is ``width / 2``."""
    cy: float
    """Principal point y, continuous pixels."""
    camera_from_world: NDArray[np.float64] = field(repr=False)
    """Rigid 4x4 transform, float64."""
    distortion: Distortion | None = None

    def __post_init__(self) -> None:
        pose = np.asarray(self.camera_from_world, dtype=np.float64)
        if pose.shape != (4, 4):
            raise CameraError(
                f"A camera pose has shape {pose.shape}; 4x4 is needed.", code="camera.pose_shape"
            )
        numbers = np.array([self.fx, self.fy, self.cx, self.cy])
        if not (np.isfinite(pose).all() and np.isfinite(numbers).all()):
            raise CameraError("A camera has NaN or infinite numbers.", code="camera.not_finite")
        if self.width < 1 or self.height < 1 or self.fx <= 0 or self.fy <= 0:
            raise CameraError(
                f"A camera has size {self.width}x{self.height} and focal length "
                f"({self.fx:g}, {self.fy:g}) px; all four must be positive.",
                code="camera.intrinsics",
            )
        rotation = pose[:3, :3]
        error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        if error > 1e-3 or np.linalg.det(rotation) < 0:
            raise CameraError(
                f"A camera's rotation is not a rotation (orthogonality error {error:.2g}, "
                f"determinant {np.linalg.det(rotation):.3g}).",
                code="camera.not_rotation",
            )
        pose = pose.copy()
        pose.setflags(write=False)
        object.__setattr__(self, "camera_from_world", pose)

    @property
    def world_from_camera(self) -> NDArray[np.float64]:
        """The inverse pose, 4x4."""
        rotation, translation = self.camera_from_world[:3, :3], self.camera_from_world[:3, 3]
        inverse = np.eye(4)
        inverse[:3, :3] = rotation.T
        inverse[:3, 3] = -rotation.T @ translation
        return inverse

    @property
    def center(self) -> NDArray[np.float64]:
        """Position of the optical centre in the world, (3,)."""
        return self.world_from_camera[:3, 3]

    @property
    def forward(self) -> NDArray[np.float64]:
        """Viewing direction in the world, unit length, (3,)."""
        return self.camera_from_world[2, :3]

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        """The 3x3 matrix K, in continuous pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def resized(self, width: int, height: int) -> "Camera":
        """The same camera for the photo resampled to another size."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=self.cx * sx,
            cy=self.cy * sy,
        )

    def project(
        self, points: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project world points, ignoring distortion.

        Args:
            points: World positions, (n, 3).

        Returns:
            Continuous pixels (n, 2) and depth along the viewing axis (n,), negative behind.
        """
        # One row per axis, which numpy works through several times faster than (n, 3).
        local = self.camera_from_world[:3, :3] @ points.T + self.camera_from_world[:3, 3:]
        depth = local[2]
        safe = np.where(np.abs(depth) < 1e-12, 1e-12, depth)
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = local[0] / safe * self.fx + self.cx
        pixels[:, 1] = local[1] / safe * self.fy + self.cy
        return pixels, depth
