# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoded photos have exact cameras, masks and depth of the same size."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from photocast.data import Camera, Distortion, View
from photocast.errors import Cancelled
from photocast.stages.ingest import decode_photos, read_capture
from photocast.stages.undistort import (
    pinhole_of,
    resample_confidence,
    resample_depth,
    target_size,
)


def write_view(tmp_path, image, camera, **files) -> View:
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    return View("photo", path, camera, **files)


def a_camera(width, height, distortion=None) -> Camera:
    return Camera(width, height, width, width, width / 2, height / 2, np.eye(4), distortion)


def test_reducing_averages_areas_in_linear_light(tmp_path):
    checker = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = np.repeat(checker[..., None], 3, axis=2).astype(np.uint8)
    view = write_view(tmp_path, image, a_camera(64, 64))
    (photo,) = decode_photos([view], mask_source="none", max_size=32)
    assert photo.rgb.shape == (32, 32, 3)
    assert (photo.rgb == 188).all()  # half the light, in sRGB
    np.testing.assert_allclose(photo.camera.intrinsics, [[32, 0, 16], [0, 32, 16], [0, 0, 1]])


def test_uncovered_colours_do_not_bleed_into_the_object(tmp_path):
    image = np.zeros((40, 40, 4), np.uint8)
    image[:, :21] = (200, 100, 50, 255)
    image[:, 21:] = (0, 255, 255, 0)
    view = write_view(tmp_path, image, a_camera(40, 40))
    (photo,) = decode_photos([view], mask_source="alpha", max_size=10)
    assert photo.mask[0].tolist() == [255] * 5 + [64] + [0] * 4
    assert np.abs(photo.rgb[:, :6].astype(int) - [200, 100, 50]).max() <= 1


def test_sizes_keep_the_aspect_and_never_grow():
    assert target_size(4000, 3000, 1000) == (1000, 750)
    assert target_size(3000, 4000, 1000) == (750, 1000)
    assert target_size(300, 400, 1000) == (300, 400)
    assert target_size(8192, 1, 100) == (100, 1)


