# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a capture is told before any heavy work, with the photos at fault."""

import json
import math
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from photocast.children import ask
from photocast.config import optimize_preset
from photocast.data import Camera, Photo
from photocast.engines.optimize.memory import memory_peaks
from photocast.errors import CaptureError, ConfigError
from photocast.worker.preflight import preflight

SIDE, COUNT = 240, 5


def texture(number: int) -> Image.Image:
    """Blocks of colours, other ones for each number."""
    blocks = np.random.default_rng(number).integers(20, 236, (60, 60, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def disc() -> Image.Image:
    """Coverage of a ball."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] - SIDE / 2
    return Image.fromarray((np.hypot(x, y) < SIDE / 3).astype(np.uint8) * 255)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Five photos of a ball with masks and cameras, laid out as the service does."""
    root = tmp_path / "capture"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    frames = []
    for number in range(COUNT):
        photo, name = Image.new("RGB", (SIDE, SIDE), (90, 90, 90)), f"{number:02}"
        photo.paste(texture(number), mask=disc())
        photo.save(root / "images" / f"{name}.jpg", quality=92)
        disc().save(root / "masks" / f"{name}.png")
        turn = 2 * math.pi * number / COUNT
        back = np.array([math.cos(turn), math.sin(turn), 0])
        right = np.array([-math.sin(turn), math.cos(turn), 0])
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, [0, 0, 1], back], axis=1)
        pose[:3, 3] = 3 * back
        frames.append({"file_path": f"images/{name}.jpg", "transform_matrix": pose.tolist()})
    document = {"fl_x": 300.0, "w": SIDE, "h": SIDE, "frames": frames}
    (root / "transforms.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def by_code(entries: list[dict]) -> dict[str, list[str]]:
    """Photos by the code of what is wrong with them."""
    return {entry["code"]: entry["photos"] for entry in entries}


def test_a_good_capture_is_usable_and_described(capture):
    found = preflight(capture)
    assert found["usable"]
    assert (found["errors"], by_code(found["warnings"])) == ([], {})
    assert found["engine"]["name"] == "optimize"
    assert found["capture"] == {
        "layout": "nerfstudio",
        "photos": COUNT,
        "test_photos": 0,
        "cameras": COUNT,
        "mask_source": "file",
        "masks": COUNT,
        "depth": 0,
        "confidence": 0,
        "unit": "arbitrary",
    }
    photo = found["photos"][0]
    assert (photo["name"], photo["width"], photo["height"]) == ("images/00.jpg", SIDE, SIDE)
    assert photo["sharpness"] > 0.4
    assert photo["coverage"] == pytest.approx(math.pi / 9, abs=0.01)
    assert found["totals"]["megapixels"] == pytest.approx(COUNT * SIDE**2 / 1e6, abs=0.01)


def test_the_child_says_the_same(capture):
    found = ask("preflight", [str(capture), "--options", '{"preset": "draft", "device": "cpu"}'])
    wanted = preflight(capture, {"preset": "draft", "device": "cpu"})
    assert found == {"ok": True, **json.loads(json.dumps(wanted))}
    assert [estimate["device"] for estimate in found["estimates"]] == ["cpu"]


def test_the_child_loads_no_tensors_library():
    code = "import sys, photocast.worker.preflight; print({'torch', 'warp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"set()\n"


def test_a_photo_cut_short_is_named_and_stops(capture):
    path = capture / "images/03.jpg"
    path.write_bytes(path.read_bytes()[:-800])
    found = preflight(capture)
    assert not found["usable"]
    assert by_code(found["errors"]) == {"capture.image_unreadable": ["images/03.jpg"]}
    assert "damaged or cut short" in found["errors"][0]["message"]
    assert not found["photos"][3]["ok"]


def test_every_damaged_photo_is_named_not_only_the_first(capture):
    for name in ("01", "04"):
        (capture / f"images/{name}.jpg").write_bytes(b"rubbish")
    errors = by_code(preflight(capture)["errors"])
    assert errors["capture.image_unreadable"] == ["images/01.jpg", "images/04.jpg"]


def test_an_enormous_picture_is_refused_by_name(capture, png_bomb):
    shutil.copy(png_bomb, capture / "images/02.jpg")
    errors = by_code(preflight(capture)["errors"])
    assert errors == {"capture.image_too_large": ["images/02.jpg"]}


def test_a_duplicate_is_found_though_it_was_saved_again(capture):
    again = Image.open(capture / "images/01.jpg").resize((180, 180)).resize((SIDE, SIDE))
    again.save(capture / "images/04.jpg", quality=60)
    found = preflight(capture)
    assert found["usable"]
    assert by_code(found["warnings"])["photo.duplicate"] == ["images/04.jpg"]
    assert found["photos"][4]["duplicate_of"] == "images/01.jpg"
    assert found["totals"]["duplicates"] == 1


def test_a_set_of_the_same_photo_is_refused(capture):
    for number in range(1, COUNT):
        shutil.copy(capture / "images/00.jpg", capture / f"images/{number:02}.jpg")
    errors = preflight(capture)["errors"]
    assert by_code(errors) == {
        "capture.too_few_photos": [f"images/{number:02}.jpg" for number in range(1, COUNT)]
    }
    assert errors[0]["message"].startswith("1 of 5 photos are of use, and at least 3 are needed")


def blur(capture: Path, number: int) -> None:
    """Hold the camera badly."""
    path = capture / f"images/{number:02}.jpg"
    Image.open(path).filter(ImageFilter.GaussianBlur(5)).save(path, quality=92)


def test_a_blurred_photo_is_a_warning_with_value_and_limit(capture):
    blur(capture, 2)
    found = preflight(capture)
    assert found["usable"]
    assert by_code(found["warnings"])["photo.blurred"] == ["images/02.jpg"]
    (problem,) = found["photos"][2]["problems"]
    assert problem["value"] < problem["limit"]


def test_a_set_that_is_blurred_all_over_is_refused(capture):
    for number in range(COUNT):
        dots = np.random.default_rng(number).integers(0, 2, (20, 20), dtype=np.uint8) * 255
        photo = Image.fromarray(dots).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        photo = photo.filter(ImageFilter.GaussianBlur(6))
        photo.save(capture / f"images/{number:02}.jpg", quality=98)
    assert "capture.too_few_photos" in by_code(preflight(capture)["errors"])


def test_a_mask_of_another_shape_is_told_with_both_sizes(capture):
    disc().crop((0, 0, SIDE, 200)).save(capture / "masks/01.png")
    found = preflight(capture)
    assert by_code(found["errors"]) == {"capture.size": ["images/01.jpg"]}
    (problem,) = found["photos"][1]["problems"]
    assert (problem["value"], problem["limit"]) == ("240x200", "240x240")


def test_masks_that_show_nothing_or_everything_are_told(capture):
    Image.new("L", (SIDE, SIDE)).save(capture / "masks/00.png")
    assert by_code(preflight(capture)["warnings"])["capture.mask_empty"] == ["images/00.jpg"]
    for path in (capture / "masks").iterdir():
        Image.new("L", (SIDE, SIDE), 255).save(path)
    assert "capture.masks_full" in by_code(preflight(capture)["errors"])


def test_an_object_without_detail_is_told_but_a_black_background_is_not(capture):
    for number, level in ((0, 255), (1, 0)):
        photo = Image.new("RGB", (SIDE, SIDE))
        photo.paste((level,) * 3, mask=disc())
        photo.save(capture / f"images/{number:02}.jpg", quality=92)
    photo = Image.new("RGB", (SIDE, SIDE))
    photo.paste(texture(2), mask=disc())
    photo.save(capture / "images/02.jpg", quality=92)
    warnings = by_code(preflight(capture)["warnings"])
    assert warnings["photo.bright"] == ["images/00.jpg"]
    assert warnings["photo.dark"] == ["images/01.jpg"]


def test_an_odd_size_is_told(capture):
    texture(0).resize((480, 480)).save(capture / "images/00.jpg")
    assert by_code(preflight(capture)["warnings"])["photo.size"] == ["images/00.jpg"]


def test_photos_that_no_camera_knows_are_told(capture):
    texture(9).save(capture / "images/extra.jpg")
    found = preflight(capture)
    assert by_code(found["warnings"])["photo.unused"] == ["images/extra.jpg"]
    assert len(found["photos"]) == COUNT


def test_damaged_depth_is_told_and_good_depth_is_counted(capture):
    (capture / "depth").mkdir()
    np.save(capture / "depth/00.npy", np.ones((60, 60), np.float32))
    (capture / "depth/01.npy").write_bytes(b"\x93NUMPY rubbish")
    found = preflight(capture)
    assert found["photos"][0]["depth_known"] == 1.0
    assert by_code(found["errors"]) == {"capture.depth_unreadable": ["images/01.jpg"]}


def test_without_cameras_the_generating_engine_suits(capture):
    (capture / "transforms.json").unlink()
    found = preflight(capture)
    assert found["usable"]
    assert found["engine"]["name"] == "generate"
    assert "no cameras" in found["engine"]["reason"]
    assert found["estimates"] == []
    asked = preflight(capture, {"engine": "optimize"})
    assert "capture.no_cameras" in by_code(asked["errors"])


def test_without_masks_and_a_plain_background_it_is_refused(capture):
    shutil.rmtree(capture / "masks")
    for number in range(COUNT):
        texture(number).save(capture / f"images/{number:02}.jpg")
    found = preflight(capture)
    assert by_code(found["errors"]) == {"capture.no_masks": []}
    assert found["capture"]["cameras"] == COUNT


def test_cameras_in_an_archive_that_unpacks_to_much_are_refused_by_the_child(capture):
    (capture / "transforms.json").unlink()
    with zipfile.ZipFile(capture / "cameras.npz", "w", zipfile.ZIP_DEFLATED) as file:
        head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (40000000, 4), }".ljust(117)
        head = b"\x93NUMPY\1\0" + len(head + b"\n").to_bytes(2, "little") + head + b"\n"
        file.writestr("world_mat_0.npy", head + bytes(400_000_000))
    found = ask("preflight", [str(capture)])
    assert found["ok"]
    assert not found["usable"]
    assert {"capture.camera_file", "capture.photo_count"} & set(by_code(found["errors"]))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"presets": "draft"}, "config.invalid"),
        ({"preset": "best"}, "config.invalid"),
        ({"max_size": "large"}, "config.invalid"),
        ({"weights": "/etc"}, "config.invalid"),
        ({"engine": "magic"}, "engine.unknown"),
    ],
)
def test_options_that_are_wrong_are_refused(options, code, capture):
    with pytest.raises(ConfigError) as caught:
        preflight(capture, options)
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000])
def test_options_that_are_no_object_are_refused(text, capture):
    found = ask("preflight", [str(capture), "--options", text])
    assert found["error"]["code"] == "config.invalid"


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(CaptureError) as caught:
        preflight(tmp_path)
    assert caught.value.code == "capture.no_photos"


def test_estimates_bracket_their_value_and_grow_with_the_preset(capture):
    found = {
        preset: preflight(capture, {"preset": preset})["estimates"]
        for preset in ("draft", "standard", "high")
    }
    for device in (0, 1):
        row = [found[preset][device] for preset in ("draft", "standard", "high")]
        assert all(one["low"] < one["seconds"] < one["high"] for one in row)
        assert row[0]["seconds"] < row[1]["seconds"] < row[2]["seconds"]


def test_the_gpu_memory_is_that_of_the_engines_own_plan(capture):
    (_, cuda) = preflight(capture)["estimates"]
    camera = Camera(SIDE, SIDE, 300, 300, SIDE / 2, SIDE / 2, np.eye(4))
    rgb, mask = np.zeros((SIDE, SIDE, 3), np.uint8), np.asarray(disc())
    photos = [Photo(str(number), camera, rgb, mask) for number in range(COUNT)]
    peaks = memory_peaks(photos, optimize_preset("standard", device="cuda"))
    assert cuda["gpu_bytes"] == pytest.approx(max(peaks.values()), rel=1e-3)
