# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables follow from topology, and sparse extraction makes closed surfaces where it should."""

import pytest
import torch
import trimesh

from photocast.nets.flexicubes import CUBE_CHANNELS, extract_mesh
from photocast.nets.flexicubes_tables import CORNERS, EDGES, ambiguous_neighbor, dual_vertices


def test_each_cut_edge_belongs_to_exactly_one_dual_vertex():
    counts, table = dual_vertices()
    for case in range(256):
        cut = [n for n, (a, b) in enumerate(EDGES) if (case >> a & 1) != (case >> b & 1)]
        used = table[case][table[case] >= 0].tolist()
        assert sorted(used) == cut
        assert int(counts[case]) == int((table[case, :, 0] >= 0).sum())


def test_the_number_of_dual_vertices_is_that_of_the_known_cases():
    counts, _ = dual_vertices()
    assert torch.bincount(counts).tolist() == [2, 162, 82, 8, 2]
    assert counts[0b10010110] == counts[0b01101001] == 4  # alternating corners


def test_the_tables_do_not_change_when_the_cube_is_turned():
    turn = [CORNERS.index((z, x, y)) for x, y, z in CORNERS]  # axes in a circle
    counts, _ = dual_vertices()
    steps = ambiguous_neighbor()
    for case in range(256):
        turned = sum(1 << turn[corner] for corner in range(8) if case >> corner & 1)
        assert counts[turned] == counts[case]
        assert steps[turned].tolist() == steps[case].roll(1).tolist()


def test_ambiguous_cases_have_a_solid_that_the_opposite_case_divides():
    counts, _ = dual_vertices()
    ambiguous = torch.nonzero((ambiguous_neighbor() != 0).any(dim=1))[:, 0]
    assert len(ambiguous) == 36
    assert set(counts[ambiguous].tolist()) == {1}
    assert set(counts[255 - ambiguous].tolist()) == {2}


def sphere_cubes(size, radius, band):
    """Cubes in and near a sphere in the middle of a grid, with its distance at their corners."""
    grid = torch.cartesian_prod(*[torch.arange(size)] * 3)
    corners = grid[:, None] + torch.tensor(CORNERS)
    sdf = (corners - size / 2).norm(dim=-1) - radius
    near = (sdf < band).any(dim=1)  # all inside: a shell would be closed towards the inside too
    cubes = torch.zeros(int(near.sum()), CUBE_CHANNELS)
    cubes[:, :8] = sdf[near] / size + 1 / size  # the extractor moves the field out by this much
    return grid[near], cubes


def test_a_sphere_becomes_a_closed_sphere_whatever_the_order_of_its_cubes():
    places, cubes = sphere_cubes(24, 8.3, 1.5)
    mesh = extract_mesh(places, cubes, 24)
    solid = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert solid.volume == pytest.approx(4 / 3 * torch.pi * (8.3 / 24) ** 3, rel=0.02)
    assert mesh.vertices.norm(dim=1).sub(8.3 / 24).abs().max() < 0.1 / 24
    assert mesh.attributes.sub(0.5).abs().max() < 1e-6  # a colour of 0 is grey
    order = torch.randperm(len(places))
    again = extract_mesh(places[order], cubes[order], 24)
    assert again.faces.equal(mesh.faces)
    torch.testing.assert_close(again.vertices, mesh.vertices)


def test_nothing_gives_no_mesh():
    mesh = extract_mesh(torch.zeros(0, 3, dtype=torch.int32), torch.zeros(0, CUBE_CHANNELS), 8)
    assert len(mesh.vertices) == len(mesh.faces) == len(mesh.attributes) == 0
