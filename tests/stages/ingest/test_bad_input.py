# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Each kind of bad input is refused in one clear sentence with a stable code."""

import json

import numpy as np
import pytest
from PIL import Image

from photocast.errors import UnsuitableInput
from photocast.stages.ingest import decode_photos, read_capture


def refused(action, code: str, *words: str) -> None:
    """The action raises a user's error with this code; its text has these words and no path."""
    with pytest.raises(UnsuitableInput) as caught:
        action()
    assert caught.value.code == code
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def read_and_decode(root):
    capture = read_capture(root)
    return decode_photos(capture.views, mask_source=capture.mask_source, max_size=None)


def edit(path, change) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_a_missing_folder(tmp_path):
    refused(lambda: read_capture(tmp_path / "nowhere"), "capture.no_folder", "nowhere")


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    refused(lambda: read_capture(tmp_path / "photo.jpg"), "capture.not_a_folder", "photo.jpg")


def test_an_empty_folder(tmp_path):
    refused(lambda: read_capture(tmp_path), "capture.no_photos")


def test_photos_without_cameras(layout):
    written = layout()
    written.photos("images")
    refused(lambda: read_capture(written.root), "capture.no_cameras", "12 photos", "COLMAP")


def test_the_folder_above_the_capture(layout):
    written = layout()
    written.blender()
    refused(lambda: read_capture(written.root.parent), "capture.no_photos")
    Image.new("RGB", (8, 8)).save(written.root.parent / "cover.png")
    refused(lambda: read_capture(written.root.parent), "capture.no_cameras", "capture does")


def test_one_photo_only(layout, cameras):
    written = layout(cameras()[:1])
    written.blender()
    refused(lambda: read_capture(written.root), "capture.too_few_photos", "1 photos")


def test_a_few_absent_photos_are_a_warning(layout):
    written = layout()
    written.blender()
    for i in (2, 5):
        (written.root / "train" / f"view_{i:03d}.png").unlink()
    capture = read_capture(written.root)
    assert len(capture.views) == 10
    assert "2 photos" in capture.warnings[0]
    assert "./train/view_002, ./train/view_005" in capture.warnings[0]


@pytest.mark.parametrize("name", ["blender", "middlebury", "colmap_binary"])
def test_mostly_absent_photos_are_refused(name, layout):
    written = layout()
    getattr(written, name)()
    for path in sorted(written.root.rglob("view_*.png"))[:7]:
        path.unlink()
    refused(lambda: read_capture(written.root), "capture.photos_missing", "12 photos", "7 of them")


@pytest.mark.parametrize(("name", "folder"), [("llff", "images"), ("idr", "image")])
def test_layouts_matched_by_order_need_the_same_count(name, folder, layout):
    written = layout()
    getattr(written, name)()
    (written.root / folder / "view_003.png").unlink()
    refused(lambda: read_capture(written.root), "capture.photo_count", "12", "11", folder)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_photo_cut_short(suffix, layout):
    written = layout(mode="RGB")
    names = written.photos("images", suffix)
    written.nerfstudio()
    edit(
        written.root / "transforms.json",
        lambda data: [
            frame.update(file_path=name) for frame, name in zip(data["frames"], names, strict=True)
        ],
    )
    victim = written.root / names[4]
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    refused(lambda: read_and_decode(written.root), "capture.image_unreadable", f"view_004{suffix}")


def test_a_photo_that_is_no_image(layout):
    written = layout()
    written.blender()
    (written.root / "train" / "view_004.png").write_text("hello", encoding="utf-8")
    refused(lambda: read_capture(written.root), "capture.image_unreadable", "view_004.png")


def test_unreadable_json(layout):
    written = layout()
    written.blender()
    path = written.root / "transforms_train.json"
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    refused(lambda: read_capture(written.root), "capture.camera_file", "transforms_train.json")


