# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import torch

from photocast.ops.occlusion import BELOW, OPEN, first_hits
from photocast.ops.pathtrace import RayMesh


def box_lid(device):
    """A floor triangle at z = 0 and a ceiling triangle at z = 1 over one half of it."""
    vertices = [[-9, -9, 0], [9, -9, 0], [0, 9, 0], [0, -20, 1], [20, 0, 1], [0, 20, 1]]
    faces = torch.tensor([[0, 1, 2], [3, 5, 4]], dtype=torch.int32)
    return torch.tensor(vertices, dtype=torch.float32, device=device), faces.to(device)


def test_a_ceiling_hides_the_sky_and_the_floor_hides_what_is_below(device):
    vertices, faces = box_lid(device)
    start = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]], device=device)
    up = torch.tensor([[0.0, 0, 1]] * 2, device=device)
    ways = torch.tensor([[0.0, 0, 1], [0, 0, -1], [-0.9, 0, 0.436], [0.9, 0, 0.436]], device=device)
    hits = first_hits(RayMesh(vertices, faces), start, up, ways, lift=1e-3)
    assert hits.tolist() == [[1, BELOW, OPEN, 1], [OPEN, BELOW, OPEN, 1]]


def test_lifting_keeps_a_vertex_from_hitting_its_own_face(device):
    vertices, faces = box_lid(device)
    sky = torch.nn.functional.normalize(torch.randn(50, 3, device=device), dim=1)
    sky[:, 2] = sky[:, 2].abs() + 1e-3
    up = torch.tensor([[0.0, 0, 1]] * 3, device=device)
    hits = first_hits(RayMesh(vertices[:3], faces[:1]), vertices[:3], up, sky, lift=1e-4)
    assert (hits == OPEN).all()
