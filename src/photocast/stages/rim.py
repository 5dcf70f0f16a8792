# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours along outlines, of photos that show a background: from further inside the object.

A lens and a sensor spread each point over a pixel or two, so what lies along an outline is a
mixture with whatever is behind the object there. Taken for the object's own colour it speaks
against the mask: on a dark background the surface withdraws until it is seen no longer.
Transparency that comes with a photo already separates the two; a mask does not.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from photocast.data import Photo
from photocast.threads import cpu_threads

__all__ = ["without_rims"]


def without_rims(photos: Sequence[Photo], width: int) -> tuple[Photo, ...]:
    """Give pixels along outlines the colour of the nearest ones that are surely the object's.

    Parts so thin that they are all rim keep their colours.

    Args:
        photos: With masks; photos without one are left as they are.
        width: Of the rim [px]; 0 changes nothing.
    """
    if width < 1:
        return tuple(photos)
    threads = max(1, min(cpu_threads(), 8, len(photos)))
    with ThreadPoolExecutor(threads, thread_name_prefix="photocast-rim") as pool:
        return tuple(pool.map(lambda photo: _without_rim(photo, width), photos))


def _without_rim(photo: Photo, width: int) -> Photo:
    if photo.mask is None:
        return photo
    inside = photo.mask > 127
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    core = depth > width
    if not core.any():
        return photo
    away, nearest = _nearest(core)
    # Just beyond the mask too: there the outline is looked for, and resampling reaches there.
    rim = ~core & (away <= width + 2)
    rgb = photo.rgb.copy()
    rgb[rim] = photo.rgb[core][nearest[rim]]
    return replace(photo, rgb=rgb)


def _nearest(core: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distance of each pixel to the core, and which of its pixels is nearest, in row order."""
    away, label = cv2.distanceTransformWithLabels(
        (~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(int(label.max()) + 1, np.int64)
    number[label[core]] = np.arange(int(core.sum()))
    return away, number[label]
