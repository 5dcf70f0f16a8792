# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotations, poses and the frames of other tools, in ours: +X right, +Y down, +Z forward.

docs/conventions.md derives each conversion.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photocast.errors import CameraError

__all__ = [
    "OPENCV_FROM_OPENGL",
    "decompose_projection",
    "invert_rigid",
    "look_at_point",
    "nearest_rigid",
    "rotation_from_quaternion",
    "upright_axis",
    "world_up",
]

Array = NDArray[np.float64]

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL cameras look along -Z with +Y up; its own inverse."""


def invert_rigid(pose: Array) -> Array:
    """The inverse of a rigid 4x4 transform."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


@np.errstate(over="ignore", invalid="ignore")  # found out below
def nearest_rigid(pose: Array) -> tuple[Array, float]:
    """Remove a uniform scale and rounding from the rotation part of a pose.

    Args:
        pose: (3, 4) or (4, 4); the translation stays as it is (world_from_camera meaning).

    Returns:
        The rigid 4x4 pose, and the scale that was removed.

    Raises:
        CameraError: A reflection, a shear, or a rotation part without three directions.
    """
    linear = np.asarray(pose, dtype=np.float64)[:3, :3]
    determinant = float(np.linalg.det(linear))
    scale = abs(determinant) ** (1 / 3)
    if determinant < 0:
        raise CameraError(
            f"A pose mirrors the world (determinant {determinant:.3g}). One axis of the cameras is "
            "flipped: export them again without changing handedness.",
            code="camera.reflection",
        )
    if not 1e-9 <= scale < np.inf:
        raise CameraError(
            f"A pose has a rotation part that flattens space (determinant {determinant:.3g}).",
            code="camera.not_rotation",
        )
    left, stretch, right = np.linalg.svd(linear / scale)
    if float(np.abs(stretch - 1).max()) > 0.01:
        raise CameraError(
            "A pose's rotation part is not a rotation: it stretches by "
            f"{stretch.max():.3g} one way and {stretch.min():.3g} another.",
            code="camera.not_rotation",
        )
    rigid = np.eye(4)
    rigid[:3, :3] = left @ right
    rigid[:3, 3] = np.asarray(pose)[:3, 3]
    return rigid, scale


@np.errstate(over="ignore", invalid="ignore")  # found out by the caller
def rotation_from_quaternion(quaternion: Sequence[float]) -> Array:
    """Rotation matrix (3, 3) of a Hamilton quaternion w x y z of any length but 0."""
    q = np.asarray(quaternion, dtype=np.float64)
    length = float(np.linalg.norm(q))
    if not np.isfinite(length) or length < 1e-9:
        raise CameraError(
            f"A pose has the quaternion {q.tolist()}, which is no rotation.",
            code="camera.not_rotation",
        )
    w, x, y, z = q / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # found out by the caller
def decompose_projection(pixel_from_world: Array) -> tuple[Array, Array]:
    """Split P = K [R | t] by RQ decomposition.

    P is known up to a factor of either sign; the sign is chosen so that R is a rotation, and the
    rows of K are given a positive diagonal.
    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 6.2.4.

    Args:
        pixel_from_world: (3, 4), any scale.

    Returns:
        K (3, 3) with K[2, 2] = 1, and the rigid camera_from_world (4, 4).
    """
    linear = pixel_from_world[:, :3]
    determinant = float(np.linalg.det(linear))
    if not np.isfinite(determinant) or determinant == 0:
        raise CameraError(
            "A projection matrix cannot be split into lens and pose (determinant "
            f"{determinant:.3g}).",
            code="camera.projection",
        )
    # RQ from QR of the row-reversed transpose: A = (flip R^T flip)(flip Q^T).
    q, r = np.linalg.qr(linear[::-1].T)
    k, rotation = r.T[::-1, ::-1], q.T[::-1]
    signs = np.diag(np.sign(np.diag(k)))
    k, rotation = k @ signs, signs @ rotation
    try:
        translation = np.linalg.solve(k, pixel_from_world[:, 3])
    except np.linalg.LinAlgError as error:
        raise CameraError(
            "A projection matrix cannot be split into lens and pose (rank below three).",
            code="camera.projection",
        ) from error
    if np.linalg.det(rotation) < 0:  # P was given with a negative factor
        rotation, translation = -rotation, -translation
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return k / k[2, 2], pose


