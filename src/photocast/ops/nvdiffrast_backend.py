# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Our three verbs on top of nvdiffrast, for comparison; see :func:`photocast.ops.backend.backend`.

The conventions agree but for the packing: row 0 is clip y = -1 in both, u and v are the weights of
corners 0 and 1, depth is z/w, and a face is stored as its index plus one.

Differences that remain: depth carries no gradient; silhouettes are looked for at the sides of the
two faces seen, not along the surface between them; faces that reach behind the camera are clipped;
the verbs run on CUDA only.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from photocast.errors import UserError
from photocast.ops._check import check_faces, check_tensor, version_of
from photocast.ops.antialias import EdgeTopology
from photocast.ops.rasterize import Raster

__all__ = ["antialias", "interpolate", "load", "rasterize"]

_hashes: Any = WeakIdKeyDictionary()  # index buffer: its version and nvdiffrast's topology


def load() -> Any:
    """The module ``nvdiffrast.torch``.

    Raises:
        UserError: It is not installed.
    """
    try:
        import nvdiffrast.torch
    except ImportError as error:
        raise UserError(
            "The backend nvdiffrast is not installed. Photocast does not install it, because its "
            "licence allows non-commercial use only; if that fits your use, install it yourself "
            "from github.com/NVlabs/nvdiffrast, or use the backend warp.",
            code="backend.missing",
        ) from error
    return nvdiffrast.torch


@lru_cache(maxsize=8)
def _context(device: torch.device) -> Any:
    return load().RasterizeCudaContext(device=device)


def rasterize(clip: Tensor, faces: Tensor, size: tuple[int, int], *, slopes: bool = True) -> Raster:
    """Like :func:`photocast.ops.rasterize.rasterize`; gradient through ``bary`` only."""
    check_tensor("clip", clip, (None, None, 4))
    check_faces("faces", faces, clip.shape[1], device=clip.device)
    packed, packed_da = load().rasterize(
        _context(clip.device), clip.contiguous(), faces.contiguous(), size, grad_db=False
    )
    face = packed[..., 3].detach().int() - 1
    bary_da = packed_da.detach() if slopes else packed_da.new_empty((*face.shape, 0))
    return Raster(packed[..., :2], packed[..., 2].detach(), face, bary_da)


def _packed(raster: Raster) -> Tensor:
    index = (raster.face + 1).to(raster.bary.dtype)
    return torch.cat([raster.bary, raster.depth[..., None], index[..., None]], dim=-1)


def interpolate(attributes: Tensor, raster: Raster, faces: Tensor) -> Tensor:
    """Like :func:`photocast.ops.interpolate.interpolate`."""
    values: Tensor
    shared = attributes if attributes.ndim == 3 else attributes[None]
    values, _ = load().interpolate(shared.contiguous(), _packed(raster), faces.contiguous())
    return values


def antialias(
    color: Tensor,
    raster: Raster,
    clip: Tensor,
    faces: Tensor,
    topology: EdgeTopology | None = None,
) -> Tensor:
    """Like :func:`photocast.ops.antialias.antialias`.

    ``topology`` is not read: nvdiffrast pairs sides by vertex index, so vertices that a texture
    seam doubles must be welded in ``clip`` and ``faces``, or the seam counts as a silhouette.
    """
    del topology
    packed = _packed(raster).detach()
    blended: Tensor = load().antialias(
        color.contiguous(), packed, clip.contiguous(), faces.contiguous(), _hash_of(faces)
    )
    return blended


def _hash_of(faces: Tensor) -> Any:
    version = version_of(faces)
    known = _hashes.get(faces)
    if known is None or version is None or known[0] != version:
        made = load().antialias_construct_topology_hash(faces.contiguous())
        known = _hashes[faces] = (version, made)
    return known[1]