@pytest.mark.parametrize("data", [[], {"frames": 3}, {"frames": [{}]}, {"frames": [7]}])
def test_json_of_another_kind(data, layout):
    written = layout()
    written.json("transforms.json", data)
    refused(lambda: read_capture(written.root), "capture.camera_file", "transforms.json")


@pytest.mark.parametrize("array", [np.zeros((12, 3)), np.zeros(17), np.zeros((0, 17))])
def test_a_wrong_numpy_shape(array, layout):
    written = layout()
    written.llff()
    np.save(written.root / "poses_bounds.npy", array)
    code = "capture.photo_count" if array.shape == (0, 17) else "capture.camera_file"
    refused(lambda: read_capture(written.root), code, "poses_bounds.npy")


def test_numpy_files_that_are_no_numpy_files(layout):
    for name, file in (("llff", "poses_bounds.npy"), ("idr", "cameras_sphere.npz")):
        written = layout(name=name)
        getattr(written, name)()
        (written.root / file).write_bytes(b"not numpy")
        refused(lambda root=written.root: read_capture(root), "capture.camera_file", file)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_colmap_files_cut_short(name, layout):
    written = layout()
    written.colmap_binary()
    path = written.root / "sparse" / "0" / name
    path.write_bytes(path.read_bytes()[:-9])
    refused(lambda: read_capture(written.root), "capture.camera_file", "COLMAP")


def test_a_middlebury_file_cut_short(layout):
    written = layout()
    written.middlebury()
    path = written.root / "thing_par.txt"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-3]), encoding="utf-8")
    refused(lambda: read_capture(written.root), "capture.camera_file", "announces 12", "has 9")


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("integer_depth_scale", "wide", "camera.intrinsics"),
        ("integer_depth_scale", -1, "capture.camera_file"),
        ("mask_path", 5, "capture.camera_file"),
        ("depth_path", ["a"], "capture.camera_file"),
        ("w", "many", "camera.intrinsics"),
        ("w", -64, "camera.size"),
        ("cx", float("nan"), "camera.not_finite"),
        ("k4", 0.1, "camera.model"),
        ("camera_model", "EQUIRECTANGULAR", "camera.model"),
    ],
)
def test_odd_values_in_a_transforms_file(key, value, code, layout):
    written = layout()
    written.nerfstudio()
    edit(written.root / "transforms.json", lambda data: data["frames"][2].update({key: value}))
    refused(lambda: read_capture(written.root), code, "transforms.json")


def matrix_edit(index, change):
    def apply(data):
        matrix = np.array(data["frames"][index]["transform_matrix"])
        change(matrix)
        data["frames"][index]["transform_matrix"] = matrix.tolist()

    return apply


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m.__setitem__((0, 0), np.nan), "camera.not_finite"),
        (lambda m: m.__setitem__((slice(3), 0), -m[:3, 0]), "camera.reflection"),
        (lambda m: m.__setitem__((slice(3), 0), 2 * m[:3, 0]), "camera.not_rotation"),
        (lambda m: m.__setitem__((slice(3), slice(3)), 0), "camera.not_rotation"),
    ],
    ids=["nan", "mirrored", "sheared", "zero"],
)
def test_poses_that_cannot_be(change, code, layout):
    written = layout()
    written.blender()
    edit(written.root / "transforms_train.json", matrix_edit(3, change))
    refused(lambda: read_capture(written.root), code, "view_003", "transforms_train.json")


def test_a_matrix_of_another_shape(layout):
    written = layout()
    written.blender()
    edit(
        written.root / "transforms_train.json",
        lambda data: data["frames"][0].update(transform_matrix=[[1, 2], [3]]),
    )
    refused(lambda: read_capture(written.root), "camera.pose_shape", "view_000")


@pytest.mark.parametrize("value", [None, 0, -1, 4, "wide"])
def test_no_usable_focal_length(value, layout):
    written = layout()
    written.blender()
    edit(written.root / "transforms_train.json", lambda data: data.update(camera_angle_x=value))
    refused(lambda: read_capture(written.root), "camera.intrinsics", "camera_angle_x")


