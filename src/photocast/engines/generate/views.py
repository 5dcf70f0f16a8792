# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the networks see of the photos: features of all of them, and conditions made of these."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from photocast.engines.generate.networks import Networks
from photocast.nets.conditions import CONDITION_LAYERS
from photocast.nets.photo_input import image_features

__all__ = ["Conditions", "reference_first", "see"]


class Conditions(NamedTuple):
    """What the flows listen to."""

    structure: Float[Tensor, "1 query channel"]
    views: list[Float[Tensor, "1 token channel"]]
    """One per photo."""
    poses: Float[Tensor, "view 9"]
    """Of the cropped photos, as VGGT's camera head tells them."""


def reference_first(names: Sequence[str], reference: str) -> list[int]:
    """Order of the photos: the reference, then the others as they are.

    Args:
        names: Of the photos.
        reference: One of them; the first if empty. VGGT places all others relative to it.

    Raises:
        ValueError: No photo has that name.
    """
    first = names.index(reference) if reference else 0
    return [first, *(number for number in range(len(names)) if number != first)]


def see(networks: Networks, images: Float[Tensor, "view 3 h w"]) -> Conditions:
    """Look at photos of one object.

    Args:
        networks: Loads what is needed.
        images: Cropped photos on black, colours in [0, 1]; the reference first.
    """
    images = images.to(networks.device)
    with torch.inference_mode():
        with networks.use("vggt") as vggt:
            layers = vggt.aggregator(images[None], keep=CONDITION_LAYERS)
            poses = vggt.camera_head(layers[max(CONDITION_LAYERS)].float())[-1][0]
        with networks.use("image_cond_model") as dino:
            # view by view: they are independent, and this bounds memory
            features = torch.cat([image_features(dino, image[None]) for image in images])[None]
        with networks.use("sparse_structure_vggt_cond") as net:
            structure = net(layers, features)
        with networks.use("slat_vggt_cond") as net:
            views = net(layers, features)
    return Conditions(structure, views, poses)
