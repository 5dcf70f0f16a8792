# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Exposures are told from what photos share, and highlights or strangers do not matter."""

import pytest
import torch

from photocast.stages.photo_gains import photo_gains

VIEWS, PLACES = 6, 3000


@pytest.fixture
def shared():
    """Light of places, which photos show them, and their true exposures."""
    random = torch.Generator().manual_seed(0)
    light = 0.05 + 0.6 * torch.rand((PLACES, 3), generator=random)
    # each photo shows half of the places, a ring in which neighbours overlap
    at = torch.arange(PLACES) / PLACES
    middle = torch.arange(VIEWS)[:, None] / VIEWS
    apart = ((at - middle + 0.5) % 1 - 0.5).abs()
    weights = (0.25 - apart).clamp(min=0) * 4
    gains = 0.8 * torch.rand((VIEWS, 3), generator=random) - 0.4
    gains -= gains.mean(0)
    return light * gains.exp()[:, None], weights, gains


def test_exposures_and_white_balance_are_found(shared):
    colors, weights, gains = shared
    assert (photo_gains(colors, weights) - gains).abs().max() < 0.01


def test_a_quarter_of_the_places_in_highlights_does_not_matter(shared):
    colors, weights, gains = shared
    random = torch.Generator().manual_seed(1)
    bright = torch.rand((VIEWS, PLACES), generator=random) < 0.25
    colors = torch.where(bright[..., None], colors + 0.5, colors)
    assert (photo_gains(colors, weights) - gains).abs().max() < 0.12


def test_a_photo_that_shares_nothing_stays_as_it_is(shared):
    colors, weights, gains = shared
    alone = torch.zeros(1, PLACES)
    found = photo_gains(torch.cat([colors, colors[:1]]), torch.cat([weights, alone]))
    assert (found[-1] == 0).all()
    assert (found[:-1] - gains).abs().max() < 0.01


def test_one_photo_alone_stays_as_it_is(shared):
    colors, weights, _ = shared
    assert (photo_gains(colors[:1], weights[:1]) == 0).all()
