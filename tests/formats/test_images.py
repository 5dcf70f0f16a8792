# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos of every mode become 8-bit sRGB with the right values."""

import cv2
import numpy as np
import pytest
from PIL import Image

from photocast.errors import CaptureError, UserError
from photocast.formats.images import image_size, read_mask, read_photo, write_png

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def test_colour_is_read_as_stored(tmp_path):
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", rgb)
    read, alpha = read_photo(tmp_path / "a.png")
    assert (read == rgb).all()
    assert alpha is None
    assert image_size(tmp_path / "a.png") == (7, 5)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_rounded_to_eight(channels, suffix, tmp_path):
    values = np.arange(0, 65536, 13).astype(np.uint16)[None]
    image = values if channels == 1 else np.repeat(values[..., None], channels, axis=2)
    path = tmp_path / f"deep{suffix}"
    assert cv2.imwrite(str(path), image)
    rgb, alpha = read_photo(path)
    wanted = np.rint(values / 257)
    assert rgb.shape == (1, values.size, 3)
    assert np.abs(rgb - wanted[..., None]).max() == 0
    assert (alpha is None) == (channels < 4)


def test_sixteen_bit_colours_keep_their_order(tmp_path):
    bgr = np.zeros((2, 2, 3), np.uint16)
    bgr[..., 2] = 65535  # red in OpenCV's order
    cv2.imwrite(str(tmp_path / "red.png"), bgr)
    assert read_photo(tmp_path / "red.png")[0][0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "PA", "1"])
def test_other_modes_are_converted(mode, tmp_path):
    source = Image.fromarray(RAMP)
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    if mode == "PA":
        source.convert("P").save(path, transparency=0)
    else:
        (source.convert("RGB") if mode == "CMYK" else source).convert(mode).save(path)
    rgb, alpha = read_photo(path)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (4, 256, 3)
    assert (alpha is not None) == (mode in {"LA", "PA"})
    limit = 255 if mode == "1" else 2
    assert np.abs(rgb[..., 1].astype(int) - RAMP).max() <= limit
    assert rgb[0, 255, 1] == 255
    assert rgb[0, 0, 1] == 0


def test_masks_are_read_from_alpha_brightness_or_zero_and_one(tmp_path):
    mask = (RAMP > 100).astype(np.uint8)
    Image.fromarray(mask * 255).save(tmp_path / "grey.png")
    Image.fromarray(mask).save(tmp_path / "small.png")
    write_png(tmp_path / "alpha.png", np.dstack([RAMP, RAMP, RAMP, mask * 255]))
    for name in ("grey", "small", "alpha"):
        assert (read_mask(tmp_path / f"{name}.png") == mask * 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tiff", "a.webp", "a.bmp", "deep.png"])
def test_damage_anywhere_is_either_read_or_refused_by_name(name, tmp_path):
    rng = np.random.default_rng(4)
    path = tmp_path / name
    if name == "deep.png":
        cv2.imwrite(str(path), rng.integers(0, 65536, (9, 11, 3), dtype=np.uint16))
    else:
        Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(path)
    good = path.read_bytes()
    refused = []
    for cut in np.linspace(0, len(good) - 1, 25).astype(int):
        flipped = bytearray(good)
        flipped[cut] ^= 0x55
        for data in (good[:cut], bytes(flipped)):
            path.write_bytes(data)
            try:
                rgb, _ = read_photo(path)
            except CaptureError as error:
                refused.append(str(error))
            else:
                assert rgb.dtype == np.uint8
                assert rgb.shape[2] == 3
    assert len(refused) >= 10
    assert all(name in message for message in refused)


def test_absent_and_unwritable_files_are_named(tmp_path):
    with pytest.raises(CaptureError, match=r"gone\.png") as caught:
        read_photo(tmp_path / "gone.png")
    assert caught.value.code == "capture.image_missing"
    with pytest.raises(UserError, match="nowhere") as unwritable:
        write_png(tmp_path / "nowhere" / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert unwritable.value.code == "output.unwritable"
