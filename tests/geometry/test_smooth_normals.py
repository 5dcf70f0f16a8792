# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import torch
import trimesh
from torch.testing import assert_close

from photocast.geometry.smooth_normals import smooth_normals
from photocast.geometry.vertex_normals import vertex_normals


def bumpy(detail=2):
    ball = trimesh.creation.icosphere(detail)
    v = ball.vertices * (1 + 0.2 * torch.sin(3 * torch.tensor(ball.vertices[:, :1])).numpy())
    return torch.tensor(v), torch.tensor(ball.faces)


def test_they_are_the_normals_of_the_drawing():
    vertices, faces = bumpy()
    wanted = torch.tensor(vertex_normals(vertices.numpy(), faces.numpy()))
    assert_close(smooth_normals(vertices, faces).float(), wanted)


def test_the_gradient_matches_finite_differences():
    vertices, faces = bumpy(0)
    assert torch.autograd.gradcheck(
        lambda v: smooth_normals(v, faces), vertices.clone().requires_grad_(), eps=1e-6, atol=1e-6
    )


def test_size_and_place_do_not_matter():
    vertices, faces = bumpy()
    moved = 1e-4 * vertices + torch.tensor([1.0, -2.0, 3.0])
    assert_close(smooth_normals(moved, faces), smooth_normals(vertices, faces), rtol=0, atol=1e-8)


def test_a_vertex_without_area_gets_zero_and_spreads_no_nan():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5], [5, 5, 5], [5, 5, 5]])
    vertices.requires_grad_()
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    normals = smooth_normals(vertices, faces)
    up = torch.tensor([0.0, 0, 1])
    assert_close(normals.detach(), torch.stack([up, up, up, 0 * up, 0 * up, 0 * up]))
    (grad,) = torch.autograd.grad(normals.sum(), vertices)
    assert torch.isfinite(grad).all()
