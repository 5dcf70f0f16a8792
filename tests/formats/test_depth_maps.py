# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth maps come out in world units, upright, with 0 where unknown."""

import numpy as np
import pytest
from PIL import Image

from photocast.errors import CaptureError
from photocast.formats.depth_maps import read_depth

DEPTH = np.array([[0, 1000, 2000], [3000, 4000, 65535]], np.uint16)


def write_png(path):
    Image.fromarray(DEPTH).save(path)


def write_tiff(path):
    Image.fromarray(DEPTH.astype(np.float32)).save(path)


def write_npy(path):
    np.save(path, DEPTH.astype(np.float64)[..., None])


def write_pfm(path):
    path.write_bytes(b"Pf\n3 2\n-1.0\n" + DEPTH[::-1].astype("<f4").tobytes())


def write_bin(path):
    path.write_bytes(b"3&2&1&" + DEPTH.astype("<f4").tobytes())


WRITERS = {".png": write_png, ".tiff": write_tiff, ".npy": write_npy, ".pfm": write_pfm}
WRITERS[".bin"] = write_bin


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_depth(suffix, tmp_path):
    path = tmp_path / f"depth{suffix}"
    WRITERS[suffix](path)
    depth = read_depth(path, 0.001)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, DEPTH / 1000, rtol=1e-6)


def test_numbers_that_cannot_be_depth_are_unknown(tmp_path):
    np.save(tmp_path / "d.npy", np.array([[np.nan, np.inf, -1.0, 2.0]]))
    assert read_depth(tmp_path / "d.npy", 1.0).tolist() == [[0, 0, 0, 2]]


@pytest.mark.parametrize("suffix", [".png", ".npy", ".pfm", ".bin"])
def test_files_cut_short_are_refused(suffix, tmp_path):
    path = tmp_path / f"depth{suffix}"
    WRITERS[suffix](path)
    path.write_bytes(path.read_bytes()[:-6] if suffix != ".png" else path.read_bytes()[:40])
    with pytest.raises(CaptureError, match="depth") as caught:
        read_depth(path, 1.0)
    assert caught.value.code == "capture.depth_unreadable"


def test_colour_is_not_depth(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "d.png")
    with pytest.raises(CaptureError) as caught:
        read_depth(tmp_path / "d.png", 1.0)
    assert caught.value.code == "capture.depth_shape"
