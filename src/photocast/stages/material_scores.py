# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How well material and light were told apart: under another light, and without any.

Photos cannot tell a bright surface in dim light from a dark one in bright light. So base colour is
compared after one factor per channel, the same for all views, chosen by least squares in linear
light over the pixels that both pictures cover; PSNR is of the values in sRGB, where errors are as
large as they look, and also of the linear ones. Pictures under another light are scored as they
are, and again with the base colour multiplied by these factors.
Source: Jin et al., TensoIR, 2023, section 4 (base colour and relighting after one factor per
channel); Kuang et al., Stanford-ORB, 2023, section 4 (factors by least squares).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Mesh, Photo
from photocast.errors import CaptureError, MeshError
from photocast.formats.srgb import linear_from_srgb, srgb_from_linear
from photocast.formats.transforms_json import read_transforms
from photocast.progress import Progress, silent
from photocast.stages.evaluate import Render, evaluate_views, mean_scores
from photocast.stages.ingest import decode_photos
from photocast.stages.masks_found import find_masks
from photocast.stages.metrics import psnr

__all__ = [
    "AlbedoScores",
    "RelitScores",
    "read_relit_photos",
    "score_albedo",
    "score_relit",
    "with_scaled_base_color",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlbedoScores:
    """Base colour against the truth, after one factor per channel; means over the views."""

    albedo_psnr: float
    """Of values in sRGB, where both pictures cover [dB]."""
    albedo_psnr_linear: float
    """Of linear values [dB]."""
    albedo_scale: tuple[float, float, float]
    """The factors: truth over result, for red, green, blue, in linear light."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RelitScores:
    """Pictures under another light against photos; means over the views."""

    relit_psnr_white: float | None
    """Both over white [dB]; ``None`` without masks, as the next one."""
    relit_psnr_inside: float
    """Where the photo's mask covers [dB]."""
    relit_psnr_white_scaled: float | None = None
    """With the base colour multiplied by ``albedo_scale``; ``None`` without a true base colour."""
    relit_psnr_inside_scaled: float | None = None
    relit_views: int


def read_relit_photos(path: Path, *, progress: Progress = silent) -> tuple[Photo, ...]:
    """Decode the photos of one ``transforms`` file, such as ``transforms_relit.json``.

    Raises:
        CaptureError: It names no photo that is there.
        CameraError: Poses or intrinsics that cannot be.
    """
    file = read_transforms(path)
    views, source, _ = find_masks(path.parent, file.views)
    if not views:
        raise CaptureError(f"{path.name} names no photo that is there.", code="evaluate.no_photos")
    return decode_photos(views, mask_source=source, progress=progress)


def score_albedo(
    render: Render, true_render: Render, cameras: Sequence[Camera], *, progress: Progress = silent
) -> AlbedoScores:
    """Compare base colours.

    Args:
        render: Draws the result's base colour, without light.
        true_render: Draws the truth's.
        cameras: Where to look from.
        progress: Told after each view.

    Raises:
        MeshError: No pixel is covered by both.
    """
    pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for done, camera in enumerate(cameras, start=1):
        (rgb, alpha), (true_rgb, true_alpha) = render(camera), true_render(camera)
        both = (alpha >= 128) & (true_alpha >= 128)
        if both.any():
            pairs.append((_linear(rgb[both]), _linear(true_rgb[both])))
        progress("albedo", done, len(cameras))
    if not pairs:
        raise MeshError(
            f"Result and truth cover no common pixel in {len(cameras)} views. "
            "Both must be in the capture's frame.",
            code="evaluate.no_overlap",
        )
    scale = _least_squares(pairs)
    scaled = [(np.clip(got * scale, 0, 1), truth) for got, truth in pairs]
    red, green, blue = (float(factor) for factor in scale)
    return AlbedoScores(
        albedo_psnr=_mean([psnr(_encoded(got), _encoded(truth)) for got, truth in scaled]),
        albedo_psnr_linear=_mean([psnr(got, truth) for got, truth in scaled]),
        albedo_scale=(red, green, blue),
    )


def score_relit(
    photos: Sequence[Photo],
    render: Render,
    scaled_render: Render | None = None,
    *,
    progress: Progress = silent,
) -> RelitScores:
    """Score pictures under another light.

    Args:
        photos: Taken under that light.
        render: Draws the result under it.
        scaled_render: Draws it with scaled base colour, where the factors are known.
        progress: Told after each view.

    Raises:
        CaptureError: No photos.
    """
    plain = mean_scores(evaluate_views(render, photos, progress=progress))
    scores = RelitScores(
        relit_psnr_white=plain.psnr_white,
        relit_psnr_inside=plain.psnr_inside,
        relit_views=len(photos),
    )
    if scaled_render is None:
        return scores
    scaled = mean_scores(evaluate_views(scaled_render, photos, progress=progress))
    return replace(
        scores,
        relit_psnr_white_scaled=scaled.psnr_white,
        relit_psnr_inside_scaled=scaled.psnr_inside,
    )


def with_scaled_base_color(mesh: Mesh, scale: Sequence[float]) -> Mesh:
    """Multiply the linear base colour by a factor per channel; more than white becomes white."""
    factors = np.asarray(scale, dtype=np.float32)
    material, colors = mesh.material, mesh.colors
    if material.base_color is not None:
        scaled = np.clip(material.base_color * factors, 0, 1)
        material = replace(material, base_color=scaled)
    if colors is not None:
        colors = np.clip(colors * factors, 0, 1)
    return replace(mesh, material=material, colors=colors)


def _least_squares(
    pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> NDArray[np.float64]:
    mixed = sum((got * truth).sum(axis=0) for got, truth in pairs)
    square = sum(np.square(got).sum(axis=0) for got, _ in pairs)
    # A channel that is black everywhere cannot be scaled.
    found: NDArray[np.float64] = np.where(square > 0, mixed / np.maximum(square, 1e-12), 1.0)
    return found


def _linear(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    return linear_from_srgb(codes).astype(np.float64)


def _encoded(linear: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return srgb_from_linear(linear) / 255


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
