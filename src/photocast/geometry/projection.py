# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From camera space to clip space.

Camera: +X right, +Y down, +Z forward. Clip: pixel_x = (x/w + 1)/2 * width, pixel_y =
(y/w + 1)/2 * height with y down, w is the camera's z, and z/w runs from -1 (near) to 1 (far).
"""

import torch
from torch import Tensor

__all__ = ["clip_from_camera", "transform_points"]


def clip_from_camera(
    *,
    size: tuple[int, int],
    focal: tuple[float, float],
    principal: tuple[float, float],
    near: float,
    far: float,
) -> Tensor:
    """Make the projection of a pinhole camera.

    Args:
        size: Image height and width [px].
        focal: Focal length along x and y [px].
        principal: Principal point x and y, continuous pixels; may lie anywhere.
        near: Distance along the viewing axis where z/w is -1, in the unit of the camera space.
        far: Distance where z/w is 1.

    Returns:
        (4, 4), float64.

    Raises:
        ValueError: Not 0 < near < far, or a size or focal length that is not positive.
    """
    height, width = size
    if not 0 < near < far:
        raise ValueError(f"near is {near:g} and far is {far:g}; 0 < near < far is needed.")
    if min(height, width) < 1 or min(focal) <= 0:
        raise ValueError(f"size is {size} and focal is {focal}; all four must be positive.")
    matrix = torch.zeros((4, 4), dtype=torch.float64)
    matrix[0, 0], matrix[0, 2] = 2 * focal[0] / width, 2 * principal[0] / width - 1
    matrix[1, 1], matrix[1, 2] = 2 * focal[1] / height, 2 * principal[1] / height - 1
    matrix[2, 2], matrix[2, 3] = (far + near) / (far - near), -2 * far * near / (far - near)
    matrix[3, 2] = 1
    return matrix


def transform_points(clip_from_world: Tensor, vertices: Tensor) -> Tensor:
    """Take points into each view's clip space; gradient reaches both.

    Args:
        clip_from_world: (view, 4, 4).
        vertices: (vert, 3), same dtype and device.

    Returns:
        Homogeneous positions (view, vert, 4).

    Raises:
        ValueError: A shape does not fit.
    """
    if clip_from_world.shape[1:] != (4, 4) or vertices.shape[1:] != (3,):
        raise ValueError(
            f"clip_from_world has shape {tuple(clip_from_world.shape)} and vertices "
            f"{tuple(vertices.shape)}; (view, 4, 4) and (vert, 3) are needed."
        )
    linear, offset = clip_from_world[:, :, :3], clip_from_world[:, :, 3]
    return vertices @ linear.mT + offset[:, None]
