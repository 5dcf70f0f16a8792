# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What one photo is worth: whether it can be read, how sharp it is, how well exposed, and of what.

All is measured on a picture of at most 1000 px a side, about what the engines see. Limits were set
on five captures, of photos and rendered, with blur added (see docs/uploads.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, mode

import cv2
import numpy as np
from numpy.typing import NDArray

from photocast.data import View
from photocast.data.capture import MaskSource
from photocast.errors import CaptureError
from photocast.formats.depth_maps import read_depth
from photocast.formats.images import image_orientation, image_size, read_mask, read_reduced
from photocast.stages.mask import background_mask

__all__ = ["HOPELESS_SHARPNESS", "PhotoLook", "Problem", "compared", "look_at"]

HOPELESS_SHARPNESS = 0.12
"""Only a Gaussian blur of 3 px and more, of the reduced picture, brought photos below."""
_LEAST_SHARPNESS = 0.25
_SHARPNESS_DROP = 0.17  # below the set's median: hand-held blur of some pixels
_SIDE = 1000
_BLUR_TAPS = 9
_ROUNDING = 1.5  # of 255; what is smooth still has steps from one whole number to the next
_DARK, _BRIGHT = 5, 250  # of 255, in all colours
_MOST_DARK, _MOST_BRIGHT = 0.5, 0.25
_SMALL = 200  # px
_ASPECT = 0.01
_PRINT_SIDE, _ALIKE = 64, 0.998  # neighbours on a ring are below 0.99, saved again above 0.9997


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a photo."""

    message: str
    code: str
    value: float | str | None = None
    limit: float | str | None = None
    stops: bool = False
    """Whether a run with this photo would fail."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoLook:
    """What is known of a photo; ``None`` where it could not be found out."""

    name: str
    file_bytes: int
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    sharpness: float | None = None
    """1 less the perceived blur: 0.35 to 0.8 in good photos, by 0.2 or more less in blurred."""
    dark: float | None = None
    bright: float | None = None
    """Shares of clipped pixels; of the object where there is a mask."""
    coverage: float | None = None
    """Share of the photo that shows the object."""
    depth_known: float | None = None
    duplicate_of: str | None = None
    problems: tuple[Problem, ...] = ()
    thumbprint: NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether a run can use it."""
        return not any(problem.stops for problem in self.problems)

    @property
    def pixels(self) -> int:
        """Of the stored photo; 0 if unknown."""
        return (self.width or 0) * (self.height or 0)

    def noted(self, *problems: Problem) -> "PhotoLook":
        """The same with more problems."""
        return replace(self, problems=(*self.problems, *problems))


def look_at(name: str, path: Path, view: View | None, source: MaskSource) -> PhotoLook:
    """Measure one photo with its mask and depth.

    Args:
        name: For people.
        path: The photo.
        view: What the capture says of it, if there is one.
        source: Where the capture's masks are.
    """
    look = PhotoLook(name, path.stat().st_size)
    try:
        width, height = image_size(path)
        look = replace(look, width=width, height=height, orientation=image_orientation(path))
        rgb, alpha = read_reduced(path, _SIDE)
    except CaptureError as error:
        return look.noted(Problem(str(error), code=error.code, stops=True))
    except MemoryError:
        return look.noted(
            Problem(f"{name} takes too much memory to decode.", code="upload.memory", stops=True)
        )
    look = replace(look, sharpness=_sharpness(rgb), thumbprint=_thumbprint(rgb))
    if min(width, height) < _SMALL:
        look = look.noted(
            Problem(
                f"{name} is only {width}x{height} px.",
                code="photo.small",
                value=min(width, height),
                limit=_SMALL,
            )
        )
    look, mask = _with_mask(look, rgb, alpha if source == "alpha" else None, view, source)
    return _with_depth(_exposed(look, rgb, mask), view)


def _with_mask(
    look: PhotoLook,
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None,
    view: View | None,
    source: MaskSource,
) -> tuple[PhotoLook, NDArray[np.uint8] | None]:
    mask = alpha
    if source == "background":
        mask = background_mask(rgb)
    elif source == "file" and view is not None and view.mask_path is not None:
        try:
            if problem := _other_aspect(look, view.mask_path.name, *image_size(view.mask_path)):
                return look.noted(problem), None
            mask = read_mask(view.mask_path, side=max(rgb.shape[:2]))
        except CaptureError as error:
            return look.noted(Problem(str(error), code=error.code, stops=True)), None
        if mask.shape != rgb.shape[:2]:
            mask = np.asarray(cv2.resize(mask, rgb.shape[1::-1]), np.uint8)
    if mask is None:
        return look, None
    coverage = float(mask.mean()) / 255
    look = replace(look, coverage=coverage)
    if coverage == 0:
        look = look.noted(
            Problem(
                f"The mask of {look.name} shows no object.", code="capture.mask_empty", value=0.0
            )
        )
    return look, mask


def _other_aspect(look: PhotoLook, file: str, width: int, height: int) -> Problem | None:
    assert look.width is not None
    assert look.height is not None
    if abs(width * look.height / (height * look.width) - 1) <= _ASPECT:
        return None
    return Problem(
        f"{file} is {width}x{height} px, another shape than its photo {look.name} "
        f"({look.width}x{look.height}). Export it uncropped.",
        code="capture.size",
        value=f"{width}x{height}",
        limit=f"{look.width}x{look.height}",
        stops=True,
    )


def _exposed(look: PhotoLook, rgb: NDArray[np.uint8], mask: NDArray[np.uint8] | None) -> PhotoLook:
    seen = np.full(rgb.shape[:2], True) if mask is None else mask > 127
    if not seen.any():
        return look
    red, green, blue = cv2.split(rgb)
    dark = float((cv2.max(cv2.max(red, green), blue)[seen] <= _DARK).mean())
    bright = float((cv2.min(cv2.min(red, green), blue)[seen] >= _BRIGHT).mean())
    look = replace(look, dark=dark, bright=bright)
    if mask is None:
        return look  # a background may well be black or white
    if dark > _MOST_DARK:
        message = f"{dark:.0%} of the object in {look.name} is black, without any detail."
        problem = Problem(message, code="photo.dark", value=round(dark, 4), limit=_MOST_DARK)
        look = look.noted(problem)
    if bright > _MOST_BRIGHT:
        message = f"{bright:.0%} of the object in {look.name} is white, without any detail."
        problem = Problem(message, code="photo.bright", value=round(bright, 4), limit=_MOST_BRIGHT)
        look = look.noted(problem)
    return look


def _with_depth(look: PhotoLook, view: View | None) -> PhotoLook:
    if view is None or view.depth_path is None:
        return look
    try:
        depth = read_depth(view.depth_path, view.depth_scale)
    except CaptureError as error:
        return look.noted(Problem(str(error), code=error.code, stops=True))
    if problem := _other_aspect(look, view.depth_path.name, depth.shape[1], depth.shape[0]):
        return look.noted(problem)
    return replace(look, depth_known=float((depth > 0).mean()))


def _sharpness(rgb: NDArray[np.uint8]) -> float | None:
    """How much variation between neighbours a further blur would take away.

    The weaker of both directions counts, for blur by motion. Source: Crété-Roffet et al., The blur
    effect: perception and estimation with a new no-reference perceptual blur metric, SPIE 2007.
    """
    grey = cv2.cvtColor(rgb.astype(np.float32), cv2.COLOR_RGB2GRAY)
    kept = []
    for picture in (grey, np.ascontiguousarray(grey.T)):
        before, after = _steps(picture), _steps(cv2.blur(picture, (1, _BLUR_TAPS)))
        if not before.any():
            return None  # one colour: neither sharp nor blurred
        seen = before > _ROUNDING
        total = float(before[seen].sum())
        kept.append(float(np.maximum(before - after, 0)[seen].sum()) / total if total else 0.0)
    return min(kept)


def _steps(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.absdiff(grey[1:], grey[:-1]), np.float32)


def _thumbprint(rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """A small grey picture of mean 0 and length 1, so that a product tells how alike two are."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_PRINT_SIDE, _PRINT_SIDE), interpolation=cv2.INTER_AREA)
    numbers: NDArray[np.float32] = small.astype(np.float32).ravel()
    numbers -= numbers.mean()
    length = float(np.linalg.norm(numbers))
    return numbers / np.float32(length) if length > 0 else None


def compared(looks: Sequence[PhotoLook]) -> list[PhotoLook]:
    """Find what only shows beside the others: duplicates, blur, odd sizes."""
    return _blurred(_duplicates(_odd_sizes(looks)))


def _odd_sizes(looks: Sequence[PhotoLook]) -> list[PhotoLook]:
    sizes = [(look.width, look.height) for look in looks if look.width]
    usual = mode(sizes) if sizes else None
    return [
        look.noted(
            Problem(
                f"{look.name} is {look.width}x{look.height} px, and most photos are "
                f"{usual[0]}x{usual[1]}.",
                code="photo.size",
                value=f"{look.width}x{look.height}",
                limit=f"{usual[0]}x{usual[1]}",
            )
        )
        if usual and look.width and (look.width, look.height) != usual
        else look
        for look in looks
    ]


def _duplicates(looks: Sequence[PhotoLook]) -> list[PhotoLook]:
    found: list[PhotoLook] = []
    originals: list[PhotoLook] = []
    for look in looks:
        alike = _alike(look, originals)
        if alike is None:
            originals.append(look)
        else:
            other, value = alike
            message = f"{look.name} shows the same as {other}."
            problem = Problem(message, code="photo.duplicate", value=value, limit=_ALIKE)
            look = replace(look, duplicate_of=other).noted(problem)
        found.append(look)
    return found


def _alike(look: PhotoLook, others: Sequence[PhotoLook]) -> tuple[str, float] | None:
    known = [other for other in others if other.thumbprint is not None]
    if look.thumbprint is None or not known:
        return None
    scores = np.stack([other.thumbprint for other in known if other.thumbprint is not None])
    products = scores @ look.thumbprint
    best = int(products.argmax())
    if products[best] < _ALIKE:
        return None
    return known[best].name, round(float(products[best]), 5)


def _blurred(looks: Sequence[PhotoLook]) -> list[PhotoLook]:
    known = [look.sharpness for look in looks if look.sharpness is not None]
    least = max(_LEAST_SHARPNESS, median(known) - _SHARPNESS_DROP) if known else 0.0
    return [
        look.noted(
            Problem(
                f"{look.name} is blurred: its sharpness is {look.sharpness:.2f}, the usual one "
                f"here {median(known):.2f}.",
                code="photo.blurred",
                value=round(look.sharpness, 4),
                limit=round(least, 4),
            )
        )
        if look.sharpness is not None and look.sharpness < least
        else look
        for look in looks
    ]