@pytest.mark.parametrize(
    "lens",
    [
        Distortion("opencv", (-0.25, 0.08, 0.002, -0.003)),
        Distortion("opencv", (0.15, -0.05, 0.0, 0.0)),
        Distortion("opencv", (0.1, 0.05, 0.001, 0.001, 0.02, 0.1, 0.02, 0.01)),
        Distortion("fisheye", (0.05, -0.02, 0.005, 0.001)),
    ],
)
def test_undistorted_photos_agree_with_their_pinhole_camera(lens, tmp_path):
    camera = a_camera(240, 180, lens)
    grid = np.stack(np.meshgrid(np.linspace(-0.3, 0.3, 7), np.linspace(-0.2, 0.2, 5)), -1)
    points = np.concatenate([grid.reshape(-1, 2), np.ones((35, 1))], axis=1)
    module = cv2.fisheye if lens.model == "fisheye" else cv2
    zero = np.zeros(3)
    dots, _ = module.projectPoints(
        points[:, None], zero, zero, camera.intrinsics, np.array(lens.coefficients)
    )
    # Dots drawn by the distorting lens, found again in the straightened photo.
    y, x = np.mgrid[:180, :240] + 0.5
    image = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / 8) for u, v in dots.reshape(-1, 2))
    image = np.repeat((np.clip(image, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
    (photo,) = decode_photos(
        [write_view(tmp_path, image, camera)], mask_source="none", max_size=None
    )
    assert photo.camera.distortion is None
    assert photo.camera.fx >= camera.fx
    wanted, _ = photo.camera.project(points)
    light = photo.rgb[..., 0].astype(float)
    checked = 0
    for u, v in wanted:
        if 8 < u < 232 and 8 < v < 172:
            near = light * ((x - u) ** 2 + (y - v) ** 2 < 36)
            found = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
            np.testing.assert_allclose(found, (u, v), atol=0.1)
            checked += 1
    assert checked >= 15


def test_every_undistorted_pixel_was_seen_by_the_lens():
    for k in (-0.3, 0.2):
        camera = a_camera(200, 100, Distortion("opencv", (k, 0.0, 0.0, 0.0)))
        straight = pinhole_of(camera)
        corners = np.array([[0.5, 0.5], [199.5, 0.5], [100, 0.5], [0.5, 50]])
        rays = (corners - [100, 50]) / straight.fx
        radius2 = (rays**2).sum(axis=1, keepdims=True)
        seen = rays * (1 + k * radius2) * camera.fx + [100, 50]
        assert (seen > 0).all()
        assert (seen < [200, 100]).all()
    assert pinhole_of(a_camera(20, 10)).fx == 20


def test_depth_of_another_size_is_exact_on_a_plane():
    for size in ((32, 24), (128, 96), (256, 192)):
        camera = a_camera(64, 48)
        height, width = size[1], size[0]
        x = (np.arange(width) + 0.5) / width
        depth = np.broadcast_to(np.float32(2 + x), (height, width)).copy()
        got = resample_depth(depth, camera, camera)
        wanted = np.broadcast_to(2 + (np.arange(64) + 0.5) / 64, (48, 64))
        np.testing.assert_allclose(got[:, 1:-1], wanted[:, 1:-1], atol=1e-5)


def test_depth_is_never_mixed_across_an_edge_or_with_unknown_pixels():
    depth = np.full((96, 128), 1.0, np.float32)
    depth[:, 41:] = 5.0
    depth[50:] = 0.0
    for size in ((64, 48), (100, 75), (200, 150)):
        camera = a_camera(64, 48).resized(*size)
        got = resample_depth(depth, camera, camera)
        assert set(np.unique(got)) == {0.0, 1.0, 5.0}


def test_depth_files_come_out_in_world_units_at_their_own_size(layout, cameras, draw):
    written = layout(cameras())
    written.blender()
    path = written.root / "transforms_train.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for i, (frame, camera) in enumerate(zip(data["frames"], written.cameras, strict=True)):
        _, depth = draw(camera.resized(128, 96))
        Image.fromarray((depth * 500).round().astype(np.uint16)).save(
            written.root / f"depth_{i}.png"
        )
        frame["depth_file_path"] = f"depth_{i}.png"
    path.write_text(json.dumps({**data, "integer_depth_scale": 0.002}), encoding="utf-8")
    capture = read_capture(written.root)
    assert capture.unit == "metre"
    photos = decode_photos(capture.views, mask_source="alpha", max_size=None)
    for photo, camera in zip(photos, written.cameras, strict=True):
        alpha, depth = draw(camera.resized(128, 96))
        both = (photo.depth > 0) & (alpha > 0)
        assert both.sum() > 0.9 * (alpha > 0).sum()
        assert np.abs(photo.depth - depth)[both].max() <= 0.00101


def write_exr(path, depth):
    OpenEXR = pytest.importorskip("OpenEXR")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Z": depth}) as file:
        file.write(str(path))


def write_npy(path, depth):
    np.save(path, depth)


def write_tif(path, depth):
    Image.fromarray(depth).save(path)


@pytest.mark.parametrize(
    ("suffix", "write"), [("exr", write_exr), ("npy", write_npy), ("tif", write_tif)]
)
def test_a_folder_of_floating_point_depth_is_in_metres(suffix, write, layout, cameras, draw):
    written = layout(cameras())
    written.nerfstudio()
    (written.root / "depth").mkdir()
    (written.root / "confidence").mkdir()
    for i, camera in enumerate(written.cameras):
        if i == 3:
            continue
        _, depth = draw(camera.resized(128, 96))
        write(written.root / "depth" / f"view_{i:03d}.{suffix}", depth)
        sure = np.full((24, 32), 2, np.uint8)
        sure[:, :16] = 0
        Image.fromarray(sure).save(written.root / "confidence" / f"view_{i:03d}.png")
    capture = read_capture(written.root)
    assert any(
        "11 depth maps" in text and "1 photos have none" in text for text in capture.warnings
    )
    photos = decode_photos(capture.views, mask_source="alpha", max_size=None)
    for i, (photo, camera) in enumerate(zip(photos, written.cameras, strict=True)):
        if i == 3:
            assert photo.depth is None
            assert photo.depth_confidence is None
            continue
        np.testing.assert_array_equal(photo.depth, draw(camera.resized(128, 96))[1])
        assert (photo.depth_confidence[:, :64] == 0).all()
        assert (photo.depth_confidence[:, 64:] == 255).all()


def test_a_stated_unit_holds_for_every_kind_of_file(layout, cameras, draw):
    written = layout(cameras())
    written.nerfstudio()
    path = written.root / "transforms.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for i, (frame, camera) in enumerate(zip(data["frames"], written.cameras, strict=True)):
        np.save(written.root / f"depth_{i}.npy", draw(camera)[1] * 100)
        frame["depth_file_path"] = f"depth_{i}.npy"
    path.write_text(json.dumps({**data, "depth_unit": "cm"}), encoding="utf-8")
    photo = decode_photos(read_capture(written.root).views, mask_source="alpha")[0]
    np.testing.assert_allclose(photo.depth, draw(written.cameras[0])[1], rtol=1e-5)


def test_pictures_of_depth_are_not_taken_for_depth(layout, cameras):
    written = layout(cameras(6))
    written.nerfstudio()
    (written.root / "depth").mkdir()
    for i in range(6):
        Image.new("L" if i % 2 else "RGB", (64, 48)).save(
            written.root / "depth" / f"view_{i:03d}.png"
        )
    capture = read_capture(written.root)
    assert [view.depth_path for view in capture.views] == [None] * 6
    assert not any("depth" in text for text in capture.warnings)


def test_depth_much_larger_than_the_photo_is_reduced(layout, cameras, draw):
    written = layout(cameras(3))
    written.nerfstudio()
    (written.root / "depth").mkdir()
    np.save(
        written.root / "depth" / "view_000.npy", draw(written.cameras[0].resized(1600, 1200))[1]
    )
    photo = decode_photos(read_capture(written.root).views, mask_source="alpha")[0]
    assert photo.depth.shape == (768, 1024)
    _, wanted = draw(written.cameras[0].resized(1024, 768))
    both = (photo.depth > 0) & (wanted > 0)
    assert np.quantile(np.abs(photo.depth - wanted)[both], 0.9) < 0.003


def test_trust_follows_the_pixels_through_a_lens():
    camera = a_camera(64, 48, Distortion("opencv", (-0.2, 0.0, 0.0, 0.0)))
    straight = pinhole_of(camera)
    depth = np.full((96, 128), 2.0, np.float32)
    sure = np.zeros((24, 32), np.uint8)
    depth[:, 100:], sure[:, 25:] = 3.0, 255  # the same border in both
    got = resample_depth(depth, camera, straight)
    trust = resample_confidence(sure, camera, straight)
    assert ((got == 3.0) == (trust == 255)).mean() > 0.98
    assert 0 < (trust == 255).mean() < 0.25


def test_masks_from_a_folder_are_found_under_usual_names(layout):
    names = ("view_{:03d}.png", "view_{:03d}.png.png", "{:03d}.png")
    for number, pattern in enumerate(names):
        written = layout(mode="RGB", name=f"capture{number}")
        written.nerfstudio()
        (written.root / "mask").mkdir()
        for i in range(12):
            mask = np.zeros((24, 32), np.uint8)
            mask[:, : 4 + i] = 255
            Image.fromarray(mask).save(written.root / "mask" / pattern.format(i))
        capture = read_capture(written.root)
        assert capture.mask_source == "file"
        photos = decode_photos(capture.views, mask_source="file", max_size=None)
        for i, photo in enumerate(photos):
            assert photo.mask.shape == (48, 64)
            assert abs((photo.mask > 127).mean() * 32 - (4 + i)) < 0.5


def test_masks_named_by_the_camera_file_come_before_alpha(layout):
    written = layout()
    written.nerfstudio()
    path = written.root / "transforms.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for i, frame in enumerate(data["frames"]):
        Image.fromarray(np.full((48, 64), 255 * (i % 2), np.uint8)).save(written.root / f"m{i}.png")
        frame["mask_path"] = f"m{i}.png"
    path.write_text(json.dumps(data), encoding="utf-8")
    capture = read_capture(written.root)
    assert capture.mask_source == "file"
    photos = decode_photos(capture.views, mask_source="file")
    assert [int(photo.mask.min()) for photo in photos] == [0, 255] * 6


def test_the_order_and_number_of_photos_is_kept(layout):
    written = layout()
    written.blender()
    capture = read_capture(written.root)
    seen = []
    photos = decode_photos(
        capture.views[::-1],
        mask_source="alpha",
        max_size=20,
        progress=lambda stage, done, total, **numbers: seen.append((stage, done, total)),
    )
    assert [photo.name for photo in photos] == [view.name for view in capture.views[::-1]]
    assert seen[-1] == ("decode", 12, 12)


def test_decoding_stops_when_cancelled(layout):
    written = layout()
    written.blender()
    capture = read_capture(written.root)

    def stop(stage, done, total, **numbers):
        raise Cancelled

    with pytest.raises(Cancelled):
        decode_photos(capture.views, mask_source="alpha", progress=stop)


def test_a_large_photo_is_decoded(tmp_path):
    image = np.zeros((4096, 4096, 3), np.uint8)
    image[:2048] = 255
    camera = replace(a_camera(4096, 4096), distortion=Distortion("opencv", (0.01, 0, 0, 0)))
    (photo,) = decode_photos(
        [write_view(tmp_path, image, camera)], mask_source="none", max_size=512
    )
    assert photo.rgb.shape == (512, 512, 3)
    assert (photo.rgb[:250] == 255).all()
    assert (photo.rgb[262:] == 0).all()
