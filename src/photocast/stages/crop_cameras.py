# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras of whole photos from those that a network saw in squares cut from them.

The network takes each square for a whole picture: its principal point is the middle of the square.
The photo's own is taken to be the middle of the photo, so the camera is turned from the one to the
other. Photos of one size are taken to share a lens.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from photocast.data import Camera, Photo, Picture
from photocast.nets.photo_input import Square

__all__ = ["posed_photos"]

_FIELD = np.radians([5.0, 120.0])
"""Fields of view along a square's side; what lies outside was not understood."""

Array = NDArray[np.float64]


def posed_photos(
    pictures: Sequence[Picture],
    squares: Sequence[Square],
    poses: Array,
    fields: Array,
) -> tuple[Photo, ...]:
    """Give each picture its camera.

    Args:
        pictures: Whole.
        squares: Cut from them.
        poses: Camera from world of each square, (view, 3, 4), in any frame.
        fields: Fields of view of each square along its sides [rad], (view, 2).
    """
    usual = float(np.mean(_FIELD))
    angles = np.nan_to_num(fields, nan=usual, posinf=usual).clip(*_FIELD).mean(axis=1)
    lengths = [s.side / 2 / np.tan(a / 2) for s, a in zip(squares, angles, strict=True)]
    # at an angle a, a pixel of a plane picture spans cos² a along and cos a across
    slants = [
        np.linalg.norm(_aside(picture, square, length))
        for picture, square, length in zip(pictures, squares, lengths, strict=True)
    ]
    focals = _shared(pictures, np.array(lengths) * np.array(slants) ** -1.5)
    rows = zip(pictures, squares, np.nan_to_num(poses), focals, strict=True)
    return tuple(_posed(*row) for row in rows)


def _shared(pictures: Sequence[Picture], focals: Array) -> Array:
    """The median of the focal lengths [px] of all photos of one size."""
    shared = focals.copy()
    shapes = [picture.rgb.shape for picture in pictures]
    for shape in set(shapes):
        same = np.array([other == shape for other in shapes])
        shared[same] = np.median(focals[same])
    return shared


def _posed(picture: Picture, square: Square, pose: Array, focal: float) -> Photo:
    height, width = picture.mask.shape
    whole = np.eye(4)
    turn = _onto(_aside(picture, square, focal))
    whole[:3] = turn @ np.column_stack([_rotation(pose[:, :3]), pose[:, 3]])
    camera = Camera(width, height, focal, focal, width / 2, height / 2, whole)
    return Photo(picture.name, camera, picture.rgb, picture.mask)


def _aside(picture: Picture, square: Square, focal: float) -> Array:
    """Where the square's middle lies in the photo's camera, at depth 1."""
    height, width = picture.mask.shape
    middle = np.array([square.left + square.side / 2, square.top + square.side / 2])
    return np.append((middle - [width / 2, height / 2]) / focal, 1.0)


def _onto(direction: Array) -> Array:
    """The smallest rotation that takes +Z to a direction before the camera."""
    unit = direction / np.linalg.norm(direction)
    axis = np.cross([0.0, 0.0, 1.0], unit)
    sine = float(np.linalg.norm(axis))
    turn = axis * (np.arctan2(sine, unit[2]) / max(sine, 1e-12))
    matrix: Array = Rotation.from_rotvec(turn).as_matrix()
    return matrix


def _rotation(matrix: Array) -> Array:
    """The nearest rotation."""
    left, _, right = np.linalg.svd(matrix)
    nearest: Array = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    return nearest
