# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Masks and cameras that fit give the object's box; those that do not are diagnosed."""

from dataclasses import replace

import numpy as np
import pytest

from photocast.data import Photo
from photocast.errors import CameraError
from photocast.stages.consistency import (
    FLIPS,
    HYPOTHESES,
    changed_pose,
    check_agreement,
    object_box,
    require_agreement,
)
from photocast.stages.ingest import decode_photos, read_capture


@pytest.fixture
def photos(cameras, draw):
    def make(count=16, general=False):
        made = []
        for i, camera in enumerate(cameras(count, general=general)):
            alpha, _ = draw(camera)
            made.append(Photo(f"v{i}", camera, np.zeros((*alpha.shape, 3), np.uint8), alpha))
        return made

    return make


def with_poses(photos, change):
    return [
        replace(p, camera=replace(p.camera, camera_from_world=change(p.camera.camera_from_world)))
        for p in photos
    ]


def spoil(pose, inverted, flip):
    """The wrong pose that the hypothesis repairs."""
    wrong = FLIPS[flip] @ pose
    return np.linalg.inv(wrong) if inverted else wrong


def assert_box_fits(box, bounds, slack):
    size = np.linalg.norm(bounds[1] - bounds[0])
    assert (box[0] <= bounds[0] + 0.01 * size).all()
    assert (box[1] >= bounds[1] - 0.01 * size).all()
    assert np.abs(box - bounds).max() < slack * size


def test_the_box_encloses_the_object_closely(photos, object_bounds):
    for general in (False, True):
        assert_box_fits(object_box(photos(general=general)), object_bounds, 0.12)


@pytest.mark.parametrize("factor", [0.01, 300.0])
def test_the_box_follows_the_scale_of_the_world(factor, photos, object_bounds):
    def scaled(pose):
        pose = pose.copy()
        pose[:3, 3] *= factor
        return pose

    box = object_box(with_poses(photos(), scaled))
    assert_box_fits(box, object_bounds * factor, 0.12)


def test_a_few_bad_masks_do_not_move_the_box(photos, object_bounds):
    bad = photos(40)
    bad[3] = replace(bad[3], mask=np.zeros_like(bad[3].mask))
    bad[20] = replace(bad[20], mask=np.ascontiguousarray(bad[20].mask[:, ::-1] * 0))
    assert_box_fits(object_box(bad), object_bounds, 0.15)
    assert set(check_agreement(bad).bad_views) == {"v3", "v20"}


def test_an_object_larger_than_the_photos_is_found(photos, cameras, draw, object_bounds):
    # Half of the photos are close-ups that cut the object.
    made = photos()
    for i in range(0, 16, 2):
        camera = made[i].camera
        close = replace(camera, fx=camera.fx * 2.2, fy=camera.fy * 2.2)
        made[i] = replace(made[i], camera=close, mask=draw(close)[0])
    assert_box_fits(object_box(made), object_bounds, 0.2)


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_each_hypothesis_repairs_its_own_mistake(hypothesis, photos):
    for photo in photos(3):
        pose = photo.camera.camera_from_world
        repaired = changed_pose(spoil(pose, *hypothesis), *hypothesis)
        np.testing.assert_allclose(repaired, pose, atol=1e-12)


def test_good_cameras_are_accepted(photos):
    agreement = require_agreement(photos())
    assert agreement.score > 0.95
    assert agreement.suggestion == ""
    assert agreement.bad_views == ()


@pytest.mark.data
@pytest.mark.parametrize("name", ["spot", "dino_ring"])
def test_the_wrong_axes_of_real_cameras_are_named(name, capture_folder):
    capture = read_capture(capture_folder(name))
    photos = decode_photos(capture.views[::4], mask_source=capture.mask_source, max_size=200)
    assert check_agreement(photos).score > 0.97
    for inverted, flip in HYPOTHESES[1:]:
        spoiled = with_poses(photos, lambda pose, a=inverted, b=flip: spoil(pose, a, b))
        agreement = check_agreement(spoiled)
        assert agreement.suggestion_score > 0.9
        assert ("inverted" in agreement.suggestion) == inverted
        assert agreement.suggestion.endswith(flip or "camera_from_world)")
        with pytest.raises(CameraError) as caught:
            require_agreement(spoiled)
        assert caught.value.code == "camera.axes"


def test_shuffled_cameras_are_refused(photos):
    made = photos()
    poses = [photo.camera for photo in made]
    order = np.random.default_rng(0).permutation(16)
    shifted = [
        replace(p, mask=np.roll(p.mask, (-14, 22), (0, 1)), camera=poses[i])
        for p, i in zip(made, order, strict=True)
    ]
    with pytest.raises(CameraError) as caught:
        # Masks at a common wrong place of a turned-away camera explain nothing together.
        require_agreement(
            [
                replace(p, mask=np.roll(p.mask, 9 * i, 1), camera=c)
                for i, (p, c) in enumerate(zip(shifted, poses, strict=True))
            ]
        )
    assert caught.value.code == "camera.masks_disagree"


def test_no_common_object_is_an_error(photos):
    away = with_poses(photos(), lambda pose: np.diag([-1.0, 1, -1, 1]) @ pose)
    with pytest.raises(CameraError, match="no common object") as caught:
        object_box(away)
    assert caught.value.code == "camera.masks_disagree"
