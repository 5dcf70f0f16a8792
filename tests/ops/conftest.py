# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Small scenes in clip space."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def soup():
    """Random triangles with random w, some behind the camera: (clip, faces) of two views."""

    def make(seed: int, *, faces: int = 10, views: int = 2) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(seed)
        clip = torch.randn((views, 14, 4), generator=random)
        clip[..., 3] = clip[..., 3].abs() + 0.3
        clip[..., 0, 3] *= -1
        clip[..., 2] *= 0.4
        return clip, torch.randint(0, 14, (faces, 3), generator=random, dtype=torch.int32)

    return make


@pytest.fixture
def torus():
    """A closed mesh seen by two cameras: (clip, faces)."""

    def make(rings: int, sides: int) -> tuple[Tensor, Tensor]:
        u, v = torch.meshgrid(torch.arange(rings), torch.arange(sides), indexing="ij")
        a, b = u / rings * 2 * torch.pi, v / sides * 2 * torch.pi
        wide = 1 + 0.45 * b.cos()
        points = torch.stack([wide * a.cos(), wide * a.sin(), 0.45 * b.sin()], -1).view(-1, 3)
        here, right = u * sides + v, (u + 1) % rings * sides + v
        down, both = u * sides + (v + 1) % sides, (u + 1) % rings * sides + (v + 1) % sides
        faces = torch.cat(
            [torch.stack([here, right, both], -1), torch.stack([here, both, down], -1)]
        )
        views = []
        for tilt in (torch.tensor(0.5), torch.tensor(1.1)):
            x = points[:, 0] + 0.013
            y = points[:, 1] * tilt.cos() - points[:, 2] * tilt.sin() + 0.017
            z = points[:, 1] * tilt.sin() + points[:, 2] * tilt.cos() + 3.5
            views.append(torch.stack([1.8 * x, 1.8 * y, 1.2 * z - 2.2, z], -1))
        return torch.stack(views), faces.reshape(-1, 3).int()

    return make
