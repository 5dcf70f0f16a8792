# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos of every mode become 8-bit sRGB with the right values."""

import io
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from photocast.errors import CaptureError, UserError
from photocast.formats.images import (
    MAX_PIXELS,
    image_size,
    read_mask,
    read_photo,
    read_reduced,
    write_png,
)

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


def code_of(path):
    """With which code a photo is refused."""
    with pytest.raises(CaptureError) as caught:
        read_photo(path)
    return caught.value.code


def chunk(kind, payload):
    """A chunk of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + payload))
    return struct.pack(">I", len(payload)) + kind + payload + check


def png_of_nothing(width, height):
    """A black PNG of one bit per pixel, small however large it is."""
    packer = zlib.compressobj(9)
    rows = [packer.compress(bytes(1 + -(-width // 8))) for _ in range(height)]
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IDAT", b"".join(rows) + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(16000, 16000), (8192, 8192), (8193, 10), (10, 8193)])
def test_enormous_pictures_in_small_files_are_refused_before_decoding(size, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of_nothing(*size))
    assert (tmp_path / "a.png").stat().st_size < 40_000
    start = time.monotonic()
    assert code_of(tmp_path / "a.png") == "capture.image_too_large"
    assert time.monotonic() - start < 1


def test_pictures_up_to_the_limit_are_read(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of_nothing(7500, MAX_PIXELS // 7500))
    assert read_reduced(tmp_path / "a.png", 100)[0].shape == (100, 94, 3)


@pytest.mark.parametrize("kind", ["EPS", "GIF", "PPM", "ICO", "TGA", "PCX"])
def test_formats_that_no_camera_writes_are_not_decoded(kind, tmp_path):
    Image.fromarray(RAMP).convert("RGB").save(tmp_path / "a.jpg", kind)
    assert code_of(tmp_path / "a.jpg") == "capture.image_unreadable"


def test_a_photo_with_an_archive_behind_it_is_the_photo(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.jpg")
    before = read_photo(tmp_path / "a.jpg")[0]
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"PK\3\4" + bytes(1000))
    assert (read_photo(tmp_path / "a.jpg")[0] == before).all()


def test_of_several_pictures_in_a_file_the_first_is_read(tmp_path):
    first, second = (Image.fromarray(np.full((64, 96, 3), level, np.uint8)) for level in (10, 200))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    first.copy().save(tmp_path / "a.png", save_all=True, append_images=[second])
    first.copy().save(tmp_path / "a.webp", save_all=True, append_images=[second], lossless=True)
    first.copy().save(tmp_path / "a.tif", save_all=True, append_images=[second.copy()])
    for name in ("a.jpg", "a.png", "a.webp", "a.tif"):
        assert np.abs(read_photo(tmp_path / name)[0].astype(int) - 10).max() <= 1


def test_a_profile_that_unpacks_to_much_is_given_up(tmp_path):
    out = io.BytesIO()
    Image.fromarray(RAMP).save(out, "PNG")
    data = out.getvalue()
    bomb = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(300 << 20), 9))
    at = data.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(data[:at] + bomb + data[at:])
    start = time.monotonic()
    assert code_of(tmp_path / "a.png") == "capture.image_unreadable"
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_reduced_photo_is_the_photo_made_smaller(suffix, tmp_path):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    coarse.resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / f"a{suffix}")
    small, alpha = read_reduced(tmp_path / f"a{suffix}", 200)
    wanted = cv2.resize(read_photo(tmp_path / f"a{suffix}")[0], (200, 150), interpolation=3)
    assert alpha is None
    assert small.shape == (150, 200, 3)
    assert np.abs(small.astype(int) - wanted).mean() < 1


def test_small_photos_stay_as_they_are_and_alpha_is_reduced_too(tmp_path):
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[:, 30:] = 255
    write_png(tmp_path / "a.png", rgba)
    assert (read_reduced(tmp_path / "a.png", 60)[0] == rgba[..., :3]).all()
    alpha = read_reduced(tmp_path / "a.png", 6)[1]
    assert (alpha == np.repeat([[0, 0, 0, 255, 255, 255]], 4, axis=0)).all()


def test_damage_anywhere_is_found_in_a_reduced_photo_too(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: int(len(data) * 0.95)])
    with pytest.raises(CaptureError, match="cut short"):
        read_reduced(tmp_path / "a.jpg", 100)
