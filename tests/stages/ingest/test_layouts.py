# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every layout yields the cameras it was written from."""

import json

import numpy as np
import pytest
from PIL import Image

from photocast.data import Distortion
from photocast.errors import UnsuitableInput
from photocast.stages.ingest import hold_out_every, read_capture

NAMES = {
    "blender": "blender",
    "nerfstudio": "nerfstudio",
    "llff": "llff",
    "idr": "idr",
    "middlebury": "middlebury",
    "colmap_text": "colmap-text",
    "colmap_binary": "colmap-binary",
}
ANY_LENS = ["nerfstudio", "idr", "middlebury", "colmap_text", "colmap_binary"]


def assert_same_cameras(views, cameras):
    assert len(views) == len(cameras)
    for view, wanted in zip(views, cameras, strict=True):
        got = view.camera
        assert (got.width, got.height) == (wanted.width, wanted.height)
        np.testing.assert_allclose(got.intrinsics, wanted.intrinsics, atol=1e-6)
        np.testing.assert_allclose(got.camera_from_world, wanted.camera_from_world, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_cameras_survive_the_round_trip(name, layout, cameras):
    wanted = cameras()
    written = layout(wanted)
    getattr(written, name)()
    capture = read_capture(written.root)
    assert capture.layout == NAMES[name]
    assert_same_cameras(capture.views, wanted)
    assert [view.name for view in capture.views] == [f"view_{i:03d}" for i in range(12)]
    assert capture.mask_source == "alpha"
    assert capture.warnings == ()


@pytest.mark.parametrize("name", ANY_LENS)
def test_unequal_focal_lengths_and_shifted_centres_survive(name, layout, cameras):
    wanted = cameras(general=True)
    written = layout(wanted)
    getattr(written, name)()
    assert_same_cameras(read_capture(written.root).views, wanted)


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (0, 0.6, -0.8)])
@pytest.mark.parametrize("name", ["llff", "colmap_text"])
def test_up_is_found_from_level_cameras(name, up, layout, cameras):
    written = layout(cameras(up=up))
    getattr(written, name)()
    np.testing.assert_allclose(read_capture(written.root).up, up, atol=0.02)


def test_blender_up_is_z_unless_cameras_are_clearly_level_otherwise(layout, cameras):
    for name, up in (("z", (0, 0, 1)), ("y", (0, 1, 0))):
        written = layout(cameras(up=up), name=name)
        written.blender()
        assert read_capture(written.root).up.tolist() == list(up)


@pytest.mark.parametrize(
    ("model", "number", "extra", "wanted"),
    [
        ("OPENCV", 4, (0.1, -0.02, 0.003, 0.004), Distortion("opencv", (0.1, -0.02, 0.003, 0.004))),
        ("OPENCV_FISHEYE", 5, (0.1, 0.2, 0, 0), Distortion("fisheye", (0.1, 0.2, 0.0, 0.0))),
        (
            "FULL_OPENCV",
            6,
            (0.1, 0.2, 0.003, 0.004, 0.5, 0.6, 0.7, 0.8),
            Distortion("opencv", (0.1, 0.2, 0.003, 0.004, 0.5, 0.6, 0.7, 0.8)),
        ),
    ],
)
def test_colmap_lenses_are_read_in_both_encodings(model, number, extra, wanted, layout):
    text, binary = layout(name="text"), layout(name="binary")
    text.colmap_text(model, extra)
    binary.colmap_binary(number, extra)
    for root in (text.root, binary.root):
        assert read_capture(root).views[0].camera.distortion == wanted


@pytest.mark.parametrize("model", ["FOV", "THIN_PRISM_FISHEYE"])
def test_other_colmap_models_are_refused_by_name(model, layout):
    written = layout()
    written.colmap_text(model, (0.1,))
    with pytest.raises(UnsuitableInput, match=model) as caught:
        read_capture(written.root)
    assert caught.value.code == "camera.model"


def test_nerfstudio_lens_and_depth_settings_are_read(layout):
    written = layout()
    written.nerfstudio(camera_model="OPENCV", k1=0.1, k2=-0.2, p1=0.01, p2=0.02)
    camera = read_capture(written.root).views[0].camera
    assert camera.distortion == Distortion("opencv", (0.1, -0.2, 0.01, 0.02))


def test_only_the_test_file_beside_training_is_read(layout):
    written = layout()
    for split in ("train", "test", "val", "relit"):
        written.blender(f"transforms_{split}.json", split)
    capture = read_capture(written.root)
    assert {view.image_path.parent.name for view in capture.views} == {"train"}
    assert {view.image_path.parent.name for view in capture.test_views} == {"test"}
    names = [view.name for view in (*capture.views, *capture.test_views)]
    assert len(set(names)) == 24


