# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Triangles that meet, against the twin, and in every special position."""

import numpy as np
import pytest
import torch
import trimesh

from photocast.ops.self_intersections import self_intersections, self_intersections_twin
from photocast.ops.thickness import thickness


def marks(vertices, faces, device="cpu") -> list[bool]:
    found = self_intersections(
        torch.tensor(np.asarray(vertices), dtype=torch.float32, device=device),
        torch.tensor(np.asarray(faces), dtype=torch.int32, device=device),
    )
    return found.cpu().tolist()


@pytest.mark.parametrize("size", [0.1, 0.3, 0.8])
def test_random_triangles_agree_with_the_twin(size, device):
    rng = np.random.default_rng(5)
    points = rng.random((300, 1, 3)) + size * (rng.random((300, 3, 3)) - 0.5)
    vertices = torch.tensor(points.reshape(-1, 3), dtype=torch.float32)
    faces = torch.arange(900, dtype=torch.int32).reshape(-1, 3)
    fast = self_intersections(vertices.to(device), faces.to(device)).cpu()
    slow = self_intersections_twin(vertices, faces)
    assert 0 < slow.sum() < 300 or size == 0.8
    torch.testing.assert_close(fast, slow)


def test_shared_corners_agree_with_the_twin(device):
    rng = np.random.default_rng(6)
    vertices = torch.tensor(rng.random((60, 3)), dtype=torch.float32)
    faces = torch.tensor(np.array([rng.choice(60, 3, replace=False) for _ in range(12)]),
                         dtype=torch.int32)  # fmt: skip
    fast = self_intersections(vertices.to(device), faces.to(device)).cpu()
    torch.testing.assert_close(fast, self_intersections_twin(vertices, faces))
    assert fast.any()


BASE = [[0, 0, 0], [4, 0, 0], [0, 4, 0]]
TWO = [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        ([[1, 1, -1], [1, 1, 1], [5, 5, 1]], True),  # pierced
        ([[1, 1, 1], [2, 1, 1], [1, 2, 1]], False),  # parallel
        ([[1, 1, 0], [2, 1, 0], [1, 2, 0]], True),  # lying inside
        ([[-9, -9, 0], [19, -9, 0], [-9, 19, 0]], True),  # lying around
        ([[5, 5, 0], [6, 5, 0], [5, 6, 0]], False),  # beside, in the same plane
        ([[1, 1, 0], [1, 1, 3], [1, 2, 3]], True),  # standing on it with a corner
        ([[2, -1, 1], [2, 1, -1], [2, 2, 3]], True),  # across its edge
        ([[1, 1, 1e-6], [1, 1, 3], [1, 2, 3]], False),  # just above
        ([[2, 0, 0], [3, -2, 0], [1, -2, 0]], True),  # touching an edge in the plane
        ([[4, 0, 1], [4, 0, 2], [5, 0, 1]], False),  # above a corner
    ],
)
def test_two_triangles(other, meets, device):
    assert marks(BASE + other, TWO, device) == [meets, meets]
    assert marks(other + BASE, TWO, device) == [meets, meets]
    assert marks(np.array(BASE + other) * 2.0**-40, TWO, device) == [meets, meets]


@pytest.mark.parametrize(
    ("faces", "more", "meets"),
    [
        ([[0, 1, 2], [0, 2, 3]], [[0, 0, 5]], False),  # neighbours
        ([[0, 1, 2], [1, 0, 3]], [[1, 1, 0]], True),  # folded onto its neighbour
        ([[0, 1, 2], [1, 0, 3]], [[1, -1, 0]], False),  # flat neighbours
        ([[0, 1, 2], [0, 3, 4]], [[-4, 0, 0], [0, -4, 0]], False),  # corner to corner, flat
        ([[0, 1, 2], [0, 3, 4]], [[1, 1, 1], [1, 1, -1]], True),  # its far side goes through
        ([[0, 1, 2], [0, 3, 4]], [[3, 1, 0], [1, 3, 0]], True),  # a flat fan that overlaps
        ([[0, 1, 2], [0, 3, 4]], [[1, 1, 1], [1, 1, 2]], False),  # above
        ([[0, 1, 2], [1, 2, 0]], [], False),  # the same face twice
        ([[0, 1, 2], [3, 3, 4]], [[1, 1, -1], [1, 1, 1]], False),  # no area
    ],
)
def test_triangles_with_common_corners(faces, more, meets, device):
    assert marks(BASE + more, faces, device) == [meets, meets]


@pytest.mark.parametrize("steps", [1, 3])
def test_closed_surfaces_do_not_meet_themselves(steps, device):
    for shape in (trimesh.creation.icosphere(steps), trimesh.creation.torus(1, 0.3),
                  trimesh.creation.box([1, 2, 3]), trimesh.creation.cylinder(1, 2)):  # fmt: skip
        assert not any(marks(shape.vertices, shape.faces, device))


def test_a_fine_flat_plate_in_a_plane_askew_does_not_meet_itself(device):
    x, y = np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 40))
    turn = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])[:3, :3]
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(1600)], axis=1) @ turn.T
    i = np.arange(1600).reshape(40, 40)
    a, b, c, d = i[:-1, :-1].ravel(), i[:-1, 1:].ravel(), i[1:, 1:].ravel(), i[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    assert not any(marks(vertices, faces, device))


def test_no_faces_meet_nothing():
    assert marks(np.zeros((0, 3)), np.zeros((0, 3))) == []


def test_a_box_is_as_thick_as_it_was_made(device):
    box = trimesh.creation.box([1.0, 2.0, 3.0])
    vertices = torch.tensor(box.vertices, dtype=torch.float32, device=device)
    faces = torch.tensor(box.faces, dtype=torch.int32, device=device)
    found = thickness(vertices, faces, torch.arange(12, dtype=torch.int32, device=device))
    normals = np.abs(box.face_normals)
    np.testing.assert_allclose(found.cpu(), normals @ [1.0, 2.0, 3.0], rtol=1e-5)


def test_an_open_sheet_has_no_thickness(device):
    vertices = torch.tensor(BASE, dtype=torch.float32, device=device)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    found = thickness(vertices, faces, torch.zeros(1, dtype=torch.int32, device=device))
    assert found.item() < 0
