# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Edges, rims, fans and sides against trimesh and against counting by hand."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.geometry.nesting import shell_depths
from photocast.geometry.topology import Topology


def topology(faces) -> Topology:
    table = np.asarray(faces, np.int32)
    return Topology(table, int(table.max()) + 1)


TRIANGLES = st.lists(
    st.tuples(*[st.integers(0, 7)] * 3).filter(lambda t: len(set(t)) == 3), min_size=1, max_size=30
)


@given(TRIANGLES)
@settings(max_examples=200, deadline=None)
def test_any_triangles_are_counted_as_by_hand(triangles):
    found = topology(triangles)
    users: dict[frozenset[int], int] = {}
    for a, b, c in triangles:
        for edge in (frozenset((a, b)), frozenset((b, c)), frozenset((c, a))):
            users[edge] = users.get(edge, 0) + 1
    counts = list(users.values())
    assert found.edge_count == len(counts)
    assert len(found.rim) == counts.count(1)
    assert len(found.pairs) == counts.count(2)
    assert found.crowded_count == sum(count > 2 for count in counts)
    assert len(found.crowded) == sum(count for count in counts if count > 2)
    assert found.watertight == all(count == 2 for count in counts)
    sets = [frozenset(t) for t in triangles]
    assert found.duplicates.tolist() == [i for i, s in enumerate(sets) if s in sets[:i]]
    graph = trimesh.graph.connected_components(
        [tuple(edge) for edge in users], nodes=np.unique(triangles)
    )
    assert found.part_count == len(graph)
    used = len(np.unique(triangles))
    assert found.euler.sum() == used - len(counts) + len(triangles)


@given(TRIANGLES)
@settings(max_examples=200, deadline=None)
def test_a_vertex_is_pinched_if_its_triangles_are_in_more_than_one_group(triangles):
    found = set(topology(triangles).pinched.tolist())
    for vertex in range(8):
        around = [set(t) - {vertex} for t in triangles if vertex in t]
        groups: list[set[int]] = []
        for pair in around:
            joined = [group for group in groups if group & pair]
            groups = [g for g in groups if g not in joined] + [pair.union(*joined)]
        assert (vertex in found) == (len(groups) > 1)


def test_flipped_triangles_are_found_whichever_they_are():
    torus = trimesh.creation.torus(1.0, 0.3)
    rng = np.random.default_rng(2)
    for count in (1, 7, 200):
        faces = torus.faces.astype(np.int32).copy()
        chosen = rng.choice(len(faces), count, replace=False)
        faces[chosen] = faces[chosen, ::-1]
        flipped, can_agree = topology(faces).flipped()
        assert can_agree
        np.testing.assert_array_equal(np.flatnonzero(flipped), np.sort(chosen))
        assert not topology(faces).consistent


def test_a_strip_with_one_side_cannot_agree():
    faces = [[0, 1, 2], [1, 3, 2], [2, 3, 4], [3, 5, 4], [4, 5, 1], [5, 0, 1]]
    assert not topology(faces).flipped()[1]


def test_rims_are_numbered_by_the_hole_they_go_around():
    ball = trimesh.creation.icosphere(3)
    middles = ball.triangles_center
    kept = ball.faces[(np.abs(middles[:, 2]) < 0.9) & (middles[:, 0] < 0.9)]
    found = topology(kept)
    assert found.rim_loop.max() + 1 == 3
    assert len(np.unique(found.rim_loop)) == 3


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_shells_know_how_deep_they_lie(order):
    boxes = [trimesh.creation.box([side] * 3) for side in (4.0, 3.0, 2.0)]
    boxes.append(trimesh.creation.box([1.0] * 3).apply_translation([9, 0, 0]))
    depths = [0, 1, 2, 0]
    vertices, faces, part = [], [], []
    for k, index in enumerate(order):
        faces.append(boxes[index].faces + 8 * k)
        vertices.append(boxes[index].vertices)
        part += [k] * 12
    found = shell_depths(np.concatenate(vertices), np.concatenate(faces), np.array(part))
    assert [found[k] for k in range(4)] == [depths[index] for index in order]
