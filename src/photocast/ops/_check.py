# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuse bad arguments before a kernel reads them: it would read past the end of an array."""

import torch
from torch import Tensor

__all__ = ["check_faces", "check_tensor"]


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
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a {type(value).__name__}; a tensor {wanted} is needed.")
    fits = value.ndim == len(shape) and all(
        n is None or n == have for n, have in zip(shape, value.shape, strict=True)
    )
    if not fits or value.dtype != dtype:
        raise ValueError(
            f"{name} is {value.dtype} of shape {tuple(value.shape)}; "
            f"{dtype} of shape {wanted} is needed."
        )
    if device is not None and value.device != device:
        raise ValueError(f"{name} is on {value.device}, the other arguments are on {device}.")
    if value.device.type not in ("cpu", "cuda"):
        raise ValueError(f"{name} is on {value.device}; kernels run on cpu and cuda only.")


def check_faces(
    name: str, faces: Tensor, count: int, *, device: torch.device, face_count: int | None = None
) -> None:
    """Raise unless faces are int32 (face, 3) with indices below ``count``.

    The indices themselves are read on the CPU only; on CUDA the host would have to wait for the
    device. There, rasterize skips a face with an index out of range.
    """
    check_tensor(name, faces, (face_count, 3), dtype=torch.int32, device=device)
    if device.type == "cpu" and faces.numel():
        low, high = (int(n) for n in faces.aminmax())
        if low < 0 or high >= count:
            raise ValueError(
                f"{name} has indices from {low} to {high}; there are {count} vertices."
            )
