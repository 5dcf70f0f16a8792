# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Who draws: our own kernels, or another library that the user has installed."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from photocast.errors import UserError
from photocast.ops.antialias import antialias
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import Raster, rasterize

__all__ = ["Backend", "backend"]


class Backend(NamedTuple):
    """Three verbs with the arguments and meaning of ours."""

    rasterize: Callable[..., Raster]
    interpolate: Callable[..., Tensor]
    antialias: Callable[..., Tensor]


def backend(name: str = "warp") -> Backend:
    """The verbs of a backend.

    Args:
        name: ``warp``, our own, on every machine; or ``nvdiffrast``, on CUDA, if you have
            installed it. Its licence allows non-commercial use only, so it is never a dependency,
            and it is imported by this call alone.

    Raises:
        UserError: No such backend, or it is not installed.
    """
    if name == "warp":
        return Backend(rasterize, interpolate, antialias)
    if name == "nvdiffrast":
        from photocast.ops import nvdiffrast_backend

        nvdiffrast_backend.load()
        return Backend(
            nvdiffrast_backend.rasterize,
            nvdiffrast_backend.interpolate,
            nvdiffrast_backend.antialias,
        )
    raise UserError(f"There is no backend {name!r}; use warp or nvdiffrast.", code="backend.name")
