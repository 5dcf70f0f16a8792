# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Laws of sampling that hold for any network."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.errors import Cancelled, ConfigError
from photocast.nets.samplers import (
    FlowState,
    Guidance,
    GuidanceStyle,
    SamplerConfig,
    guided_velocity,
    sample,
    times,
)

NOISE = torch.linspace(-2, 2, 24).view(1, 2, 3, 4)


def network(x, t, conditional):
    return torch.sin(x + t / 1000) + (0.3 if conditional else -0.2) * x


def counting(calls):
    def velocity(x, t, conditional):
        calls.append(conditional)
        return network(x, t, conditional)

    return velocity


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.2, 8))
def test_times_fall_from_one_to_zero(steps, rescale_t):
    schedule = times(steps, rescale_t)
    assert len(schedule) == steps + 1
    assert schedule[0] == pytest.approx(1, abs=1e-15)
    assert schedule[-1] == 0
    assert (schedule[1:] < schedule[:-1]).all()


def test_a_step_exactly_on_the_interval_is_guided():
    assert times(12, 3.0)[9] == 0.5
    guidance = Guidance(style=GuidanceStyle.added, strength=3.0, interval=(0.5, 1.0))
    assert guidance.covers(float(times(12, 3.0)[9]))


@pytest.mark.parametrize(
    ("steps", "rescale_t", "low", "guided", "plain"),
    [(30, 3, 0.5, 23, 7), (30, 5, 0.6, 24, 6), (12, 3, 0.5, 10, 2), (12, 3, 0.6, 9, 3)],
)
def test_guided_steps_take_two_passes_and_others_one(steps, rescale_t, low, guided, plain):
    calls = []
    guidance = Guidance(style=GuidanceStyle.mixed, strength=7.5, interval=(low, 1.0))
    config = SamplerConfig(steps=steps, rescale_t=float(rescale_t), guidance=guidance)
    sample(counting(calls), NOISE, config)
    assert calls.count(True) == guided + plain
    assert calls.count(False) == guided


@settings(deadline=None)
@given(st.floats(0.5, 9), st.floats(0.01, 1))
def test_the_two_conventions_differ_by_one(strength, t):
    added = Guidance(style=GuidanceStyle.added, strength=strength, interval=(0.0, 1.0))
    mixed = replace(added, style=GuidanceStyle.mixed, strength=strength + 1)
    ours, theirs = (
        guided_velocity(network, NOISE, t, SamplerConfig(guidance=g)) for g in (added, mixed)
    )
    torch.testing.assert_close(ours, theirs)


def test_a_strength_that_changes_nothing_costs_one_pass():
    for style, strength in ((GuidanceStyle.added, 0.0), (GuidanceStyle.mixed, 1.0)):
        calls = []
        guidance = Guidance(style=style, strength=strength, interval=(0.0, 1.0))
        v = guided_velocity(counting(calls), NOISE, 0.7, SamplerConfig(guidance=guidance))
        assert calls == [True]
        assert v.equal(network(NOISE, torch.tensor([700.0]), True))


def test_full_rescale_gives_the_spread_of_the_conditional_estimate():
    guidance = Guidance(style=GuidanceStyle.mixed, strength=7.5, rescale=1.0)
    config, state = SamplerConfig(guidance=guidance), FlowState(0.8)
    v = guided_velocity(network, NOISE, 0.8, config)
    plain = network(NOISE, torch.tensor([800.0]), True)
    wanted = state.clean(NOISE, plain).std()
    torch.testing.assert_close(state.clean(NOISE, v).std(), wanted)


def test_a_straight_flow_arrives_whatever_the_steps():
    """A velocity that always points from one clean sample to the noise leads to that sample."""
    target = torch.full_like(NOISE, 0.25)

    def straight(x, t, conditional):
        del conditional
        return FlowState(float(t) / 1000).velocity(x, target)

    for steps in (1, 2, 7):
        torch.testing.assert_close(
            sample(straight, NOISE, SamplerConfig(steps=steps)).sample, target, atol=1e-4, rtol=0
        )


def test_progress_can_cancel_between_steps():
    calls = []

    def stop(stage, done, total, **numbers):
        assert (stage, total) == ("structure", 25)
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        sample(counting(calls), NOISE, SamplerConfig(), progress=stop, stage="structure")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (SamplerConfig, {"steps": 0}),
        (SamplerConfig, {"rescale_t": 0.0}),
        (Guidance, {"style": GuidanceStyle.added, "strength": 1.0, "interval": (0.7, 0.2)}),
        (Guidance, {"style": GuidanceStyle.added, "strength": 1.0, "rescale": 1.5}),
    ],
)
def test_settings_outside_their_limits_are_refused(kind, fields):
    with pytest.raises(ConfigError):
        kind(**fields)


def test_corrected_velocities_are_followed_and_seen_with_their_state():
    seen = []

    def correct(x, v, state):
        seen.append((state.t, float(v[0]), float(x[0])))
        return v + 1 if state.t <= 0.5 else v

    config = SamplerConfig(steps=4, rescale_t=1.0)
    plain = sample(lambda x, t, conditional: 2 + 0 * x, torch.zeros(1), config)
    made = sample(lambda x, t, conditional: 2 + 0 * x, torch.zeros(1), config, correct=correct)
    assert seen == [(1.0, 2.0, 0.0), (0.75, 2.0, -0.5), (0.5, 2.0, -1.0), (0.25, 2.0, -1.75)]
    assert float(made.sample) == float(plain.sample) - 0.5
