# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances between surfaces whose distance is known."""

from dataclasses import asdict

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.data import Mesh
from photocast.stages.mesh_distance import mesh_distances, sample_surface


def as_mesh(mesh: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(mesh.vertices, np.float32), np.array(mesh.faces, np.int32))


def ball(radius: float = 1.0) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=4, radius=radius)


def plate(height: float = 0.0, width: float = 2.0) -> Mesh:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * [width, 2.0]
    vertices = np.column_stack([corners, np.full(4, height)]).astype(np.float32)
    return Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def test_a_surface_is_at_no_distance_from_itself_however_it_is_cut():
    fine = as_mesh(trimesh.creation.box().subdivide().subdivide())
    scores = mesh_distances(fine, as_mesh(trimesh.creation.box()), point_count=5000)
    assert scores.chamfer < 1e-6
    assert (scores.f_score_half_percent, scores.f_score_one_percent) == (1, 1)
    assert scores.normal_consistency == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("shift", "f_half", "f_one"), [(0.01, 1, 1), (0.02, 0, 1), (0.04, 0, 0)])
def test_a_shifted_plate_is_that_far_away(shift, f_half, f_one):
    diagonal = np.sqrt(8)  # thresholds: 0.0141 and 0.0283
    scores = mesh_distances(plate(shift), plate(), point_count=2000)
    for value in (scores.accuracy, scores.completeness, scores.chamfer):
        assert value == pytest.approx(shift / diagonal, rel=1e-4)
    assert (scores.f_score_half_percent, scores.f_score_one_percent) == (f_half, f_one)
    assert scores.diagonal == pytest.approx(diagonal)
    assert scores.normal_consistency == pytest.approx(1)


def test_a_larger_ball_is_the_difference_of_the_radii_away():
    scores = mesh_distances(as_mesh(ball(1.1)), as_mesh(ball()), point_count=20_000)
    assert scores.chamfer == pytest.approx(0.1 / np.sqrt(12), rel=0.02)
    assert scores.normal_consistency > 0.998


def test_what_is_missing_costs_completeness_and_what_is_extra_accuracy():
    # Half a plate: the points beyond are 0..1 from its edge, 0.5 on average, and half of all.
    half, whole = plate(width=1.0), plate(width=2.0)
    missing = mesh_distances(half, whole, point_count=20_000)
    assert missing.accuracy == pytest.approx(0, abs=1e-7)
    assert missing.completeness * missing.diagonal == pytest.approx(0.25, rel=0.02)
    extra = mesh_distances(whole, half, point_count=20_000)
    assert extra.completeness == pytest.approx(0, abs=1e-7)
    assert extra.accuracy * extra.diagonal == pytest.approx(0.25, rel=0.02)
    # Precision 1, and recall a half plus the strip within 1 % of the diagonal.
    recall = 0.5 + 0.01 * np.sqrt(8) / 2
    assert missing.f_score_one_percent == pytest.approx(2 * recall / (1 + recall), rel=0.01)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.1, 10))
def test_moving_scaling_and_reordering_both_changes_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    turn = trimesh.transformations.random_rotation_matrix(rng.random(3))
    made, truth = ball(1.05), trimesh.creation.box((1.2, 1.7, 1.4))
    before = mesh_distances(as_mesh(made), as_mesh(truth), point_count=4000)
    matrix = turn.copy()
    # Quarter turns keep the axis-aligned diagonal; any turn keeps the distances.
    matrix[:3, 3] = rng.normal(size=3)
    matrix[:3, :3] *= scale
    order = rng.permutation(len(made.faces))
    made.faces = np.roll(made.faces[order], 1, axis=1)
    moved = [as_mesh(m.copy().apply_transform(matrix)) for m in (made, truth)]
    after = mesh_distances(*moved, point_count=4000)
    for name in ("accuracy", "completeness"):
        world = getattr(before, name) * before.diagonal * scale
        assert getattr(after, name) * after.diagonal == pytest.approx(world, rel=0.05)


def test_turning_all_faces_over_changes_nothing():
    made = ball(1.02)
    turned = Mesh(as_mesh(made).vertices, np.ascontiguousarray(as_mesh(made).faces[:, ::-1]))
    truth = as_mesh(ball())
    straight = mesh_distances(as_mesh(made), truth, point_count=5000)
    assert mesh_distances(turned, truth, point_count=5000).chamfer == pytest.approx(
        straight.chamfer, rel=0.01
    )


def test_equal_seeds_give_equal_scores_and_others_nearly():
    meshes = as_mesh(ball(1.1)), as_mesh(trimesh.creation.box((1.5, 1.5, 1.5)))
    one = mesh_distances(*meshes, point_count=5000, seed=1)
    assert one == mesh_distances(*meshes, point_count=5000, seed=1)
    other = mesh_distances(*meshes, point_count=5000, seed=2)
    assert one != other
    np.testing.assert_allclose(list(asdict(one).values()), list(asdict(other).values()), rtol=0.05)


def test_points_are_spread_evenly_by_area():
    # A mesh with one huge and many tiny triangles: each gets its share.
    shape = trimesh.util.concatenate([ball(0.3), trimesh.creation.box((4, 1, 1))])
    points, faces = sample_surface(as_mesh(shape), 50_000, seed=0)
    share = np.bincount(faces, minlength=len(shape.faces)) / 50_000
    np.testing.assert_allclose(share, shape.area_faces / shape.area, atol=2 / 50_000)
    corners = shape.triangles[faces]
    inside = trimesh.triangles.points_to_barycentric(corners, points)
    assert inside.min() > -1e-4
    # Within a triangle the mean of even points is its middle.
    for face in np.argsort(shape.area_faces)[-4:]:
        mean = inside[faces == face].mean(axis=0)
        np.testing.assert_allclose(mean, 1 / 3, atol=0.02)
