# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos as the networks want them: the object alone on black, cropped to a square of 518 pixels.

A photo is an RGB or RGBA picture. Where it has no transparency, a matting function is asked which
pixels show the object.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from photocast.nets.dinov2 import DinoVisionTransformer, normalize_colors

__all__ = [
    "Square",
    "crop_to_object",
    "cut_square",
    "image_features",
    "matted",
    "object_square",
    "photo_tensor",
    "saliency_mask",
]

Picture = UInt8[ndarray, "h w channel"]
Other = UInt8[ndarray, "H W _"]
Mask = Bool[ndarray, "h w"]

LARGEST_MATTED = 1024
"""Photos without transparency are shrunk so that no side is longer [px]."""
_BOX_ALPHA = 204
_MARGIN = 1.1


class Square(NamedTuple):
    """A part of a photo, which may reach beyond it [px]."""

    left: int
    top: int
    side: int


def matted(photo: Picture, mask_of: Callable[[Picture], Mask]) -> Other:
    """RGBA of a photo: its own alpha, or else what the matting function says.

    Args:
        photo: RGB, or RGBA.
        mask_of: Where the object is in an RGB picture, which may be smaller than the photo.
    """
    if photo.shape[2] == 4 and (photo[..., 3] != 255).any():
        return photo
    rgb = photo[..., :3]
    scale = min(1.0, LARGEST_MATTED / max(rgb.shape[:2]))
    if scale < 1:
        size = (int(rgb.shape[1] * scale), int(rgb.shape[0] * scale))
        rgb = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
    return np.dstack([rgb, np.where(mask_of(rgb), 255, 0).astype(np.uint8)])


def crop_to_object(photo: Picture, size: int = 518) -> Other:
    """Crop an RGBA photo to a square around the object, on black.

    Args:
        photo: RGBA.
        size: Side of the result [px].

    Returns:
        RGBA of that size; the plain RGB photo where alpha shows no object.
    """
    cut = object_square(photo[..., 3])
    if cut is None:
        return photo[..., :3]
    square = cut_square(photo, cut)
    rgba = torch.from_numpy(square.astype(np.float32) / 255).permute(2, 0, 1)[None]
    rgba = F.interpolate(rgba, size=(size, size), mode="bilinear", align_corners=False)[0]
    rgb, alpha = rgba[:3], rgba[3:]
    rgba = torch.cat([rgb * (alpha > 0.8), alpha])
    pixels: ndarray = (rgba.permute(1, 2, 0) * 255).to(torch.uint8).numpy()
    return pixels


def object_square(alpha: UInt8[ndarray, "h w"]) -> Square | None:
    """The square that :func:`crop_to_object` cuts; ``None`` where alpha shows no object."""
    rows, columns = np.nonzero(alpha > _BOX_ALPHA)
    if len(rows) == 0:
        return None
    low = np.array([columns.min(), rows.min()])
    high = np.array([columns.max(), rows.max()])
    half = int((high - low).max() * _MARGIN) // 2
    left, top = ((low + high) / 2 - half).astype(int).clip(min=0)
    right, bottom = np.minimum(((low + high) / 2 + half).astype(int), alpha.shape[::-1])
    height, width = int(bottom - top), int(right - left)
    side = max(height, width)
    return Square(int(left) - (side - width) // 2, int(top) - (side - height) // 2, side)


def cut_square(photo: Picture, square: Square) -> Other:
    """That part of a photo; transparent black where the photo has ended."""
    left, top, side = square
    whole = np.zeros((side, side, photo.shape[2]), dtype=np.uint8)
    height, width = photo.shape[:2]
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    whole[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = photo[
        rows, columns
    ]
    return whole


def saliency_mask(
    photo: Picture,
    network: Callable[[Float[Tensor, "1 3 1024 1024"]], Float[Tensor, "1 1 1024 1024"]],
) -> Mask:
    """Ask a saliency network for the object.

    Args:
        photo: RGB.
        network: Logits of a picture with zero mean and unit variance.
    """
    squeezed = Image.fromarray(photo).resize((1024, 1024), Image.Resampling.BILINEAR)
    logits = network(normalize_colors(photo_tensor(np.asarray(squeezed)[None])))
    share = (torch.sigmoid(logits[0, 0]) * 255).to(torch.uint8).cpu().numpy()
    back = Image.fromarray(share).resize(photo.shape[1::-1], Image.Resampling.BILINEAR)
    mask: ndarray = np.asarray(back) > 128
    return mask


def photo_tensor(
    photos: UInt8[ndarray, "view h w channel"], size: int | None = None
) -> Float[Tensor, "view 3 H W"]:
    """Colours in [0, 1]; alpha is left out.

    Args:
        photos: RGB or RGBA.
        size: Side to resize to [px]; as they are if absent.
    """
    if size is not None and photos.shape[1:3] != (size, size):
        photos = np.stack(
            [
                np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.LANCZOS))
                for photo in photos
            ]
        )
    return torch.from_numpy(photos[..., :3].astype(np.float32) / 255).permute(0, 3, 1, 2)


def image_features(
    model: DinoVisionTransformer, images: Float[Tensor, "view 3 h w"]
) -> Float[Tensor, "view token channel"]:
    """DINOv2 tokens of colours in [0, 1], as the conditions read them."""
    feature: Tensor = model(normalize_colors(images)).feature
    return feature
