# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""PNG files as other programs read them."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from photocast.formats.png_write import encode_png


def picture(height: int, width: int, channels: int) -> np.ndarray:
    """Soft ramps with noise, flat parts and wrap-around from 255 to 0."""
    random = np.random.default_rng(height)
    ramp = np.arange(width * channels).reshape(1, width, channels) // 3
    noisy = ramp + random.integers(0, 7, (height, width, channels))
    noisy[: height // 3] = 200
    return noisy.astype(np.uint8)[..., : channels if channels > 1 else None].squeeze()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 3), (256, 256), (1500, 1100)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_two_other_readers_see_the_same_pixels(size, channels):
    pixels = picture(*size, channels).reshape(*size, channels)
    pixels = pixels[..., 0] if channels == 1 else pixels
    data = encode_png(pixels)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        np.testing.assert_array_equal(np.asarray(image), pixels)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    order = {1: None, 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    np.testing.assert_array_equal(read, pixels if order is None else pixels[..., order])


def test_a_view_of_another_array_is_written_as_it_looks():
    pixels = picture(40, 60, 3)
    with Image.open(io.BytesIO(encode_png(pixels[::-2, ::3]))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[::-2, ::3])


def test_the_file_is_smaller_than_its_pixels_and_the_same_every_time():
    pixels = picture(800, 900, 3)
    data = encode_png(pixels)
    assert len(data) < 0.6 * pixels.nbytes
    assert encode_png(pixels) == data


def test_damage_is_noticed_by_readers():
    data = bytearray(encode_png(picture(64, 64, 3)))
    (length,) = struct.unpack(">I", data[33:37])  # the first IDAT, behind signature and header
    data[33 + 12 + length + 40] ^= 1
    with pytest.raises((OSError, SyntaxError)), Image.open(io.BytesIO(bytes(data))) as image:
        image.load()
