# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Faces that listen to their neighbours, against plain torch."""

import pytest
import torch
from torch.testing import assert_close

from photocast.ops.agreement import beliefs, beliefs_twin, softened, softened_twin


def faces(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours, some of them absent, and their weights."""
    random = torch.Generator().manual_seed(count)
    neighbours = torch.randint(-1, count, (count, 3), generator=random, dtype=torch.int32)
    return neighbours, torch.rand(count, 3, generator=random) / 3


@pytest.mark.parametrize("count", [1, 7, 5000])
def test_vectors_are_softened_as_in_plain_torch(device, count):
    neighbours, weights = faces(count)
    vectors = torch.randn(count, 3, generator=torch.Generator().manual_seed(1))
    given = vectors.clone().to(device)
    found = softened(given, neighbours.to(device), weights.to(device), 3)
    assert_close(found.cpu().double(), softened_twin(vectors.double(), neighbours, weights, 3))
    assert torch.equal(given.cpu(), vectors)


@pytest.mark.parametrize("count", [1, 7, 5000])
def test_beliefs_are_those_of_plain_torch(device, count):
    neighbours, weights = faces(count)
    fit = 4 * torch.randn(count, 6, generator=torch.Generator().manual_seed(2))
    found = beliefs(fit.to(device), neighbours.to(device), weights.to(device), 5.0, 6)
    wanted = beliefs_twin(fit.double(), neighbours, weights, 5.0, 6)
    assert_close(found.cpu().double(), wanted, rtol=1e-4, atol=1e-5)


def test_a_face_in_doubt_takes_what_its_neighbours_take(device):
    fit = torch.zeros(4, 6)
    fit[1:, 2] = 3.0
    neighbours = torch.tensor([[1, 2, 3], [0, -1, -1], [0, -1, -1], [0, -1, -1]]).int()
    weights = torch.full((4, 3), 1 / 3)
    found = beliefs(fit.to(device), neighbours.to(device), weights.to(device), 4.0, 8).cpu()
    assert found[0].argmax() == 2
    assert found[0, 2] > 0.8


def test_no_rounds_leave_everything_as_it_was(device):
    neighbours, weights = (part.to(device) for part in faces(5))
    vectors, fit = torch.randn(5, 3, device=device), torch.randn(5, 6, device=device)
    assert torch.equal(softened(vectors, neighbours, weights, 0), vectors)
    assert_close(beliefs(fit, neighbours, weights, 1.0, 0), torch.softmax(fit, 1))
