# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse convolution agrees with the dense one, in any order, in parts, and after a split."""

import importlib.util
import sys

import pytest
import torch
from torch.nn import functional as F

from photocast.errors import UserError
from photocast.nets import sparse_conv
from photocast.nets.sparse_conv import SparseConv3d, convolutions_by, kernel_size_one
from photocast.nets.voxels import Voxels, split_in_eight

SIZE = 6
needs_spconv = pytest.mark.skipif(
    importlib.util.find_spec("spconv") is None or not torch.cuda.is_available(),
    reason="compares with spconv on CUDA; one of them is not here",
)


@pytest.fixture
def voxels():
    """Half of the places of two small grids, shuffled."""
    random = torch.Generator().manual_seed(1)
    places = torch.nonzero(torch.rand((2, SIZE, SIZE, SIZE), generator=random) < 0.5)
    return Voxels(places[torch.randperm(len(places), generator=random)].int())


@pytest.fixture
def conv():
    torch.manual_seed(2)
    return SparseConv3d(5, 7, 3).double().requires_grad_(False)


def features(voxels, channels=5):
    return torch.randn(len(voxels), channels, dtype=torch.float64)


def dense(conv, x, voxels):
    """The same by a dense convolution."""
    batch, *place = voxels.coords.long().unbind(1)
    grid = torch.zeros(2, x.shape[1], SIZE * 2, SIZE * 2, SIZE * 2, dtype=x.dtype)
    grid[batch, :, place[0], place[1], place[2]] = x
    weight = conv.conv.weight.permute(0, 4, 1, 2, 3)
    y = F.conv3d(grid, weight, conv.conv.bias, padding=1)
    return y[batch, :, place[0], place[1], place[2]]


def test_it_is_the_dense_convolution_at_the_voxels(conv, voxels):
    x = features(voxels)
    torch.testing.assert_close(conv(x, voxels), dense(conv, x, voxels))


def test_after_a_split_it_needs_only_the_parents(conv, voxels):
    x = features(voxels)
    wanted = conv(split_in_eight(x), voxels.children)
    torch.testing.assert_close(wanted, dense(conv, split_in_eight(x), voxels.children))
    # kernels are summed in float32
    torch.testing.assert_close(conv.after_split(x, voxels), wanted, atol=1e-6, rtol=1e-5)


def test_children_take_their_neighbors_from_their_parents(voxels):
    children = voxels.children.children
    searched = Voxels(children.coords)
    assert children.neighbors.equal(searched.neighbors)


def test_rows_in_parts_give_the_same(conv, voxels, monkeypatch):
    x = features(voxels)
    whole = conv(x, voxels)
    monkeypatch.setattr(sparse_conv, "GATHERED_BYTES", 27 * 5 * 8 * 10)
    torch.testing.assert_close(conv(x, voxels), whole)


def test_the_order_of_the_voxels_only_permutes_the_result(conv, voxels):
    x, order = features(voxels), torch.randperm(len(voxels))
    mixed = conv(x[order], Voxels(voxels.coords[order]))
    torch.testing.assert_close(mixed, conv(x, voxels)[order])


def test_no_voxels_give_no_rows(conv):
    empty = Voxels(torch.zeros(0, 4, dtype=torch.int32))
    assert conv(torch.zeros(0, 5, dtype=torch.float64), empty).shape == (0, 7)


def test_a_kernel_of_one_voxel_rereads_its_memory():
    weight = torch.arange(6.0).view(2, 1, 1, 1, 3)  # out 2, in 3
    x = torch.eye(3)
    wanted = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    assert kernel_size_one(x, weight, None).equal(wanted)
    assert kernel_size_one(x, weight, torch.ones(2)).equal(wanted + 1)


def test_other_kernel_sizes_are_refused():
    with pytest.raises(ValueError, match="kernel_size = 5"):
        SparseConv3d(1, 1, 5)


def test_gradient_by_the_features_agrees_with_finite_differences(conv, voxels):
    few = Voxels(voxels.coords[:60])
    x = features(few).requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: conv(rows, few), x)


def test_gradient_by_the_parents_is_that_of_their_children(conv, voxels):
    x, y = (features(voxels) for _ in range(2))
    x.requires_grad_(), y.copy_(x.detach()).requires_grad_()
    upstream = torch.randn(8 * len(voxels), 7, dtype=torch.float64)
    (ours,) = torch.autograd.grad(conv.after_split(x, voxels), x, upstream)
    straight = conv(split_in_eight(y), voxels.children)
    (theirs,) = torch.autograd.grad(straight, y, upstream)
    # kernels are summed in float32
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_spconv_where_it_is_absent_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "spconv", None)
    monkeypatch.setitem(sys.modules, "spconv.pytorch", None)
    with (
        pytest.raises(UserError, match="spconv is not installed") as caught,
        convolutions_by("spconv"),
    ):
        pass
    assert caught.value.code == "backend.missing"


@needs_spconv
@pytest.mark.filterwarnings("ignore")  # of the library's own
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_spconv_gives_what_ours_gives(dtype):
    torch.manual_seed(0)
    places = torch.nonzero(torch.rand(12, 12, 12) < 0.4)
    voxels = Voxels(torch.nn.functional.pad(places, (1, 0)).int().cuda())
    conv = SparseConv3d(32, 48, 3).to("cuda", dtype).requires_grad_(False)
    x = torch.randn(len(voxels), 32, device="cuda", dtype=dtype)
    with convolutions_by("spconv"):
        theirs = conv(x, voxels).float()
    ours = conv(x, voxels).float()
    allowed = 5e-3 if dtype == torch.float32 else 2e-2  # theirs may multiply in TF32
    assert (theirs - ours).norm() < allowed * ours.norm()
