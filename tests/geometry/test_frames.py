# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Laws of poses, projections and the guess of what is up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from photocast.errors import CameraError
from photocast.geometry.frames import (
    decompose_projection,
    invert_rigid,
    look_at_point,
    nearest_rigid,
    rotation_from_quaternion,
    world_up,
)

quaternions = arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(
    lambda q: np.linalg.norm(q) > 0.1
)
vectors = arrays(np.float64, 3, elements=st.floats(-10, 10))


def pose_of(quaternion, translation):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation_from_quaternion(quaternion), translation
    return pose


@given(quaternions, vectors, vectors)
def test_inverse_pose_undoes_the_pose(quaternion, translation, point):
    pose = pose_of(quaternion, translation)
    there = pose @ [*point, 1]
    np.testing.assert_allclose((invert_rigid(pose) @ there)[:3], point, atol=1e-12)


@given(quaternions)
def test_quaternions_give_rotations(quaternion):
    rotation = rotation_from_quaternion(quaternion)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation_from_quaternion(-quaternion), rotation, atol=1e-12)


def test_a_quarter_turn_about_z_takes_x_to_y():
    rotation = rotation_from_quaternion([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_a_zero_quaternion_is_refused():
    with pytest.raises(CameraError, match="no rotation"):
        rotation_from_quaternion([0, 0, 0, 0])


@given(
    quaternions,
    vectors,
    st.tuples(st.floats(1, 1e4), st.floats(1, 1e4), st.floats(-2e3, 2e3), st.floats(-2e3, 2e3)),
    st.floats(0.1, 50),
    st.sampled_from([-1.0, 1.0]),
)
def test_a_projection_splits_into_what_made_it(quaternion, translation, lens, factor, sign):
    pose = pose_of(quaternion, translation)
    fx, fy, cx, cy = lens
    k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    got_k, got_pose = decompose_projection(sign * factor * k @ pose[:3])
    np.testing.assert_allclose(got_k, k, rtol=1e-6, atol=1e-6 * max(fx, fy))
    np.testing.assert_allclose(got_pose, pose, atol=1e-5)


@given(quaternions, vectors, st.floats(0.01, 100))
def test_a_uniform_scale_is_removed_from_a_pose(quaternion, translation, scale):
    pose = pose_of(quaternion, translation)
    scaled = pose.copy()
    scaled[:3, :3] *= scale
    rigid, removed = nearest_rigid(scaled)
    np.testing.assert_allclose(rigid, pose, atol=1e-9)
    assert removed == pytest.approx(scale)


@given(vectors, arrays(np.float64, (6, 3), elements=st.floats(-5, 5)))
def test_axes_through_one_point_meet_there(point, centers):
    centers = (
        centers + point + [[7, 0, 0], [0, 8, 0], [0, 0, 9], [-7, 0, 0], [0, -8, 0], [0, 0, -9]]
    )
    forwards = point - centers
    forwards /= np.linalg.norm(forwards, axis=1, keepdims=True)
    np.testing.assert_allclose(look_at_point(centers, forwards), point, atol=1e-6)
    assert look_at_point(centers, -forwards) is None


def test_parallel_axes_meet_nowhere():
    centers = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]])
    assert look_at_point(centers, np.tile([0, 0, 1.0], (3, 1))) is None


def ring(roll_deg: float, tilt: float = 0.0) -> np.ndarray:
    """Cameras on a ring about +Z looking at its middle, rolled about their viewing axis."""
    poses = []
    roll = np.radians(roll_deg)
    for angle in np.linspace(0, 2 * np.pi, 20, endpoint=False):
        eye = np.array([np.cos(angle), np.sin(angle), tilt])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        spin = np.array(
            [[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        )
        pose = np.eye(4)
        pose[:3, :3] = spin @ rotation
        pose[:3, 3] = -pose[:3, :3] @ eye
        poses.append(pose)
    return np.stack(poses)


@pytest.mark.parametrize(
    ("roll", "tilt", "wanted", "reason"),
    [
        (0, 0.5, 1, "level"),
        (0, 0.0, 1, "level"),
        (180, 0.0, -1, "level"),
        (40, 0.0, 1, "ring"),
        (140, 0.0, -1, "ring"),
        (90, 0.0, 1, "sign unknown"),
    ],
)
def test_up_of_a_ring(roll, tilt, wanted, reason):
    up, why = world_up(ring(roll, tilt))
    np.testing.assert_allclose(up, [0, 0, wanted], atol=1e-6)
    assert reason in why


def test_up_of_scattered_rolled_cameras_is_their_average():
    rng = np.random.default_rng(3)
    poses = ring(0, 0.3)
    for pose in poses:
        axis = rotation_from_quaternion([1, *rng.normal(0, 0.3, 3)])
        pose[:3, :3] = axis @ pose[:3, :3]
        pose[:3, 3] = -pose[:3, :3] @ rng.normal(0, 3, 3)
    up, _ = world_up(poses)
    assert up @ [0, 0, 1] > 0.9
    assert np.linalg.norm(up) == pytest.approx(1)
