# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Does a given mesh lie where the photos show the object? If not: how would it?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from torch import Tensor

from photocast.config import InitConfig
from photocast.data import Mesh, Photo
from photocast.errors import MeshError
from photocast.geometry.placements import IDENTITY, UNIT_SCALES, Placement, usual_placements
from photocast.stages.foreign import reduced
from photocast.stages.outlines import Outlines, outlines_of

__all__ = ["Aligned", "aligned"]

_PROXY_FACES = 4000
"""Triangles that are enough to tell outlines apart."""
_SEARCH = {"views": 8, "size": 64}
_TUNE = {"views": 12, "size": 128}
_FINALISTS = 6
_CLEARLY = 0.005
"""Less than this is no reason to move anything."""
_TUNE_STEPS = (0.03, 0.006)
"""Sides of the two simplices: radians, and shares of the scale and of the object's size."""
_TUNE_TRIES = 220

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """A mesh that fits the masks."""

    mesh: Mesh
    iou: float
    """Median over the views."""
    moved: str = ""
    """What was done to it, in words; empty if nothing."""


def aligned(
    mesh: Mesh,
    photos: Sequence[Photo],
    box: NDArray[np.floating],
    config: InitConfig,
    device: torch.device,
) -> Aligned:
    """Check a mesh against the masks; bring it in place if that is allowed.

    Args:
        mesh: In the capture's frame, or so its user hopes.
        photos: With masks.
        box: Of the object, (2, 3).
        config: The limit, and whether the mesh may be moved.
        device: Where to draw.

    Raises:
        MeshError: The mesh does not fit; the message tells what would.
    """
    views = outlines_of(photos, box, views=config.views, size=config.size, device=device)
    iou = _iou(views, mesh, IDENTITY)
    if iou >= config.min_iou and not config.align:
        return Aligned(mesh, iou)
    proxy = reduced(mesh, _PROXY_FACES)
    place = _best_usual(proxy, photos, box, views)
    words, better = place.words(), _iou(views, mesh, place)
    tuned = _tuned(place, proxy, photos, box, device)
    if (finer := _iou(views, mesh, tuned)) > better + _CLEARLY:
        scale = place.scale if place.scale in UNIT_SCALES else tuned.scale
        words = replace(place, scale=scale).words("a small correction")
        place, better = tuned, finer
    if iou >= config.min_iou and better <= iou + _CLEARLY:
        return Aligned(mesh, iou)
    if better < config.min_iou or not config.align:
        raise MeshError(
            _misfit(config, iou, better, words, len(views)),
            code="init.misaligned",
        )
    moved = place(mesh.vertices).astype(np.float32)
    return Aligned(replace(mesh, vertices=moved), better, words)


def _misfit(config: InitConfig, iou: float, better: float, words: str, count: int) -> str:
    told = (
        f"{config.mesh} does not lie where the photos show the object: its outlines and the masks "
        f"overlap by {iou:.2f} (intersection over union, median of {count} views), at least "
        f"{config.min_iou:g} is needed."
    )
    if better >= config.min_iou:
        return (
            f"{told} {words[0].upper()}{words[1:]} would fit (IoU {better:.2f}): add --init-align."
        )
    return (
        f"{told} The best of 24 rotations and six scales with a small correction reaches "
        f"{better:.2f}. Check that the mesh shows the whole object of these photos."
    )


def _best_usual(
    proxy: Mesh, photos: Sequence[Photo], box: NDArray[np.floating], views: Outlines
) -> Placement:
    """The usual placement that fits best; of equals the simplest."""
    device = views.inside.device
    coarse = outlines_of(photos, box, device=device, **_SEARCH)
    tries = [IDENTITY, *usual_placements(proxy.bounds.astype(np.float64), np.asarray(box, float))]
    rated = sorted(tries, key=lambda place: -_iou(coarse, proxy, place))
    best, most = IDENTITY, _iou(views, proxy, IDENTITY)
    for place in rated[:_FINALISTS]:
        if (iou := _iou(views, proxy, place)) > most + _CLEARLY:
            best, most = place, iou
    return best


def _iou(views: Outlines, mesh: Mesh, place: Placement) -> float:
    return float(_overlaps(views, mesh, place).median())


def _overlaps(views: Outlines, mesh: Mesh, place: Placement) -> Tensor:
    device = views.inside.device
    vertices = torch.from_numpy(place(mesh.vertices).astype(np.float32)).to(device)
    return views.overlap(vertices, torch.from_numpy(mesh.faces).to(device))


def _tuned(
    place: Placement,
    proxy: Mesh,
    photos: Sequence[Photo],
    box: NDArray[np.floating],
    device: torch.device,
) -> Placement:
    """A small turn, scale and shift on top, by Nelder and Mead's simplices."""
    views = outlines_of(photos, box, device=device, **_TUNE)
    corners = place(proxy.bounds)
    middle, size = corners.mean(axis=0), float(np.linalg.norm(corners[1] - corners[0]))

    def moved(numbers: Array) -> Placement:
        rotation = Rotation.from_rotvec(numbers[:3]).as_matrix()
        scale = float(np.exp(numbers[3]))
        shift = middle + numbers[4:] * size - scale * rotation @ middle
        return Placement(rotation, scale, shift).after(place)

    def misfit(numbers: Array) -> float:
        return -float(_overlaps(views, proxy, moved(numbers)).mean())

    best = np.zeros(7)
    for step in _TUNE_STEPS:
        simplex = best + step * np.vstack([np.zeros(7), np.eye(7)])
        options = {"initial_simplex": simplex, "maxfev": _TUNE_TRIES, "xatol": step / 100}
        best = minimize(misfit, best, method="Nelder-Mead", options=options).x
    return moved(best)
