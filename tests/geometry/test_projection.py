# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.testing import assert_close

from photocast.geometry.projection import clip_from_camera, transform_points

CAMERA = {
    "size": (480, 640),
    "focal": (500.0, 510.0),
    "principal": (333.0, 111.0),
    "near": 0.5,
    "far": 20.0,
}


def test_points_land_on_the_pixels_of_the_pinhole_camera():
    points = torch.tensor([[0.1, 0.2, 1.0], [-1, 0.7, 3], [0, 0, 20]], dtype=torch.float64)
    clip = transform_points(clip_from_camera(**CAMERA)[None], points)[0]
    x = (clip[:, 0] / clip[:, 3] + 1) / 2 * 640
    y = (clip[:, 1] / clip[:, 3] + 1) / 2 * 480
    assert_close(x, 500 * points[:, 0] / points[:, 2] + 333)
    assert_close(y, 510 * points[:, 1] / points[:, 2] + 111)
    assert_close(clip[:, 3], points[:, 2])


def test_near_and_far_are_the_ends_of_the_depth_range():
    points = torch.tensor([[1, 2, 0.5], [3, -1, 20.0], [0, 0, 2.0]], dtype=torch.float64)
    clip = transform_points(clip_from_camera(**CAMERA)[None], points)[0]
    depth = clip[:, 2] / clip[:, 3]
    assert_close(depth[:2], torch.tensor([-1.0, 1.0], dtype=torch.float64))
    assert -1 < depth[2] < 1


def test_each_view_uses_its_own_matrix_and_gets_gradient():
    matrices = torch.randn((3, 4, 4), dtype=torch.float64, requires_grad=True)
    points = torch.randn((5, 3), dtype=torch.float64, requires_grad=True)
    clip = transform_points(matrices, points)
    for view in range(3):
        whole = torch.cat([points, torch.ones(5, 1, dtype=torch.float64)], 1)
        assert_close(clip[view], whole @ matrices[view].T)
    assert torch.autograd.gradcheck(transform_points, (matrices, points))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"near": 0.0}, "near is 0 and far is 20"),
        ({"far": 0.1}, "near is 0.5 and far is 0.1"),
        ({"size": (0, 4)}, "must be positive"),
        ({"focal": (1.0, -1.0)}, "must be positive"),
    ],
)
def test_an_impossible_camera_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        clip_from_camera(**(CAMERA | change))


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(4, 4\) and vertices \(5, 3\)"):
        transform_points(torch.eye(4), torch.zeros(5, 3))