def test_validation_stands_in_for_an_absent_test_split(layout):
    written = layout()
    written.blender("transforms_train.json", "train")
    written.blender("transforms_val.json", "val")
    tests = read_capture(written.root).test_views
    assert {view.image_path.parent.name for view in tests} == {"val"}


@pytest.mark.parametrize("key", ["test_filenames", "val_filenames"])
def test_splits_listed_inside_one_file_are_kept(key, layout):
    written = layout()
    lists = {"train_filenames": [f"images/view_{i:03d}.png" for i in range(9)]}
    written.nerfstudio(**lists, **{key: ["images/view_009.png", "images/view_010.png"]})
    capture = read_capture(written.root)
    assert len(capture.views) == 9
    assert [view.name for view in capture.test_views] == ["view_009", "view_010"]


def test_every_eighth_view_is_held_out_from_zero(layout, cameras):
    written = layout(cameras(18))
    written.llff()
    capture = read_capture(written.root)
    split = hold_out_every(capture, 8)
    assert [view.name for view in split.test_views] == ["view_000", "view_008", "view_016"]
    assert len(split.views) == 15
    assert hold_out_every(split, 8) is split


def test_a_uniform_scale_in_the_rotation_is_removed_with_a_warning(layout, cameras):
    written = layout(cameras())
    written.blender()
    path = written.root / "transforms_train.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for frame in data["frames"]:
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, :3] *= 0.33
        frame["transform_matrix"] = matrix.tolist()
    path.write_text(json.dumps(data), encoding="utf-8")
    capture = read_capture(written.root)
    assert_same_cameras(capture.views, cameras())
    assert "0.33" in capture.warnings[0]


def test_cameras_scale_with_photos_of_the_same_aspect(layout, cameras):
    written = layout([camera.resized(32, 24) for camera in cameras()])
    written.nerfstudio()
    for frame in (
        data := json.loads((written.root / "transforms.json").read_text(encoding="utf-8"))
    )["frames"]:
        for key in ("fl_x", "fl_y", "cx", "cy"):
            frame[key] *= 2
    written.json("transforms.json", data)
    assert_same_cameras(read_capture(written.root).views, written.cameras)


def noisy_colmap(written, points):
    """Photos of a busy room, so that there are no masks, and sparse points."""
    written.colmap_text()
    rng = np.random.default_rng(0)
    for path in (written.root / "images").iterdir():
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
    lines = [f"{i} {x} {y} {z} 0 0 0 0.5" for i, (x, y, z) in enumerate(points)]
    (written.root / "sparse" / "0" / "points3D.txt").write_text("\n".join(lines), encoding="utf-8")


def test_without_masks_the_box_is_what_the_cameras_look_at(layout):
    written = layout()
    noisy_colmap(written, [])
    capture = read_capture(written.root)
    assert capture.mask_source == "none"
    np.testing.assert_allclose(capture.box.mean(axis=0), (0.2, -0.1, 0.3), atol=0.1)
    reach = np.ptp(capture.box, axis=0) / 2
    assert (reach > 0.7).all()  # the ellipsoid's largest radius
    assert (reach < 2.5).all()  # no camera inside


def test_sparse_points_near_the_middle_tighten_the_box(layout):
    rng = np.random.default_rng(1)
    near = rng.uniform(-0.4, 0.4, (300, 3)) + np.array([0.2, -0.1, 0.3])
    far = rng.uniform(-30, 30, (300, 3))
    written = layout()
    noisy_colmap(written, np.concatenate([near, far]))
    box = read_capture(written.root).box
    np.testing.assert_allclose(box, [[-0.2, -0.5, -0.1], [0.6, 0.3, 0.7]], atol=0.08)


def test_the_idr_box_is_the_scaled_unit_sphere(layout):
    written = layout()
    written.idr()
    box = read_capture(written.root).box
    np.testing.assert_allclose(box, [[-0.6, -0.9, -0.5], [1.0, 0.7, 1.1]], atol=1e-9)


def test_a_middlebury_readme_gives_the_box(layout):
    written = layout()
    written.middlebury()
    (written.root / "README.txt").write_text(
        "The (tight) bounding box is (-0.0419 0.0011 -0.0378) (0.0309 0.0882 0.0355).",
        encoding="utf-8",
    )
    box = read_capture(written.root).box
    np.testing.assert_allclose(box, [[-0.0419, 0.0011, -0.0378], [0.0309, 0.0882, 0.0355]])
