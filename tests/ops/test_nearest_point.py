# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The tree finds what trying every triangle finds."""

import pytest
import torch

from photocast.ops.nearest_point import nearest_point, nearest_point_twin
from photocast.ops.pathtrace import RayMesh


@pytest.mark.parametrize("seed", range(3))
def test_distance_matches_the_twin_and_the_face_is_at_that_distance(device, seed):
    generator = torch.Generator().manual_seed(seed)
    vertices = torch.randn(40, 3, generator=generator)
    faces = torch.stack([torch.randperm(40, generator=generator)[:3] for _ in range(60)]).int()
    points = 2 * torch.randn(501, 3, generator=generator)  # inside, outside, at corners and edges
    points[:40] = vertices
    mesh = RayMesh(vertices.to(device), faces)
    distance, nearest = nearest_point(mesh, points.to(device))
    slow = nearest_point_twin(vertices.double(), faces, points.double())
    torch.testing.assert_close(distance.cpu().double(), slow, rtol=1e-5, atol=2e-6)
    own = [
        nearest_point_twin(vertices.double(), faces[f : f + 1], p[None].double())
        for f, p in zip(nearest.tolist(), points, strict=True)
    ]
    torch.testing.assert_close(torch.cat(own), slow, rtol=1e-5, atol=2e-6)


def test_no_points_are_no_distances(device):
    mesh = RayMesh(torch.eye(3, device=device), torch.tensor([[0, 1, 2]]))
    distance, faces = nearest_point(mesh, torch.zeros(0, 3, device=device))
    assert (distance.shape, faces.shape) == ((0,), (0,))
