# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse convolution by spconv (Apache-2.0), on CUDA, for those who have installed it.

Its compiled kernels need no gathered copy of the input, which pays where voxels are many and
channels few. It knows no bfloat16: such features are multiplied in float16, as the published
weights were trained.
"""

import importlib
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from photocast.errors import UserError
from photocast.nets.voxels import Voxels

__all__ = ["convolve", "load"]

_layers: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
_places: WeakKeyDictionary[Voxels, Any] = WeakKeyDictionary()


def load() -> ModuleType:
    """The library.

    Raises:
        UserError: It is not installed, or has no GPU to run on.
    """
    try:
        module = importlib.import_module("spconv.pytorch")
    except ImportError as error:
        raise UserError(
            f"spconv is not installed, or does not work here ({error}). Install the wheel for your "
            "CUDA, such as: pip install spconv-cu126; or leave sparse_conv at own.",
            code="backend.missing",
        ) from error
    if not torch.cuda.is_available():
        raise UserError(
            "spconv needs a CUDA device, and there is none. Leave sparse_conv at own.",
            code="backend.missing",
        )
    return module


def convolve(
    layer: nn.Module,
    weight: Float[Tensor, "out_channel 3 3 3 in_channel"],
    bias: Float[Tensor, "out_channel"] | None,
    x: Float[Tensor, "voxel in_channel"],
    voxels: Voxels,
) -> Float[Tensor, "voxel out_channel"]:
    """Convolve on the voxels themselves; tables are kept with them, weights with the layer.

    Args:
        layer: To whom the weights belong; they must not change.
        weight: In our layout, which is spconv's.
        bias: Added afterwards.
        x: Features, on CUDA.
        voxels: Where they lie.
    """
    spconv = load()
    dtype = torch.float16 if x.dtype == torch.bfloat16 else x.dtype
    if layer not in _layers or _layers[layer].weight.dtype != dtype:
        _layers[layer] = _layer(spconv, weight.to(dtype), None if bias is None else bias.to(dtype))
    if voxels not in _places:
        side = int(voxels.coords[:, 1:].max()) + 1
        count = int(voxels.coords[:, 0].max()) + 1
        coords = voxels.coords.int().contiguous()
        _places[voxels] = spconv.SparseConvTensor(x.to(dtype), coords, [side] * 3, count)
    y: Tensor = _layers[layer](_places[voxels].replace_feature(x.to(dtype))).features
    return y.to(x.dtype)


def _layer(spconv: ModuleType, weight: Tensor, bias: Tensor | None) -> Any:
    out, inside = weight.shape[0], weight.shape[-1]
    made = spconv.SubMConv3d(inside, out, 3, bias=bias is not None, indice_key="neighbors")
    made.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.contiguous(), requires_grad=False)
    return made.eval()
