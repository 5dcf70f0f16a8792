# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Each way in which sensors err lowers the weight of just the pixels that it hits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from photocast.config import DepthConfig
from photocast.data import Camera
from photocast.stages.depth_trust import SensedDepth, noise_of, reduced, weighed

SIDE, FOCAL = 120, 150.0
CONFIG = DepthConfig()
PIXEL = 2.0 / FOCAL  # width of a pixel at two metres


def wall(tilt=0.0, z=2.0):
    """Depth of a plane through (0, 0, z), turned about the vertical axis by ``tilt`` [rad]."""
    x = (np.arange(SIDE) + 0.5 - SIDE / 2) / FOCAL
    return np.broadcast_to(z / (1 - np.tan(tilt) * x), (SIDE, SIDE)).astype(np.float32).copy()


def trusted_map(found, voxel, config):
    return reduced(weighed(found, config), voxel, config)


def sensed(depth, **others):
    camera = Camera(SIDE, SIDE, FOCAL, FOCAL, SIDE / 2, SIDE / 2, np.eye(4))
    return SensedDepth(torch.from_numpy(depth), camera, *(others.get(k) for k in ("sure", "mask")))


def fine(depth, config=CONFIG, **others):
    """Weights at the sensor's own pixels."""
    made = trusted_map(sensed(depth, **others), PIXEL, config)
    assert made.samples.shape == (SIDE, SIDE, 3)
    return made.samples[..., 2].numpy()


@pytest.mark.parametrize("sigma", [0.002, 0.01])
def test_noise_is_measured_on_a_slope(sigma):
    depth = wall(0.7) + np.random.default_rng(0).normal(0, sigma, (SIDE, SIDE)).astype(np.float32)
    assert noise_of(torch.from_numpy(depth)) == pytest.approx(sigma, rel=0.05)


def test_steps_of_a_quantised_map_count_as_noise():
    step = 0.02
    depth = np.rint(wall(0.3) / step) * step
    assert 0.05 * step < noise_of(torch.from_numpy(depth)) < 0.5 * step
    assert noise_of(torch.from_numpy(wall(0.3))) < 1e-4


def test_pixels_along_an_outline_are_not_trusted_and_those_beside_it_half():
    depth = wall()
    depth[:, 60:] = 2.5
    weight = fine(depth)[60]
    assert (weight[58:62] == 0).all()
    assert 0 < weight[57] < 0.6 * weight[40]
    assert weight[56] == pytest.approx(weight[40], rel=0.02)
    assert fine(depth, replace(CONFIG, edge=0))[60, 57] == pytest.approx(weight[40], rel=0.02)


def test_a_smeared_edge_is_an_outline():
    depth = wall()
    depth[:, 60:68] = np.linspace(2.0, 2.9, 8)
    depth[:, 68:] = 2.9
    assert (fine(depth)[60, 60:68] == 0).all()


def test_a_lone_point_in_mid_air_is_dropped_and_its_neighbours_are_kept():
    depth = wall()
    depth[30, 30] = 1.2
    weight = fine(depth)
    assert weight[30, 30] == 0
    assert weight[30, 33] > 0.8
    # were it taken for an outline, all around it would be lost
    assert weight[31, 31] > 0.8


def test_grazing_views_fade_out():
    for degrees, low, high in ((0, 0.9, 1), (40, 0.9, 1), (72, 0.2, 0.6), (80, 0, 0.2)):
        middle = fine(wall(np.radians(degrees)))[60, 60]
        assert low <= middle <= high
    blind = replace(CONFIG, min_cosine=0.0)
    assert fine(wall(np.radians(72)), blind)[60, 60] > 0.8


def test_what_the_sensor_doubts_is_weighed_down():
    sure = torch.ones(SIDE, SIDE)
    sure[:, :40], sure[:, 40:80] = 0, 0.5
    weight = fine(wall(), sure=sure)
    assert (weight[:, :40] == 0).all()
    assert weight[60, 60] == pytest.approx(0.5 * weight[60, 100], rel=0.05)


def test_the_border_of_the_mask_is_an_outline():
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[:, 60:] = True
    weight = fine(wall(), mask=mask)[60]
    assert (weight[59:61] == 0).all()
    assert weight[50] > 0.8
    assert weight[70] > 0.8


def test_far_pixels_count_less_than_near_ones():
    depth = np.linspace(1, 4, SIDE, dtype=np.float32)[:, None].repeat(SIDE, 1)
    depth += np.random.default_rng(0).normal(0, 0.004 * depth**2).astype(np.float32)
    quiet = replace(CONFIG, min_cosine=0.0, edge=0)
    weight = trusted_map(sensed(depth), 0.01, quiet).samples[..., 2]
    assert weight[:5].mean() > 2 * weight[-5:].mean()


def test_averaging_over_a_cell_removes_noise_and_keeps_a_slope_with_holes_exact():
    rng = np.random.default_rng(0)
    truth = wall(0.6)
    holes = rng.random(truth.shape) < 0.2
    voxel = 8 * PIXEL
    clean = trusted_map(sensed(np.where(holes, 0, truth).astype(np.float32)), voxel, CONFIG)
    noise = rng.normal(0, 0.01, truth.shape)
    noisy = trusted_map(sensed((truth + noise).astype(np.float32)), voxel, CONFIG)
    factor = SIDE // clean.samples.shape[1]
    assert factor == 6
    centre = (np.arange(SIDE // factor) + 0.5) * factor
    x = (centre - SIDE / 2) / FOCAL
    exact = 2 / (1 - np.tan(0.6) * x) / voxel
    inner = (slice(1, -1), slice(1, -1))
    off = clean.samples[..., 0].numpy() - exact
    assert np.abs(off[inner]).max() < 0.03
    off = noisy.samples[..., 0].numpy() - exact
    assert off[inner].std() < 0.3 * 0.01 / voxel
    # distance per gap in depth is the cosine to the viewing axis over the ray's own stretch
    slope = clean.samples[..., 1].numpy()[inner]
    assert np.median(slope) == pytest.approx(np.cos(0.6), rel=0.02)


def test_an_empty_map_is_no_map():
    assert weighed(sensed(np.zeros((SIDE, SIDE), np.float32)), CONFIG) is None
