# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run is estimated to need, and what is lowered where there is less."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import trimesh
from torch.profiler import ProfilerActivity, profile

from photocast.config import PRESETS, AppearanceConfig, RefineConfig, UnwrapConfig, optimize_preset
from photocast.data import Camera, Mesh, Photo
from photocast.engines.optimize.appearance import dressed
from photocast.engines.optimize.memory import (
    free_memory,
    memory_peaks,
    memory_plan,
    smaller_settings,
)
from photocast.progress import silent
from photocast.stages.unwrap import unwrap

GB = 10**9


def pictures(count: int, side: int, covered: float = 0.4) -> list[Photo]:
    """Photos that take no memory."""
    rgb = np.broadcast_to(np.uint8(0), (side, side, 3))
    row = (np.arange(side) < covered * side).astype(np.uint8) * 255
    mask = np.broadcast_to(row, (side, side))
    camera = Camera(side, side, side, side, side / 2, side / 2, np.eye(4))
    return [Photo(f"{number}", camera, rgb, mask) for number in range(count)]


@pytest.mark.parametrize("name", PRESETS)
def test_a_hundred_photos_of_2048_pixels_fit_into_12_gigabytes(name):
    photos, config = pictures(100, 2048), optimize_preset(name)
    peaks = memory_peaks(photos, config)
    assert {part: peak for part, peak in peaks.items() if peak > 12 * GB} == {}
    assert memory_plan(photos, config, 16 * GB) == (config, [])


def test_on_the_cpu_nothing_is_planned():
    photos, config = pictures(3, 64), optimize_preset("high")
    assert free_memory("cpu") is None
    assert memory_plan(photos, config, None) == (config, [])


@pytest.mark.parametrize("free", [2, 3, 4, 6, 8])
def test_with_less_memory_settings_go_down_until_all_parts_fit(free):
    photos, config = pictures(60, 1024), optimize_preset("high")
    planned, notes = memory_plan(photos, config, int(free * GB))
    assert max(memory_peaks(photos, planned).values()) <= free * GB
    if planned != config:
        assert f"{free:.1f} GB" in notes[0]
        assert " instead of " in notes[0]
    assert planned.appearance.size <= config.appearance.size
    assert planned.refine.batch <= config.refine.batch
    assert planned.volume.resolution <= config.volume.resolution


def test_only_the_part_that_is_too_large_is_lowered():
    photos = pictures(20, 512)
    config = optimize_preset("standard")
    config = replace(config, volume=replace(config.volume, resolution=512))
    planned, _ = memory_plan(photos, config, 8 * GB)
    assert planned.volume.resolution < 512
    assert replace(planned, volume=config.volume) == config


def test_more_memory_never_means_lower_settings():
    photos, config = pictures(60, 1024), optimize_preset("high")
    plans = [memory_plan(photos, config, int(free * GB))[0] for free in (1, 2, 4, 8, 16)]
    for less, more in pairwise(plans):
        assert less.appearance.size <= more.appearance.size
        assert less.volume.resolution <= more.volume.resolution


def test_hopelessly_little_memory_ends_at_the_lowest_settings():
    planned, notes = memory_plan(pictures(60, 1024), optimize_preset("high"), 1000)
    assert planned.appearance.size == 512
    assert notes


def test_smaller_settings_need_less_of_everything():
    photos, config = pictures(60, 1024), optimize_preset("high")
    before, after = memory_peaks(photos, config), memory_peaks(photos, smaller_settings(config))
    assert all(after[part] < before[part] for part in before)


def test_the_estimate_is_no_less_than_what_torch_allocates_and_not_much_more(photograph):
    ball = trimesh.creation.icosphere(3)
    mesh = Mesh((0.8 * ball.vertices).astype(np.float32), ball.faces.astype(np.int32))
    mesh = unwrap(mesh, UnwrapConfig(size=512))
    photos = photograph(mesh, count=6, size=192)
    config = optimize_preset("draft")
    config = replace(
        config,
        mesh=replace(config.mesh, face_count=len(mesh.faces)),
        refine=RefineConfig(epochs=1),
        appearance=AppearanceConfig(size=512, coarse=(), epochs=(0.1,), min_steps=1),
    )
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        dressed(mesh, photos, config, silent, keep_uvs=True)
    results = recorded.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    measured = int(np.cumsum([event.nbytes() for event in events]).max())
    peaks = memory_peaks(photos, config)
    estimated = max(peaks["appearance"], peaks["refine"])
    assert measured < 1.1 * estimated
    assert estimated < 2.5 * measured


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_free_memory_is_that_of_the_device():
    free = free_memory("cuda")
    assert 0 < free <= torch.cuda.get_device_properties(0).total_memory
