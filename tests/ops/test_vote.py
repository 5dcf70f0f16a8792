# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Points asked of labelled photos, against asking every photo about every point."""

import pytest
import torch

from photocast.ops.vote import Witnesses, vote, vote_twin

CPU = torch.device("cpu")
SIZES = [(30, 20), (17, 40), (25, 25), (8, 8), (40, 30)]


def witnesses(device: torch.device = CPU) -> Witnesses:
    """Cameras all around, of many sizes, one looking away; labels by chance."""
    random = torch.Generator().manual_seed(4)
    matrices, labels = [], []
    for k, (width, height) in enumerate(SIZES):
        turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=random, dtype=torch.float64))
        turn = turn * torch.linalg.det(turn)
        shift = torch.tensor([[0.0], [0.0], [-3.0 if k == 3 else 3.0]], dtype=torch.float64)
        lens = torch.tensor([[30.0, 0, width / 2], [0, 28.0, height / 2], [0, 0, 1]]).double()
        matrices.append(lens @ torch.cat([turn, shift], 1))
        labels.append(torch.randint(0, 9, (height * width,), generator=random).clamp(max=2).byte())
    lengths = torch.tensor([len(part) for part in labels])
    return Witnesses(
        torch.stack(matrices).to(device),
        torch.tensor(SIZES, dtype=torch.int32, device=device),
        (lengths.cumsum(0) - lengths).int().to(device),
        torch.cat(labels).to(device),
    )


@pytest.mark.parametrize(("allowed", "support"), [(0, 0.5), (1, 0.75), (2, 0.9)])
def test_points_are_kept_as_the_twin_keeps_them(device, allowed, support):
    random = torch.Generator().manual_seed(5)
    points = torch.rand(3000, 3, generator=random, dtype=torch.float64) * 3 - 1.5
    found = vote(points.to(device), witnesses(device), allowed, support).cpu()
    wanted = vote_twin(points, witnesses(), allowed, support)
    assert torch.equal(found, wanted)
    assert 0 < int(wanted.sum()) < len(points)


def test_no_points_are_no_question(device):
    none = torch.zeros(0, 3, dtype=torch.float64, device=device)
    assert vote(none, witnesses(device), 1, 0.75).shape == (0,)
