# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixels along outlines take their colour from further inside, and nothing else changes."""

import numpy as np
import pytest

from photocast.data import Camera, Photo
from photocast.stages.rim import without_rims

SIZE = 40


def photo_of(mask, rgb):
    camera = Camera(
        width=SIZE, height=SIZE, fx=50, fy=50, cx=20, cy=20, camera_from_world=np.eye(4)
    )
    return Photo(name="a", camera=camera, rgb=rgb, mask=mask)


@pytest.fixture
def blurred():
    """A bright disc on black whose outline is a ramp four pixels wide."""
    y, x = np.mgrid[:SIZE, :SIZE] - 19.5
    ramp = np.clip((14 - np.hypot(x, y)) / 4 + 0.5, 0, 1)
    rgb = np.repeat((ramp * 200)[..., None], 3, axis=2).astype(np.uint8)
    return photo_of(((ramp > 0.1) * 255).astype(np.uint8), rgb)


def test_the_ramp_within_the_mask_becomes_the_objects_colour(blurred):
    (found,) = without_rims([blurred], 4)
    inside = found.mask > 127
    assert blurred.rgb[inside].min() < 60
    assert found.rgb[inside].min() > 180


def test_far_from_the_outline_nothing_changes(blurred):
    (found,) = without_rims([blurred], 2)
    y, x = np.mgrid[:SIZE, :SIZE] - 19.5
    for far in (np.hypot(x, y) < 11, np.hypot(x, y) > 22):
        assert (found.rgb[far] == blurred.rgb[far]).all()
    assert found.mask is blurred.mask
    assert found.camera is blurred.camera


def test_a_thread_that_is_all_rim_keeps_its_colour(blurred):
    blurred.mask[:2, :8], blurred.rgb[:2, :8] = 255, 90
    (found,) = without_rims([blurred], 4)
    assert (found.rgb[:2, :8] == 90).all()


def test_without_a_mask_or_a_width_photos_stay(blurred):
    bare = photo_of(None, blurred.rgb)
    assert without_rims([bare], 2) == (bare,)
    assert without_rims([blurred], 0) == (blurred,)


def test_an_empty_mask_leaves_the_photo(blurred):
    empty = photo_of(np.zeros_like(blurred.mask), blurred.rgb)
    assert without_rims([empty], 2) == (empty,)
