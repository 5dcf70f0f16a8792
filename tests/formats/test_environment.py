# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Light files: what is written comes back, foreign files mean what they say, bad ones are named."""

import numpy as np
import OpenEXR
import pytest

from photocast.errors import LightError, UserError
from photocast.formats.environment import (
    CONVENTIONS,
    environment_exr,
    read_environment,
    read_light,
    read_radiance,
)
from photocast.geometry.latlong import PHOTOCAST, VIEWER, directions


def lamps(height: int = 16) -> np.ndarray:
    """A soft lamp of its own colour near each axis, far brighter than 1."""
    toward = directions(PHOTOCAST, height, 2 * height)
    return (0.1 + 20 * np.exp(6 * (toward - 1))).astype(np.float32)


def save_exr(path, channels, **header):
    with OpenEXR.File({"type": OpenEXR.scanlineimage, **header}, channels) as file:
        file.write(str(path))
    return path


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("up", [None, (0, 0, 1), (1, 2, -3)])
def test_a_written_light_comes_back_from_the_same_directions(tmp_path, convention, up):
    axis = None if up is None else np.array(up, dtype=float)
    path = tmp_path / "light.exr"
    path.write_bytes(environment_exr(lamps(), convention=convention, up=axis))
    back = read_environment(path, convention=convention, up=axis)
    factor = len(back) // 16
    wanted = lamps(len(back))
    assert back.dtype == np.float32
    assert np.abs(back - wanted)[factor:-factor].max() < 0.08 * wanted.max()  # a lamp elsewhere: 1


def test_ours_is_stored_to_the_last_bit(tmp_path):
    path = tmp_path / "light.exr"
    path.write_bytes(environment_exr(lamps(), convention="photocast"))
    np.testing.assert_array_equal(read_radiance(path), lamps())
    np.testing.assert_array_equal(read_environment(path), lamps())


def test_beside_a_glb_the_lamp_above_is_above(tmp_path):
    # Green is brightest towards world +Y and blue towards +Z, which is up here.
    path = tmp_path / "light.exr"
    up = np.array([0.0, 0.0, 1.0])
    path.write_bytes(environment_exr(lamps(), up=up))
    stored = read_radiance(path)
    assert stored.shape == (16, 32, 3)
    toward = directions(VIEWER, 16, 32).reshape(-1, 3)
    brightest = toward[stored.reshape(-1, 3).argmax(axis=0)]
    # The GLB's root takes world (x, y, z) to (x, z, -y).
    np.testing.assert_allclose(brightest @ [1, 0, 0], [1, 0, 0], atol=0.2)
    np.testing.assert_allclose(brightest @ [0, 1, 0], [0, 0, 1], atol=0.2)
    np.testing.assert_allclose(brightest @ [0, 0, -1], [0, 1, 0], atol=0.2)
    np.testing.assert_array_equal(read_light(path, up).environment, lamps())


def test_mitsubas_own_file_keeps_its_lamp_and_its_light(capture_folder):
    path = capture_folder("spot") / "environment.exr"
    stored = read_radiance(path)
    assert stored.shape == (64, 128, 3)
    row, column = np.unravel_index(stored.sum(axis=-1).argmax(), (64, 128))
    polar, turn = row / 63 * np.pi, (column + 0.5) / 128 * 2 * np.pi
    lamp = [np.sin(turn) * np.sin(polar), np.cos(polar), -np.cos(turn) * np.sin(polar)]
    ours = read_environment(path, convention="mitsuba")
    toward = directions(PHOTOCAST, *ours.shape[:2])
    found = toward.reshape(-1, 3)[ours.sum(axis=-1).argmax()]
    assert np.degrees(np.arccos(found @ lamp)) < 3
    mean = [
        (image * weight[:, None, None]).mean((0, 1)) / weight.mean()
        for image, weight in (
            (stored, np.sin(np.linspace(0, np.pi, 64))),
            (ours, np.sin((np.arange(len(ours)) + 0.5) / len(ours) * np.pi)),
        )
    ]
    np.testing.assert_allclose(mean[0], mean[1], rtol=0.002)


def test_the_samples_radiance_picture_is_read(request):
    folder = request.config.rootpath / "examples" / "sample"
    from photocast.stages.sample_light import sample_light

    read = read_environment(folder / "ground_truth_light.hdr")
    np.testing.assert_allclose(read, sample_light("studio"), rtol=0.02, atol=0.01)


def test_a_radiance_picture_with_an_exposure_is_divided_by_it(tmp_path):
    import cv2

    ok, data = cv2.imencode(".hdr", lamps()[..., ::-1].copy())
    assert ok
    marked = data.tobytes().replace(b"\n\n", b"\nEXPOSURE=2.0\nEXPOSURE= 4\n\n", 1)
    (tmp_path / "a.hdr").write_bytes(data.tobytes())
    (tmp_path / "b.hdr").write_bytes(marked)
    a, b = (read_radiance(tmp_path / name) for name in ("a.hdr", "b.hdr"))
    np.testing.assert_allclose(a, lamps(), rtol=0.02, atol=0.1)
    np.testing.assert_allclose(b * 8, a, rtol=1e-6)


def test_half_floats_alpha_and_grey_are_read(tmp_path):
    half = lamps().astype(np.float16)
    alpha = np.ones((16, 32), np.float16)
    rgba = save_exr(tmp_path / "rgba.exr", {"RGBA": np.dstack([half, alpha])})
    np.testing.assert_array_equal(read_radiance(rgba), half.astype(np.float32))
    grey = save_exr(tmp_path / "grey.exr", {"Y": half[..., 0].copy()})
    np.testing.assert_array_equal(read_radiance(grey)[..., 2], half[..., 0].astype(np.float32))


def test_bad_files_are_told_apart(tmp_path):
    whole = environment_exr(lamps())
    hdr = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 8 +X 16\n" + bytes(20)
    negative = lamps()
    negative[3, 4, 1] = -1
    broken = negative * np.float32(np.nan)
    cases = {
        "gone.exr": (None, "light.missing"),
        "light.png": (b"x", "light.unknown_format"),
        "cut.exr": (whole[: len(whole) // 2], "light.damaged"),
        "text.exr": (b"hello", "light.damaged"),
        "empty.exr": (b"", "light.damaged"),
        "cut.hdr": (hdr, "light.damaged"),
        "text.hdr": (b"hello", "light.damaged"),
        "empty.hdr": (b"", "light.damaged"),
        "cube.exr": (environment_exr(lamps()[:, :16], convention="photocast"), "light.size"),
        "negative.exr": (environment_exr(negative, convention="photocast"), "light.values"),
        "nan.exr": (environment_exr(broken, convention="photocast"), "light.values"),
    }
    for name, (data, code) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(LightError, match=name) as caught:
            read_radiance(tmp_path / name)
        assert caught.value.code == code, name


def test_a_depth_file_is_no_light(tmp_path):
    path = save_exr(tmp_path / "depth.exr", {"Z": np.ones((4, 8), np.float32)})
    with pytest.raises(LightError, match=r"channels Z; B, G, R|Z; Y") as caught:
        read_radiance(path)
    assert caught.value.code == "light.channels"


def test_an_unknown_convention_is_refused_by_name(tmp_path):
    path = tmp_path / "light.exr"
    path.write_bytes(environment_exr(lamps()))
    with pytest.raises(UserError, match="photocast, viewer, mitsuba") as caught:
        read_environment(path, convention="blender")  # type: ignore[arg-type]
    assert caught.value.code == "light.convention"