def look_at_point(centers: Array, forwards: Array) -> Array | None:
    """The point nearest to all viewing axes in the least-squares sense, (3,).

    Args:
        centers: Optical centres, (n, 3).
        forwards: Viewing directions, unit length, (n, 3).

    Returns:
        The point; ``None`` if the axes are nearly parallel, or if most cameras look away from it.
    """
    across = np.eye(3) - forwards[:, :, None] * forwards[:, None, :]  # n 3 3
    matrix = across.sum(axis=0)
    if np.linalg.eigvalsh(matrix)[0] < 1e-4 * len(centers):
        return None
    point: Array = np.linalg.solve(matrix, (across @ centers[:, :, None]).sum(axis=0)[:, 0])
    ahead = ((point - centers) * forwards).sum(axis=1) > 0
    return point if ahead.mean() > 0.5 else None


def upright_axis(rights: Array) -> tuple[Array, float]:
    """The axis that cameras held level share: perpendicular to all their +X axes.

    Args:
        rights: Camera +X in the world, (n, 3).

    Returns:
        Unit axis (3,), sign arbitrary; and how far from level the cameras are: the root mean square
        of the sine of their roll, against the same for the next best axis (0 perfect, 1 no axis).
    """
    values, vectors = np.linalg.eigh(rights.T @ rights)
    return vectors[:, 0], float(np.sqrt(max(values[0], 0) / max(values[1], 1e-12)))


def world_up(cameras_from_world: Array) -> tuple[Array, str]:
    """Guess the world's up direction from how the cameras were held.

    1. Level cameras: every +X axis is perpendicular to up, whatever the tilt. If one axis does
       that clearly better than any other, it is up.
    2. A ring of rolled cameras: the normal of the plane of the centres, if they lie in a plane
       and look at its middle.
    3. Otherwise the average of the cameras' own up, -Y.

    In 1 and 2 the sign is the one nearer to the average of the cameras' up; in 2, where that is
    nearly perpendicular (cameras rolled by a quarter turn), the side on which +X or -X points is a
    coin toss, and the larger component of the axis is made positive.

    Args:
        cameras_from_world: (n, 4, 4).

    Returns:
        Unit up (3,), and a few words that say where it comes from.
    """
    rights, ups = cameras_from_world[:, 0, :3], -cameras_from_world[:, 1, :3]
    forwards = cameras_from_world[:, 2, :3]
    centers = -np.einsum("nji,nj->ni", cameras_from_world[:, :3, :3], cameras_from_world[:, :3, 3])
    mean_up = ups.mean(axis=0)
    axis, roll = upright_axis(rights)
    if roll < 0.25 and abs(axis @ mean_up) > 0.2:
        return axis * np.sign(axis @ mean_up), "cameras held level"
    ring = _ring_normal(centers, forwards)
    if ring is not None:
        if abs(ring @ mean_up) > 0.2:
            return ring * np.sign(ring @ mean_up), "axis of the ring of cameras"
        return ring * np.sign(ring[np.abs(ring).argmax()]), "axis of the ring, sign unknown"
    length = float(np.linalg.norm(mean_up))
    if length < 0.05:
        return np.array([0.0, 1.0, 0.0]), "unknown, +Y assumed"
    return mean_up / length, "average of the cameras' up"


def _ring_normal(centers: Array, forwards: Array) -> Array | None:
    # A ring: centres in a plane (thin singular value), spread both ways, looking inwards.
    if len(centers) < 5:
        return None
    offsets = centers - centers.mean(axis=0)
    _, spread, axes = np.linalg.svd(offsets, full_matrices=False)
    flat = spread[2] < 0.15 * spread[1] and spread[1] > 0.3 * spread[0]
    tilt = float(np.abs(forwards @ axes[2]).mean())
    return axes[2] if flat and tilt < 0.8 else None
