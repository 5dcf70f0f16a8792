# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Convolution on sparse voxels, as gathered rows times a matrix; no other library is needed.

Inside :func:`convolutions_by` ``("spconv")`` that library does it, where it can: on CUDA.

The output lies on the same voxels as the input. Weights are ``[out, x, y, z, in]``, taps from -1 to
1 along each axis, not flipped: the layout of spconv, with which the published weights were trained.

Gradient reaches the features, not the weights: networks are used here, not trained.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from photocast.nets import spconv_backend
from photocast.nets.voxels import Voxels

__all__ = ["SparseConv3d", "convolutions_by", "kernel_size_one"]

_library: ContextVar[str] = ContextVar("sparse_conv", default="own")

Rows = Float[Tensor, "voxel in_channel"]
GATHERED_BYTES = 2**28
"""Gathered rows at once, which bounds memory."""

# Along one axis, the first child of a split voxel sees taps 0 | 1 2 in parents -1 | 0, the second
# sees taps 0 1 | 2 in parents 0 | 1.
MERGED_TAPS = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))


@contextmanager
def convolutions_by(library: str) -> Iterator[None]:
    """Choose who convolves in this context: ``own``, or ``spconv`` on CUDA.

    Raises:
        UserError: spconv is asked for, and is not there.
    """
    if library == "spconv":
        spconv_backend.load()
    token = _library.set(library)
    try:
        yield
    finally:
        _library.reset(token)


def kernel_size_one(
    x: Rows,
    weight: Float[Tensor, "out_channel 1 1 1 in_channel"],
    bias: Float[Tensor, "out_channel"] | None,
) -> Float[Tensor, "voxel out_channel"]:
    """A kernel of one voxel, which is not the matrix that its stored shape suggests.

    spconv 2 reads the memory of the ``[out, 1, 1, 1, in]`` tensor as ``[in, out]`` without turning
    it. Weights that were trained through it expect the same.
    """
    y = x @ weight.reshape(weight.shape[-1], weight.shape[0])
    return y if bias is None else y + bias


class _Kernel(nn.Module):
    """Holds the weights under their published names."""

    is_convolution = True

    def __init__(self, in_channels: int, out_channels: int, size: int, bias: bool) -> None:
        super().__init__()
        bound = (in_channels * size**3) ** -0.5
        shape = (out_channels, size, size, size, in_channels)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None


class SparseConv3d(nn.Module):
    """A 3 x 3 x 3 (or 1 x 1 x 1) convolution that keeps the voxels as they are."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, bias: bool = True
    ) -> None:
        super().__init__()
        if kernel_size not in (1, 3):
            raise ValueError(f"kernel_size = {kernel_size}: must be 1 or 3.")
        self.size = kernel_size
        self.conv = _Kernel(in_channels, out_channels, kernel_size, bias)

    def forward(self, x: Rows, voxels: Voxels) -> Float[Tensor, "voxel out_channel"]:
        """Convolve.

        Args:
            x: Features.
            voxels: Where they lie.
        """
        if self.size == 1:
            return kernel_size_one(x, self.conv.weight, self.conv.bias)
        if _library.get() == "spconv" and x.is_cuda:
            return spconv_backend.convolve(self, self.conv.weight, self.conv.bias, x, voxels)
        taps = torch.arange(27, device=x.device)
        return self._apply_taps(x, voxels.neighbors, taps, self.conv.weight.flatten(1, 3))

    def after_split(self, parents: Rows, voxels: Voxels) -> Float[Tensor, "child out_channel"]:
        """Convolve features that were just repeated for eight children each.

        Children of one parent are alike, so taps that fall into the same parent are added up: 8
        taps instead of 27, and no table of the children.

        Args:
            parents: Features before the split.
            voxels: Where the parents lie.
        """
        merge = torch.tensor(MERGED_TAPS, dtype=torch.float32, device=parents.device)
        kernel = self.conv.weight.float()
        outputs = []
        for child in range(8):
            bits = (child >> 2 & 1, child >> 1 & 1, child & 1)
            a, b, c = (merge[bit] for bit in bits)
            merged = torch.einsum("oxyzi,ax,by,cz->oabci", kernel, a, b, c).flatten(1, 3)
            x, y, z = (torch.arange(2, device=parents.device) + bit for bit in bits)
            taps = (9 * x[:, None, None] + 3 * y[None, :, None] + z[None, None, :]).flatten()
            merged = merged.to(parents.dtype)
            outputs.append(self._apply_taps(parents, voxels.neighbors, taps, merged))
        return torch.stack(outputs, dim=1).flatten(0, 1)

    def _apply_taps(
        self,
        x: Rows,
        neighbors: Int[Tensor, "27 voxel"],
        taps: Int[Tensor, "tap"],
        kernel: Float[Tensor, "out_channel tap in_channel"],
    ) -> Float[Tensor, "voxel out_channel"]:
        y: Tensor = _Taps.apply(x, neighbors, taps, kernel)
        return y if self.conv.bias is None else y + self.conv.bias


class _Taps(torch.autograd.Function):
    """Keeps no features for its gradient, and adds it up in a fixed order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, neighbors: Tensor, taps: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(neighbors, taps, kernel)
        return _gathered(x, neighbors, taps, kernel)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        # y_i = sum over taps k of W_k x_n(k, i). If j = n(k, i) then i = n(26 - k, j), since taps
        # are counted from one corner to the opposite; so dx_j = sum of W_k^T dy_n(26 - k, j).
        neighbors, taps, kernel = ctx.saved_tensors
        return _gathered(grad, neighbors, 26 - taps, kernel.transpose(0, 2)), None, None, None


def _gathered(
    x: Rows,
    neighbors: Int[Tensor, "27 voxel"],
    taps: Int[Tensor, "tap"],
    kernel: Float[Tensor, "out_channel tap in_channel"],
) -> Float[Tensor, "voxel out_channel"]:
    padded = torch.cat([x, x.new_zeros(1, x.shape[1])])  # what an absent neighbour holds
    matrix = kernel.flatten(1).T
    rows_at_once = max(1, GATHERED_BYTES // (matrix.shape[0] * x.element_size()))
    parts = []
    for columns in neighbors.split(rows_at_once, dim=1):
        rows = columns[taps].T.reshape(-1)
        parts.append(padded.index_select(0, rows).view(-1, len(matrix)) @ matrix)
    return torch.cat(parts)
