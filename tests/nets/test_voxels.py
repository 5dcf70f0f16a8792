# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of voxels, and attention inside groups."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.nets.attention import MultiHeadAttention, attend, group_tokens
from photocast.nets.voxels import Voxels, gather_fine, mean_of_fine


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 1000))
def test_attention_in_groups_is_attention_with_a_mask(labels, seed):
    _, group = torch.unique(torch.tensor(labels), return_inverse=True)
    random = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, 1, len(labels), 2, 4, generator=random, dtype=torch.float64)
    ours = attend(q, k, v, group_tokens(group, int(group.max()) + 1))
    scores = torch.einsum("bihd,bjhd->bhij", q, k) / 2
    scores = scores.masked_fill(group[:, None] != group[None], -torch.inf)
    wanted = torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v)
    torch.testing.assert_close(ours, wanted)


def test_attention_in_groups_takes_one_sample():
    x = torch.zeros(2, 3, 1, 4)
    with pytest.raises(ValueError, match="one batch item; got 2"):
        attend(x, x, x, group_tokens(torch.zeros(3, dtype=torch.long), 1))


@pytest.mark.parametrize("qk_rms_norm", [False, True])
def test_nothing_is_what_zeros_would_give(qk_rms_norm):
    torch.manual_seed(0)
    module = MultiHeadAttention(16, 2, 12, type="cross", qk_rms_norm=qk_rms_norm)
    x = torch.randn(2, 5, 16)
    wanted = module.cross(x, [torch.zeros(2, 3, 12), torch.zeros(2, 8, 12)])
    shortcut = module.cross(x, None).expand_as(wanted)
    torch.testing.assert_close(shortcut, wanted, atol=1e-6, rtol=0)


def test_windows_do_not_wrap_around():
    voxels = Voxels(torch.tensor([[0, 0, 0, 0], [0, 7, 0, 0], [0, 8, 0, 0]], dtype=torch.int32))
    index, windows = voxels.window_of_voxel(8, 0)
    assert index.tolist() == [0, 0, 1]
    assert windows.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]
    assert voxels.window_of_voxel(8, 4)[0].tolist() == [0, 1, 1]


def test_tables_are_made_once():
    voxels = Voxels(torch.tensor([[0, 1, 2, 3], [0, 1, 2, 2]], dtype=torch.int32))
    assert voxels.neighbors is voxels.neighbors
    assert voxels.windows(8, 4) is voxels.windows(8, 4)
    assert voxels.coarse()[0] is voxels.coarse()[0]
    assert voxels.children is voxels.children


def test_a_mean_counts_one_more_than_there_are():
    voxels = Voxels(torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1], [0, 2, 0, 0]], dtype=torch.int32))
    coarse, index = voxels.coarse()
    mean = mean_of_fine(torch.tensor([[3.0], [6.0], [8.0]]), index, len(coarse))
    assert mean.tolist() == [[3.0], [4.0]]
    assert gather_fine(mean, index).tolist() == [[3.0], [3.0], [4.0]]