def test_a_photo_of_another_aspect_than_its_camera(layout):
    written = layout()
    written.nerfstudio()
    Image.new("RGB", (48, 64)).save(written.root / "images" / "view_002.png")
    refused(lambda: read_capture(written.root), "camera.size", "48x64", "64x48", "view_002")


@pytest.mark.parametrize(
    "name", ["../../secret.png", "/etc/passwd", "..\\secret.png", "images/../../other.png"]
)
@pytest.mark.parametrize("key", ["file_path", "mask_path", "depth_file_path"])
def test_paths_that_leave_the_folder(name, key, layout):
    written = layout()
    written.nerfstudio()
    edit(written.root / "transforms.json", lambda data: data["frames"][1].update({key: name}))
    refused(lambda: read_capture(written.root), "capture.path_outside", repr(name))


def test_photos_behind_a_link_of_the_owner_are_read(layout, tmp_path):
    written = layout()
    written.blender()
    (written.root / "train").rename(tmp_path / "other_disk")
    (written.root / "train").symlink_to(tmp_path / "other_disk")
    assert len(read_capture(written.root).views) == 12


def test_a_decompression_bomb(layout):
    written = layout()
    written.blender()
    Image.new("1", (8193, 20)).save(written.root / "train" / "view_001.png")
    refused(lambda: read_capture(written.root), "capture.image_too_large", "8193x20", "view_001")


def test_all_masks_empty(layout):
    written = layout(mode="RGB")
    written.nerfstudio()
    (written.root / "masks").mkdir()
    for i in range(12):
        Image.new("L", (64, 48)).save(written.root / "masks" / f"view_{i:03d}.png")
    refused(lambda: read_and_decode(written.root), "capture.masks_empty", "12 masks")


def test_a_mask_of_another_aspect(layout):
    written = layout(mode="RGB")
    written.nerfstudio()
    (written.root / "masks").mkdir()
    for i in range(12):
        Image.new("L", (48, 64), 255).save(written.root / "masks" / f"view_{i:03d}.png")
    refused(lambda: read_and_decode(written.root), "capture.size", "view_000.png", "48x64")


def test_a_depth_map_that_is_absent_or_broken(layout):
    written = layout()
    written.nerfstudio()
    path = written.root / "transforms.json"
    edit(path, lambda data: data["frames"][0].update(depth_file_path="depth/0.png"))
    refused(lambda: read_capture(written.root), "capture.depth_missing", "depth/0.png")
    (written.root / "depth").mkdir()
    (written.root / "depth" / "0.png").write_bytes(b"x")
    refused(lambda: read_and_decode(written.root), "capture.depth_unreadable", "0.png")


def test_two_photos_with_one_stem_get_names_with_folders(layout, cameras):
    written = layout(cameras(6))
    written.nerfstudio()
    (written.root / "more").mkdir()
    (written.root / "images" / "view_003.png").rename(written.root / "more" / "view_002.png")
    edit(
        written.root / "transforms.json",
        lambda data: data["frames"][3].update(file_path="more/view_002.png"),
    )
    names = {view.name for view in read_capture(written.root).views}
    assert names >= {"images/view_002", "more/view_002", "view_001"}
    assert len(names) == 6


def test_the_same_photo_twice(layout):
    written = layout()
    written.nerfstudio()
    edit(
        written.root / "transforms.json",
        lambda data: data["frames"][3].update(file_path=data["frames"][2]["file_path"]),
    )
    refused(lambda: read_capture(written.root), "capture.photo_repeated", "view_002")


def test_exif_rotation_is_not_applied_and_said(layout):
    written = layout(mode="RGB")
    names = written.photos("images", ".jpg")
    written.nerfstudio()
    for path in (written.root / "images").glob("*.png"):
        path.unlink()
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(written.root / names[0]) as image:
        image.copy().save(written.root / names[0], exif=exif)
    capture = read_capture(written.root)
    assert capture.views[0].camera.width == 64
    assert any("EXIF" in warning for warning in capture.warnings)
