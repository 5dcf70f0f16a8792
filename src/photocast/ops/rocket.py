# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The sample object's exact shape and paint at any points. No gradients.

World: +Z up, metres.
"""

import torch
import warp as wp
from torch import Tensor

from photocast.kernels.rocket_paint import distance_kernel, rocket_surface, surface_kernel
from photocast.ops._launch import launch

__all__ = ["rocket_distance", "rocket_paint", "rocket_surface"]


def rocket_distance(points: Tensor) -> Tensor:
    """Signed distance (n,) to the rocket at (n, 3), positive outside; a bound where parts blend."""
    distance = torch.empty(len(points), device=points.device)
    launch(distance_kernel, len(points), [(points, wp.vec3), distance], points.device)
    return distance


def rocket_paint(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Base colour (n, 3), linear; roughness (n,); unit outward normal (n, 3), at surface points."""
    colors, normals = torch.empty_like(points), torch.empty_like(points)
    roughness = torch.empty(len(points), device=points.device)
    outputs = [(colors, wp.vec3), roughness, (normals, wp.vec3)]
    launch(surface_kernel, len(points), [(points, wp.vec3), *outputs], points.device)
    return colors, roughness, normals
