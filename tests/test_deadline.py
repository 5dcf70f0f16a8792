# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Walks that end by steps or by time, and what they leave on record."""

import math
import time

import pytest

from photocast import deadline as module
from photocast.deadline import Deadline, Paced, deadline_of, part, walk
from photocast.progress import silent


@pytest.fixture
def now(monkeypatch):
    """A clock that only moves when told: now[0] += seconds."""
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    return clock


def test_without_a_limit_a_walk_takes_all_its_steps_and_shares_are_those_of_the_steps():
    walked = list(walk(silent, "fit", 5))
    assert walked == [(step, step / 5) for step in range(5)]


def test_with_plenty_of_time_the_steps_decide(now):
    deadline = Deadline(1000)
    shares = []
    for _, share in deadline.walk("fit", 10):
        shares.append(share)
        now[0] += 1
    assert shares == [step / 10 for step in range(10)]
    assert deadline.cuts == {}


def test_with_little_time_the_clock_decides_and_the_way_ends_near_its_end(now):
    deadline = Deadline(10)
    shares = []
    for _, share in deadline.walk("fit", 100):
        shares.append(share)
        now[0] += 1
    assert shares == pytest.approx([second / 10 for second in range(10)])
    assert deadline.cuts == {"fit": (10, 100)}


def test_time_that_runs_out_late_ends_a_walk_that_began_by_steps(now):
    deadline = Deadline(10)
    shares = []
    for step, share in deadline.walk("fit", 10):
        shares.append(share)
        now[0] += 0.1 if step < 5 else 4
    assert shares == sorted(shares)
    assert deadline.steps["fit"] == (8, 10)


def test_when_the_time_is_over_one_step_remains_and_it_is_the_last_of_its_way(now):
    deadline = Deadline(3)
    now[0] += 5
    assert list(deadline.walk("fit", 50)) == [(0, 1.0)]


def test_a_walk_of_no_steps_is_no_walk():
    deadline = Deadline(1)
    assert list(deadline.walk("fit", 0)) == []
    assert deadline.steps == {}


def test_a_part_ends_after_its_share_of_what_is_left(now):
    deadline = Deadline(100)
    now[0] += 20
    half = deadline.part(0.5)
    assert half.remaining == pytest.approx(40)
    now[0] += 30
    assert half.part(0.5).remaining == pytest.approx(5)
    assert deadline.part(1.0).remaining == pytest.approx(50)
    assert Deadline().part(0.1).remaining == math.inf


def test_walks_of_one_stage_add_up_on_the_record_of_the_whole(now):
    deadline = Deadline(100)
    for _ in deadline.part(0.1).walk("fit", 20):
        now[0] += 1
    for _ in deadline.part(0.9).walk("fit", 30):
        now[0] += 1
    assert deadline.steps == {"fit": (40, 50)}
    assert deadline.cuts == {"fit": (40, 50)}


def test_a_cut_walk_reports_its_steps_as_done_so_that_the_stage_goes_on(now):
    told = []
    progress = Paced(lambda *report: told.append(report), Deadline(3))
    for _ in walk(progress, "fit", 10, before=5, after=7):
        now[0] += 1
    assert told == [("fit", 15, 22)]


def test_a_progress_passes_reports_on_and_carries_the_deadline():
    told = []
    progress = Paced(lambda *report, **numbers: told.append((*report, numbers)), Deadline(9))
    part(progress, 0.5)("mesh", 1, 2, psnr=3.0)
    assert told == [("mesh", 1, 2, {"psnr": 3.0})]
    assert deadline_of(part(progress, 0.5)).limit == 9
    assert deadline_of(silent).limit is None


def test_the_clock_is_real():
    deadline = Deadline(0.2)
    start = time.monotonic()
    for _ in deadline.walk("nap", 1000):
        time.sleep(0.01)
    assert 0.2 <= time.monotonic() - start < 2
    assert deadline.cuts
