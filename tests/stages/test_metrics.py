# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Picture scores against closed forms and a slow, direct SSIM."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from photocast.errors import ConfigError
from photocast.stages.metrics import MAX_PSNR, mask_iou, psnr, ssim


def noise(seed: int, shape: tuple[int, ...] = (24, 17, 3)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def slow_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equation 13 of the paper, window by window."""
    axis = np.arange(-5, 6)
    weight = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    rows, columns, channels = x.shape
    scores = np.zeros((rows - 10, columns - 10, channels))
    for i, j, c in np.ndindex(scores.shape):
        a, b = x[i : i + 11, j : j + 11, c], y[i : i + 11, j : j + 11, c]
        mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
        var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
        both = (weight * (a - mean_a) * (b - mean_b)).sum()
        scores[i, j, c] = ((2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)) / (
            (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
        )
    return scores


@given(st.floats(1e-4, 1.0))
def test_a_constant_offset_has_the_psnr_of_its_square(offset):
    image = noise(0)
    assert psnr(image + offset, image) == pytest.approx(-20 * math.log10(offset), abs=1e-6)


def test_equal_pictures_are_perfect():
    image = noise(1)
    assert psnr(image, image) == MAX_PSNR
    assert ssim(image, image) == pytest.approx(1, abs=1e-12)


def test_only_the_pixels_of_the_mask_count():
    image, other = noise(2), noise(2)
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[5:9, 3:8] = True
    other[~mask] = 1 - other[~mask]
    assert psnr(image, other, mask=mask) == MAX_PSNR
    other[mask] += 0.1
    assert psnr(image, other, mask=mask) == pytest.approx(20)
    assert psnr(image, other) < 20


def test_ssim_agrees_with_the_formula_window_by_window():
    x = noise(3)
    y = np.clip(0.7 * x + 0.3 * noise(4), 0, 1)
    slow = slow_ssim(x, y)
    assert ssim(x, y) == pytest.approx(slow.mean(), abs=1e-12)
    mask = noise(5, x.shape[:2]) > 0.6
    assert ssim(x, y, mask=mask) == pytest.approx(slow[mask[5:-5, 5:-5]].mean(), abs=1e-12)


def test_tensors_score_like_arrays(device):
    x, y = noise(3), np.clip(0.7 * noise(3) + 0.3 * noise(4), 0, 1)
    mask = noise(5, x.shape[:2]) > 0.6
    a, b, where = (torch.from_numpy(array).to(device) for array in (x, y, mask))
    for score in (psnr, ssim):
        assert score(a, b) == pytest.approx(score(x, y), abs=1e-11)
        assert score(a, b, mask=where) == pytest.approx(score(x, y, mask=mask), abs=1e-11)


@given(st.integers(0, 1000))
def test_scores_do_not_depend_on_order_channels_or_mirroring(seed):
    x, y = noise(seed), noise(seed + 1)
    for score in (psnr, ssim):
        value = score(x, y)
        assert score(y, x) == pytest.approx(value)
        assert score(x[..., ::-1], y[..., ::-1]) == pytest.approx(value)
        assert score(x[::-1], y[::-1]) == pytest.approx(value)
        assert score(x.transpose(1, 0, 2), y.transpose(1, 0, 2)) == pytest.approx(value)


def test_more_noise_scores_lower():
    image, error = noise(6), noise(7) - 0.5
    steps = [image + s * error for s in (0.01, 0.05, 0.2, 0.6)]
    for score in (psnr, ssim):
        values = [score(step, image) for step in steps]
        assert values == sorted(values, reverse=True)


def test_iou_of_shifted_squares():
    a, b = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    a[4:14, 4:14], b[4:14, 9:19] = 255, 255
    assert mask_iou(a, b) == pytest.approx(50 / 150)
    assert mask_iou(a, a) == 1
    assert mask_iou(a, 255 - a) == 0
    assert mask_iou(a * 0, b * 0) == 1
    assert mask_iou(np.full_like(a, 127), a) == 0  # half covered begins at 128


@pytest.mark.parametrize("score", [psnr, ssim])
def test_pictures_of_different_sizes_are_refused(score):
    with pytest.raises(ConfigError, match="same size"):
        score(noise(0), noise(0)[:-1])
    with pytest.raises(ConfigError, match="same size"):
        score(noise(0), noise(0), mask=np.ones((3, 3), bool))


def test_a_picture_smaller_than_the_window_is_refused():
    with pytest.raises(ConfigError, match="at least 11x11"):
        ssim(noise(0, (10, 40, 3)), noise(1, (10, 40, 3)))
