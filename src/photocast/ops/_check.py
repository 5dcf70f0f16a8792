# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuse bad arguments before a kernel reads them: it would read past the end of an array."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["check_faces", "check_tensor", "version_of"]

_ranges: Any = WeakIdKeyDictionary()  # index buffer: its version, least and largest index


def check_tensor(
    name: str,
    value: Tensor,
    shape: tuple[int | None, ...],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> None:
    """Raise unless a tensor has this dtype, device and shape.

    Args:
        name: What the message calls it.
        value: The tensor.
        shape: Expected size per axis; ``None`` accepts any.
        dtype: Expected element type.
        device: Expected device, if any.

    Raises:
        ValueError: It has not; the message names both.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a {type(value).__name__}; a tensor {_words(shape)} is needed.")
    if value.dtype != dtype or not _fits(value.shape, shape):
        raise ValueError(
            f"{name} is {value.dtype} of shape {tuple(value.shape)}; "
            f"{dtype} of shape {_words(shape)} is needed."
        )
    if device is not None and value.device != device:
        raise ValueError(f"{name} is on {value.device}, the other arguments are on {device}.")
    if value.device.type not in ("cpu", "cuda"):
        raise ValueError(f"{name} is on {value.device}; kernels run on cpu and cuda only.")


def _fits(have: torch.Size, wanted: tuple[int | None, ...]) -> bool:
    if len(have) != len(wanted):
        return False
    return all(m is None or n == m for n, m in zip(have, wanted, strict=True))


def _words(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"


def check_faces(
    name: str, faces: Tensor, count: int, *, device: torch.device, face_count: int | None = None
) -> None:
    """Raise unless faces are int32 (face, 3) with indices below ``count``.

    The indices are read once per tensor, and again after it was written to: on CUDA the host must
    wait for the device to see them. While a CUDA graph is recorded it cannot wait; a buffer that is
    used there must have been used once before.
    """
    check_tensor(name, faces, (face_count, 3), dtype=torch.int32, device=device)
    if faces.numel():
        low, high = _range_of(name, faces)
        if low < 0 or high >= count:
            raise ValueError(
                f"{name} has indices from {low} to {high}; there are {count} vertices."
            )


def version_of(tensor: Tensor) -> int | None:
    """A number that changes with each write to the tensor; None if torch does not count them."""
    return None if tensor.is_inference() else tensor._version


def _range_of(name: str, faces: Tensor) -> tuple[int, int]:
    version = version_of(faces)
    known = _ranges.get(faces)
    if known is not None and version is not None and known[0] == version:
        return int(known[1]), int(known[2])
    if faces.is_cuda and torch.cuda.is_current_stream_capturing():
        raise ValueError(
            f"{name} is new, and its indices cannot be read while a CUDA graph is recorded; "
            "run the step once before, with the same tensor."
        )
    low, high = torch.stack(faces.detach().aminmax()).tolist()
    _ranges[faces] = (version, low, high)
    return low, high
