# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh in place is left alone; one that is not is told how it would fit, or brought there."""

import re

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from photocast.config import InitConfig
from photocast.data import Mesh
from photocast.errors import MeshError
from photocast.geometry.placements import IDENTITY, Placement
from photocast.stages.align import aligned
from photocast.stages.outlines import outlines_of

CPU = torch.device("cpu")


def lopsided() -> Mesh:
    """Three boxes of which no turn but none makes the same outline."""
    parts = [
        trimesh.creation.box((1.2, 0.5, 0.4)),
        trimesh.creation.box((0.3, 0.9, 0.3)).apply_translation([0.4, 0.3, 0.0]),
        trimesh.creation.box((0.25, 0.25, 0.8)).apply_translation([-0.4, 0.1, 0.35]),
    ]
    whole = trimesh.util.concatenate(parts)
    return Mesh(whole.vertices.astype(np.float32), whole.faces.astype(np.int32))


@pytest.fixture(scope="module")
def photos(photograph):
    return photograph(lopsided(), count=10, size=72)


@pytest.fixture(scope="module")
def box():
    return lopsided().bounds.astype(np.float64) + np.array([[-0.02], [0.02]])


def misplaced(placement: Placement) -> Mesh:
    mesh = lopsided()
    return Mesh(placement(mesh.vertices).astype(np.float32), mesh.faces)


def turned(axis: str, angle: float, scale: float = 1.0, shift=(0, 0, 0)) -> Placement:
    rotation = Rotation.from_euler(axis, angle, degrees=True).as_matrix()
    return Placement(rotation, scale, np.array(shift, float))


def settings(**changes) -> InitConfig:
    return InitConfig(mesh="scan.ply", **{"size": 96, "views": 10, **changes})


def overlap(mesh: Mesh, photos, box, **changes) -> np.ndarray:
    views = outlines_of(photos, box, **{"views": 10, "size": 96, **changes}, device=CPU)
    return views.overlap(torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.faces)).numpy()


def test_outlines_of_the_object_itself_fill_its_masks(photos, box):
    assert overlap(lopsided(), photos, box).min() > 0.93


def test_overlap_is_intersection_over_union(photos, box):
    mesh = lopsided()
    half = misplaced(Placement(np.eye(3), 0.5, mesh.bounds.mean(axis=0) * 0.5))
    whole, small = overlap(mesh, photos, box), overlap(half, photos, box)
    assert (small < 0.45).all()  # a quarter of the area, some of it outside
    assert (small > 0.05).all()
    assert (whole > small).all()
    away = misplaced(Placement(np.eye(3), 1.0, np.array([50.0, 0, 0])))
    assert overlap(away, photos, box).max() == 0


def test_a_mesh_around_the_cameras_does_not_fit(photos, box):
    assert overlap(misplaced(Placement(np.eye(3), 1000.0, np.zeros(3))), photos, box).max() < 0.5


def test_views_are_chosen_evenly_and_small_sizes_will_do(photos, box):
    found = overlap(lopsided(), photos, box, views=3, size=48)
    assert found.shape == (3,)
    assert found.min() > 0.88


def test_a_mesh_in_place_is_the_very_same(photos, box):
    mesh = lopsided()
    for align in (False, True):
        found = aligned(mesh, photos, box, settings(align=align), CPU)
        assert found.mesh is mesh
        assert found.moved == ""
        assert found.iou > 0.93


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (turned("x", -90, 1000.0), "rotating by 90 degrees about X and scaling by 0.001"),
        (turned("z", 180, 0.01), "rotating by 180 degrees about Z and scaling by 100"),
        (turned("y", 90, 0.37, (5, -2, 9)), "rotating by -90 degrees about Y, scaling by 2.7"),
    ],
)
def test_a_misplaced_mesh_is_told_what_would_fit_and_brought_there_if_allowed(
    wrong, words, photos, box
):
    mesh = misplaced(wrong)
    with pytest.raises(MeshError, match=r"scan\.ply") as caught:
        aligned(mesh, photos, box, settings(), CPU)
    assert caught.value.code == "init.misaligned"
    told = str(caught.value)
    assert words in told.replace("Rotating", "rotating")
    assert "--init-align" in told
    promised = float(re.search(r"would fit \(IoU (0\.\d\d)\)", told)[1])
    found = aligned(mesh, photos, box, settings(align=True), CPU)
    assert found.iou == pytest.approx(promised, abs=0.006)
    assert words in found.moved
    size = np.ptp(lopsided().vertices, axis=0).max()
    assert np.abs(found.mesh.vertices - lopsided().vertices).max() < 0.02 * size
    np.testing.assert_array_equal(found.mesh.faces, mesh.faces)


def test_a_small_error_is_corrected_if_allowed(photos, box):
    wrong = turned("y", 7, 1.06, (0.06, -0.04, 0.05))
    before = np.abs(misplaced(wrong).vertices - lopsided().vertices).max()
    found = aligned(misplaced(wrong), photos, box, settings(align=True), CPU)
    assert found.moved.endswith("a small correction")
    assert "rotating" not in found.moved
    assert np.abs(found.mesh.vertices - lopsided().vertices).max() < 0.25 * before


def test_another_object_is_refused_with_the_best_that_was_found(photos, box):
    ball = trimesh.creation.icosphere(2)
    other = Mesh(ball.vertices.astype(np.float32), ball.faces.astype(np.int32))
    with pytest.raises(MeshError, match="whole object") as caught:
        aligned(other, photos, box, settings(align=True), CPU)
    assert caught.value.code == "init.misaligned"
    given, best = map(float, re.findall(r"0\.\d\d", str(caught.value))[:2])
    assert given < 0.9
    assert best < 0.9


def test_the_identity_moves_nothing():
    np.testing.assert_array_equal(IDENTITY(lopsided().vertices), lopsided().vertices)
