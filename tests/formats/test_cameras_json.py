# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""cameras.json keeps every digit and refuses what it cannot understand."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.data import Camera, LensChange
from photocast.errors import CameraError
from photocast.formats.cameras_json import cameras_json, load_cameras

POSITIVE = st.floats(1e-3, 1e6)


@settings(max_examples=30, deadline=None)
@given(numbers=st.tuples(POSITIVE, POSITIVE, POSITIVE, POSITIVE), shift=st.floats(-1e6, 1e6))
def test_saved_then_loaded_is_bit_equal(numbers, shift, tmp_path_factory):
    pose = np.eye(4)
    pose[:3, 3] = shift, shift / 3, 0.1
    camera = Camera(640, 480, *numbers, pose)
    path = tmp_path_factory.mktemp("cameras") / "cameras.json"
    up = np.array([0.6, 0.0, 0.8])
    path.write_bytes(cameras_json({"a/b": camera}, up))
    back = load_cameras(path)
    np.testing.assert_array_equal(back.up, up)
    np.testing.assert_array_equal(back.cameras["a/b"].intrinsics, camera.intrinsics)
    np.testing.assert_array_equal(back.cameras["a/b"].camera_from_world, pose)
    assert (back.cameras["a/b"].width, back.cameras["a/b"].height) == (640, 480)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d.update(version=99), "camera.version"),
        (lambda d: d["views"][0].pop("fx"), "camera.damaged"),
        (lambda d: d.update(lens={"focal": -1}), "camera.damaged"),
        (lambda d: d.update(lens={"zoom": 1}), "camera.damaged"),
        (lambda d: d["views"][0].update(fx=-1), "camera.intrinsics"),
        (lambda d: d.update(up=[0, 1]), "camera.damaged"),
        (lambda d: d["views"][0].update(camera_from_world=[[1]]), "camera.pose_shape"),
    ],
)
def test_damage_is_named(tmp_path, change, code):
    camera = Camera(4, 3, 2, 2, 2, 1.5, np.eye(4))
    document = json.loads(cameras_json({"v": camera}, np.array([0, 1, 0])))
    change(document)
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(CameraError, match=r"cameras\.json") as caught:
        load_cameras(path)
    assert caught.value.code == code


@pytest.mark.parametrize(("content", "code"), [(None, "camera.missing"), ("{", "camera.damaged")])
def test_a_missing_or_torn_file_is_named(tmp_path, content, code):
    path = tmp_path / "cameras.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(CameraError, match=r"cameras\.json") as caught:
        load_cameras(path)
    assert caught.value.code == code


def test_a_change_of_the_lens_is_kept_and_none_is_not_written(tmp_path):
    camera = Camera(4, 3, 2, 2, 2, 1.5, np.eye(4))
    path = tmp_path / "cameras.json"
    lens = LensChange(focal=1.001, shift_x=0.002, shift_y=-1 / 3, aspect=4 / 3)
    path.write_bytes(cameras_json({"v": camera}, np.array([0, 1, 0]), lens))
    assert load_cameras(path).lens == lens
    path.write_bytes(cameras_json({"v": camera}, np.array([0, 1, 0]), LensChange()))
    assert b"lens" not in path.read_bytes()
    assert load_cameras(path).lens == LensChange()
