# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Our fusion of depth and Open3D's, on the same maps of a known shape; why: docs/optimize.md."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def fusion(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("fusion")


@pytest.mark.open3d
def test_of_clean_depth_both_find_the_surface_and_open3d_finds_more_of_it(open3d_tool, fusion):
    own, other = fusion.both(fusion.sample(), fusion.CASES["clean"], open3d_tool)
    for scores in (own, other):
        assert scores.chamfer < 0.001
        assert scores.f_score_half_percent > 0.95
    assert own.accuracy < other.accuracy
    assert other.completeness < own.completeness  # ours leaves out what is seen at outlines alone


@pytest.mark.open3d
def test_of_noisy_depth_ours_is_several_times_as_accurate(open3d_tool, fusion):
    own, other = fusion.both(fusion.sample(), fusion.CASES["kinect"], open3d_tool)
    assert own.accuracy < other.accuracy / 3
    assert own.f_score_half_percent > other.f_score_half_percent
    assert other.completeness < own.completeness
