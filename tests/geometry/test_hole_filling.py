# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rims are walked whole, and what is filled is closed and as small as it can be."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.geometry.hole_filling import fill_ring, rim_rings
from photocast.geometry.topology import Topology


def closed(faces: np.ndarray, count: int) -> np.ndarray:
    """Fill every ring."""
    topology = Topology(faces.astype(np.int32), count)
    points = np.random.default_rng(0).random((count, 3))
    parts = [faces]
    for ring in rim_rings(topology):
        corners = topology.stop[ring[::-1]]
        parts.append(corners[fill_ring(points[corners])])
    return np.concatenate(parts)


@given(st.sets(st.integers(0, 319), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_holes_of_a_closed_surface_can_be_filled(gone):
    ball = trimesh.creation.icosphere(2)
    kept = np.delete(ball.faces, list(gone), axis=0)
    whole = Topology(closed(kept, len(ball.vertices)).astype(np.int32), len(ball.vertices))
    assert len(whole.rim) == 0
    assert whole.consistent


def test_rings_are_rings_and_every_rim_is_in_one():
    ball = trimesh.creation.icosphere(2)
    topology = Topology(ball.faces[30:].astype(np.int32), len(ball.vertices))
    rings = rim_rings(topology)
    assert sorted(np.concatenate(rings).tolist()) == sorted(topology.rim.tolist())
    for ring in rings:
        np.testing.assert_array_equal(topology.stop[ring], topology.start[np.roll(ring, -1)])
        assert len(set(topology.start[ring].tolist())) == len(ring)


@pytest.mark.parametrize("count", [3, 4, 7, 30, 48, 49, 200])
def test_a_flat_ring_is_covered_once(count):
    turn = 2 * np.pi * np.arange(count) / count
    radius = 1 + 0.4 * np.cos(5 * turn) * (count > 6)
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.zeros(count)], axis=1)
    faces = fill_ring(ring)
    assert faces.shape == (count - 2, 3)
    a, b, c = (ring[faces[:, i]] for i in range(3))
    signed = np.cross(b - a, c - a)[:, 2] / 2
    after = np.roll(ring, -1, axis=0)
    area = (ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0]).sum() / 2
    assert signed.sum() == pytest.approx(area)
    assert (signed > -1e-9).all(), "a triangle lies over another one"


def test_a_saddle_gets_the_smaller_of_both_ways():
    ring = np.array([[0, 0, 0], [3, 0, 1], [3, 1, 0], [0, 1, 1]], float)
    areas = []
    for faces in (
        fill_ring(ring),
        np.array([[0, 1, 2], [0, 2, 3]]),
        np.array([[0, 1, 3], [1, 2, 3]]),
    ):
        a, b, c = (ring[faces[:, i]] for i in range(3))
        areas.append(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())
    assert areas[0] == pytest.approx(min(areas[1:]))
