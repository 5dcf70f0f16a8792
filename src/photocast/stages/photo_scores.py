# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a result against photos, as checks of the report."""

from collections.abc import Sequence

from photocast.data import Check
from photocast.stages.evaluate import ViewScores, mean_scores

__all__ = ["score_checks"]


def score_checks(views: Sequence[ViewScores], given: int, which: str) -> list[Check]:
    """How well the result explains photos.

    Args:
        views: The scores of some of them.
        given: How many there are.
        which: Photos these are, in words.
    """
    mean = mean_scores(views)
    note = f"mean over {len(views)} {'' if len(views) == given else f'of {given} '}{which}"
    overlaps = [view.mask_iou for view in views if view.mask_iou is not None]
    inside = [view.psnr_inside for view in views]
    return [
        Check("image.photos", len(views), note=which),
        Check("image.worst_mask_iou", _rounded(min(overlaps, default=None)), note=which),
        Check("image.worst_psnr_inside", _rounded(min(inside, default=None)), note=which),
        Check("image.psnr", _rounded(mean.psnr_white), "dB", note=f"over white, {note}"),
        Check("image.psnr_inside", _rounded(mean.psnr_inside), "dB", note=f"in the mask, {note}"),
        Check("image.ssim", _rounded(mean.ssim_white), note=f"over white, {note}"),
        Check("image.mask_iou", _rounded(mean.mask_iou), note=note),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
