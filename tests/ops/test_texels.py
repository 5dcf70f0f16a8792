# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Hidden triangles, against the list of all texels."""

import pytest
import torch

from photocast.ops.texels import hidden_triangles, hidden_triangles_twin


def soup(count: int, reach: float, seed: int) -> torch.Tensor:
    """Triangles of up to ``reach`` px, some beyond the 50x70 map, some on texel centres."""
    random = torch.Generator().manual_seed(seed)
    middle = torch.rand(count, 1, 2, generator=random, dtype=torch.float64) * 80 - 10
    corners = (
        middle + (torch.rand(count, 3, 2, generator=random, dtype=torch.float64) - 0.5) * reach
    )
    corners[::3] = (corners[::3] * 2).round() / 2
    return corners


@pytest.mark.parametrize(("count", "reach"), [(1, 30.0), (40, 12.0), (300, 6.0), (2000, 2.0)])
def test_triangles_behind_others_are_found(device, count, reach):
    corners = soup(count, reach, seed=count)
    rank = torch.randperm(count, generator=torch.Generator().manual_seed(0)).int()
    found = hidden_triangles(corners.to(device), rank.to(device), (50, 70)).cpu()
    wanted = hidden_triangles_twin(corners, rank, (50, 70))
    assert torch.equal(found, wanted)
    assert bool(wanted.any()) == (count > 1)
    assert not wanted.all()


def test_neighbours_across_an_edge_do_not_hide_each_other(device):
    random = torch.Generator().manual_seed(3)
    across = (torch.rand(9, 9, 2, generator=random, dtype=torch.float64) - 0.5) * 0.6
    grid = torch.stack(torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij"), -1)
    place = (grid.double() + across) * 5.25
    a, b, c, d = place[:-1, :-1], place[1:, :-1], place[1:, 1:], place[:-1, 1:]
    corners = torch.cat([torch.stack(t, -2).reshape(-1, 3, 2) for t in ((a, b, c), (c, d, a))])
    rank = torch.arange(len(corners), dtype=torch.int32)
    assert not hidden_triangles(corners.to(device), rank.to(device), (48, 48)).any()
