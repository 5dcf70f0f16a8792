# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Finished maps: what no photo shows takes its surroundings, and gaps between charts are filled."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Material
from photocast.ops.shade import Layout
from photocast.stages.appearance import Appearance
from photocast.stages.map_fill import completed

__all__ = ["finished_material"]

_ENOUGH = 0.02
"""In parts of a typical texel's trust: from where a texel is known."""


def finished_material(layout: Layout, found: Appearance) -> Material:
    """Turn fitted maps into those of a glTF material.

    Args:
        layout: Of the mesh that the maps belong to.
        found: The fit.

    Returns:
        Base colour, roughness, metallic and normal; not unlit.
    """
    base = completed(layout, found.base, _known(found.trust))
    share = found.trust.shape[0] // found.gloss.shape[0]
    coarse = torch.nn.functional.avg_pool2d(found.trust[None, None], share)[0, 0]
    gloss = completed(layout, found.gloss, _known(coarse))
    bend = gloss[..., 2:]
    up = (1 - bend.square().sum(-1, keepdim=True)).clamp(min=0.04).sqrt()
    normal = torch.nn.functional.normalize(torch.cat([bend, up], -1), dim=-1)
    return Material(
        base_color=_array(base.clamp(0, 1)),
        roughness=_array(gloss[..., 0].clamp(0, 1)),
        metallic=_array(gloss[..., 1].clamp(0, 1)),
        normal=_array(normal),
        unlit=False,
    )


def _known(trust: Tensor) -> Tensor:
    seen = trust[trust > 0]
    enough = _ENOUGH * float(seen.median()) if len(seen) else 1.0
    return trust / max(enough, 1e-12)


def _array(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = np.ascontiguousarray(values.cpu().numpy(), dtype=np.float32)
    return array
