# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth maps come out in world units, upright, with 0 where unknown."""

import numpy as np
import pytest
from PIL import Image

from photocast.errors import CaptureError
from photocast.formats.depth_maps import read_confidence, read_depth

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


def write_exr(path, values=None, name="Z", **header):
    OpenEXR = pytest.importorskip("OpenEXR")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    pixels = DEPTH.astype(np.float32) if values is None else values
    channels = {name: pixels} if isinstance(pixels, np.ndarray) else pixels
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


WRITERS = {".png": write_png, ".tiff": write_tiff, ".npy": write_npy, ".pfm": write_pfm}
WRITERS[".bin"] = write_bin
WRITERS[".exr"] = lambda path: write_exr(path, np.minimum(DEPTH, 65503).astype(np.float32))


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_depth(suffix, tmp_path):
    path = tmp_path / f"depth{suffix}"
    WRITERS[suffix](path)
    depth = read_depth(path, 0.001)
    assert depth.dtype == np.float32
    wanted = np.minimum(DEPTH, 65503) if suffix == ".exr" else DEPTH
    known = wanted < 65504 if suffix not in (".png", ".exr") else wanted >= 0
    np.testing.assert_allclose(depth, np.where(known, wanted, 0) / 1000, rtol=1e-6)


def test_without_a_scale_whole_numbers_are_millimetres_and_others_metres(tmp_path):
    np.save(tmp_path / "i.npy", np.array([[0, 1500]], np.int32))
    np.save(tmp_path / "f.npy", np.array([[0, 1.5]]))
    write_png(tmp_path / "p.png")
    write_exr(tmp_path / "x.exr", np.array([[0, 1.5]], np.float32))
    for name in ("i.npy", "f.npy", "x.exr"):
        np.testing.assert_allclose(read_depth(tmp_path / name), [[0, 1.5]], rtol=1e-6)
    assert read_depth(tmp_path / "p.png")[0, 1] == 1


def test_the_depth_among_the_channels_of_a_picture_is_found(tmp_path):
    path, z = tmp_path / "d.exr", np.array([[1.0, 2.0]], np.float32)
    color = {name: z * 0 for name in "RGB"}
    for name in ("Z", "View.Depth.Z", "depth.V"):
        write_exr(path, {**color, name: z})
        assert read_depth(path).tolist() == [[1, 2]]
    write_exr(path, dict.fromkeys("RGB", z))
    assert read_depth(path).tolist() == [[1, 2]]
    write_exr(path, {**color, "R": z})
    with pytest.raises(CaptureError, match="called Z"):
        read_depth(path)


def test_a_renderers_far_plane_is_unknown(tmp_path):
    write_exr(tmp_path / "d.exr", np.array([[2.0, 65504.0, 1e10, np.inf]], np.float32))
    assert read_depth(tmp_path / "d.exr").tolist() == [[2, 0, 0, 0]]


def test_a_cropped_exr_is_put_back_in_its_place(tmp_path):
    window = (np.array([0, 0], np.int32), np.array([3, 2], np.int32))
    crop = (np.array([1, 1], np.int32), np.array([2, 3], np.int32))  # one row too low
    write_exr(
        tmp_path / "d.exr",
        np.array([[1, 2], [3, 4], [5, 6]], np.float32),
        displayWindow=window,
        dataWindow=crop,
    )
    assert read_depth(tmp_path / "d.exr").tolist() == [[0, 0, 0, 0], [0, 1, 2, 0], [0, 3, 4, 0]]


@pytest.mark.parametrize(
    "stored",
    [
        np.array([[0, 1, 2]], np.uint8),
        np.array([[0, 128, 255]], np.uint8),
        np.array([[0, 32896, 65535]], np.uint16),
        np.array([[-1, 0.5, 1.2]], np.float32),
    ],
)
def test_every_scale_of_confidence_is_understood(stored, tmp_path):
    np.save(tmp_path / "c.npy", stored)
    assert read_confidence(tmp_path / "c.npy").tolist() == [[0, 128, 255]]


def test_enormous_files_are_refused_before_they_are_read(tmp_path):
    with (tmp_path / "d.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (9000, 9000)}
        )
        file.truncate(9000 * 9000 * 4 + 200)  # a hole, not data
    (tmp_path / "d.pfm").write_bytes(b"Pf\n9000 9000\n-1.0\n")
    (tmp_path / "d.bin").write_bytes(b"9000&1&1&")
    Image.new("1", (8193, 20)).save(tmp_path / "d.png")
    for name in ("d.npy", "d.pfm", "d.bin", "d.png"):
        with pytest.raises(CaptureError, match="8192") as caught:
            read_depth(tmp_path / name)
        assert caught.value.code == "capture.depth_unreadable"


def test_objects_in_an_npy_file_are_refused(tmp_path):
    np.save(tmp_path / "d.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(CaptureError) as caught:
        read_depth(tmp_path / "d.npy")
    assert caught.value.code == "capture.depth_unreadable"


def test_numbers_that_cannot_be_depth_are_unknown(tmp_path):
    np.save(tmp_path / "d.npy", np.array([[np.nan, np.inf, -1.0, 2.0]]))
    assert read_depth(tmp_path / "d.npy", 1.0).tolist() == [[0, 0, 0, 2]]


@pytest.mark.parametrize("suffix", [".png", ".npy", ".pfm", ".bin", ".exr"])
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
